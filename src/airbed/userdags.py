"""A user's own DAG folders: checked before a bed starts, read for what they need."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from airbed.errors import UsageError
from airbed.spec import BedSpec
from airbed.topology import REGIONS

if TYPE_CHECKING:
    from airbed.lifecycle import Request


def ensure_input_is_valid(request: Request) -> Request:
    """Check what the request names on this machine; returns it with absolute paths. Raises UsageError."""
    dags = [_folder(each, "--dags") for each in request.dags] if request.dags else None
    project = _folder(request.project, "--project") if request.project else None
    if project and not (Path(project) / "dags").is_dir():
        raise UsageError(f"--project {project} has no dags/ folder; a project has the Astro layout: dags/, plugins/, include/, requirements.txt")
    env_file = None
    if request.env_file:
        path = Path(request.env_file).expanduser().absolute()
        if not path.is_file():
            raise UsageError(f"--env-file {path} does not exist")
        env_file = str(path)
    if request.time_scale is not None and not 1 <= request.time_scale <= 1000:
        raise UsageError(f"--time-scale {request.time_scale:g} is out of range: 1 (as written) to 1000")
    return replace(request, dags=dags, project=project, env_file=env_file)


def _folder(text: str, option: str) -> str:
    path = Path(text).expanduser().absolute()
    if not path.is_dir():
        raise UsageError(f"{option} {path} is not a folder; give one that exists")
    return str(path)


def wants_kubernetes(spec: BedSpec) -> bool:
    """Whether a DAG file of the user's names one of the bed's Kubernetes connections."""
    names = [region.conn_id for region in REGIONS]
    folders = [*spec.dags, *([f"{spec.project}/dags"] if spec.project else [])]
    return any(
        name in file.read_text(errors="replace") for folder in folders for file in Path(folder).rglob("*.py") for name in names
    )
