"""A user's own project inside Airflow: requirements in a cached overlay, plugins beside the bed's own, variables.

An overlay is a folder `<cache>/overlays/<key>/site` on the PYTHONPATH of Airflow's processes. It holds only what the
base environment lacks: what the base has keeps its version, so that Airflow and its providers are never replaced.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import distributions
from pathlib import Path

from filelock import FileLock

from airbed import userdags
from airbed.errors import Unavailable, UsageError
from airbed.settings import Settings
from airbed.spec import BedFiles, BedSpec, write_private
from airbed.substrates.embedded.startup import Progress

_FORMAT = 1
_INCLUDE = re.compile(r"^\s*(?:-r|--requirement|-c|--constraint)[ =]\s*(\S+)", re.MULTILINE)
_NOT_REACHED = re.compile(
    r"(?i)network (is|was|connectivity)|error sending request|failed to fetch|timed out|dns error|status code"
    r"|certificate|connection (refused|reset)"
)
_EDITABLE = re.compile(r"^\s*(?:-e|--editable)\b.*$", re.MULTILINE)


@dataclass(frozen=True)
class Base:
    """What an overlay lies on: the Python, by its version, and its packages. `own`: it is the Python that runs this."""

    python: str
    packages: Mapping[str, str]
    own: bool = False


def own_base() -> Base:
    """The environment that runs this."""
    return Base(".".join(map(str, sys.version_info[:3])), base_packages(), own=True)


def python_path(
    settings: Settings, spec: BedSpec, progress: Progress, base: Callable[[], Base] = own_base
) -> list[str]:
    """The folders that a project adds to the PYTHONPATH: itself (`include.x`), then its requirements' overlay."""
    if spec.project is None:
        return []
    site = ensure_overlay(settings, Path(spec.project) / "requirements.txt", progress, base)
    return [spec.project, *([str(site)] if site else [])]


def ensure_overlay(
    settings: Settings, requirements: Path, progress: Progress, base_of: Callable[[], Base] = own_base
) -> Path | None:
    """Find or make the overlay of a requirements file; None when it asks for nothing.

    For another Python than the one that runs this, only wheels can be installed.
    Raises UsageError when the requirements cannot go with the base, Unavailable when they cannot be had.
    """
    text = "\n".join(_texts(requirements))
    if not any(line.strip() and not line.lstrip().startswith("#") for line in text.splitlines()):
        return None
    if editable := _EDITABLE.search(text):
        raise UsageError(
            f"{requirements}: '{editable.group().strip()}' is editable, which an overlay cannot be;"
            " write the path without -e"
        )
    base = base_of()
    known = (_FORMAT, base.python, text, sorted(base.packages.items()), _where_local(requirements, text))
    key = hashlib.sha256(repr(known).encode()).hexdigest()[:16]
    overlays = settings.cache / "overlays"
    site = overlays / key / "site"
    if site.is_dir():
        return site
    overlays.mkdir(parents=True, exist_ok=True)
    with FileLock(overlays / f".{key}.lock", timeout=900):
        if not site.is_dir():
            progress(f"installing {requirements} into an overlay (once for these requirements)")
            with tempfile.TemporaryDirectory(prefix=f".{key}.", dir=overlays) as scratch:
                _install(requirements, base, Path(scratch))
                (Path(scratch) / "made").mkdir()
                (Path(scratch) / "site").rename(Path(scratch) / "made/site")
                shutil.copyfile(Path(scratch) / "missing.txt", Path(scratch) / "made/requirements.txt")
                (Path(scratch) / "made").rename(overlays / key)
    return site


def _where_local(requirements: Path, text: str) -> str:
    """The folder that local requirements are in, else nothing: two projects may each have a `./lib` of their own."""
    return str(requirements.parent.absolute()) if any(map(_is_local, text.splitlines())) else ""


def _is_local(line: str) -> bool:
    """Whether a requirement is a path: `.`, `./lib`, `libs/own.whl`, `own @ file:./lib`."""
    words = line.split(" #", maxsplit=1)[0].strip()
    if words.startswith("#"):
        return False
    is_path = "/" in words and "://" not in words
    return is_path or words.startswith(".") or "file:" in words or words.endswith((".whl", ".tar.gz", ".zip"))


def _texts(requirements: Path) -> Iterator[str]:
    """The requirements and the files that they include, each once."""
    pending, seen = [requirements], set()
    while pending:
        path = pending.pop().absolute()
        if path in seen or not path.is_file():
            continue
        seen.add(path)
        try:
            text = path.read_text()
        except (OSError, UnicodeDecodeError):
            raise UsageError(f"{path} cannot be read as text; it must be a pip requirements file") from None
        yield text
        pending += [path.parent / name for name in _INCLUDE.findall(text)]


def base_packages() -> dict[str, str]:
    """The packages of the base environment with their versions, without airbed itself."""
    return packages_of((each.metadata["Name"], each.version) for each in distributions())


def packages_of(distributions: Iterable[tuple[str, str]]) -> dict[str, str]:
    """The version of each package out of names and versions in the order of the path, without airbed itself."""
    found: dict[str, str] = {}
    for name, version in distributions:
        # The first on the path is the one that Python imports.
        found.setdefault(_normalised(name), version)
    found.pop("airbed", None)
    return found


def _normalised(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _install(requirements: Path, base: Base, scratch: Path) -> None:
    constraints = scratch / "base.txt"
    constraints.write_text("".join(f"{name}=={version}\n" for name, version in sorted(base.packages.items())))
    python = ["--python", sys.executable] if base.own else ["--python-version", base.python]
    resolved = _uv(
        requirements,
        *("pip", "compile", "--quiet", "--no-header", "--no-annotate", "--no-strip-extras"),
        *("--constraint", str(constraints), *python, str(requirements)),
    )
    missing = [line for line in resolved.splitlines() if line.strip() and not _is_in_base(line, base.packages)]
    (scratch / "missing.txt").write_text("\n".join(missing) + "\n")
    (scratch / "site").mkdir()
    if missing:
        # Compiled by this Python, the bytes would be of no use to another.
        how = ["--compile-bytecode"] if base.own else ["--only-binary", ":all:"]
        _uv(
            requirements,
            *("pip", "install", "--quiet", "--no-deps", *how, "--link-mode", "copy"),
            *(*python, "--target", str(scratch / "site"), "-r", str(scratch / "missing.txt")),
        )


def _is_in_base(line: str, base: Mapping[str, str]) -> bool:
    """Whether a resolved line such as `name[extra]==1.0 ; marker` is what the base environment has."""
    found = re.match(r"([\w.-]+)(?:\[[^\]]*\])?\s*(?:==\s*\S+|@)", line.strip())
    return found is not None and _normalised(found[1]) in base


def _uv(requirements: Path, *arguments: str) -> str:
    """Run uv with the caller's environment (index, proxies, certificates) and return its output."""
    beside = Path(sys.executable).with_name("uv")
    uv = str(beside) if beside.is_file() else shutil.which("uv")
    if uv is None:
        raise Unavailable(f"uv is missing beside {sys.executable}; it installs {requirements}; run: make setup")
    environment = {key: value for key, value in os.environ.items() if key not in ("VIRTUAL_ENV", "PYTHONPATH")}
    environment.setdefault("UV_SYSTEM_CERTS", "1")
    done = subprocess.run(
        [uv, *arguments],
        cwd=requirements.parent,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode == 0:
        return done.stdout
    words = _without_credentials(" ".join(done.stderr.split()))
    if _NOT_REACHED.search(words):
        raise Unavailable(f"{requirements} could not be installed: {_shortened(words)}; is a package index reachable?")
    raise UsageError(
        f"{requirements} cannot be installed beside the bed's Airflow, whose packages keep their versions:"
        f" {_shortened(words)}; change the requirement"
    )


def _without_credentials(text: str) -> str:
    return re.sub(r"://[^/@\s]+@", "://***@", text)


def _shortened(text: str, most: int = 400) -> str:
    text = re.sub(r"^error: ", "", text).rstrip(".")
    return text if len(text) <= most else text[:most] + " ..."


def plugins_folder(files: BedFiles, spec: BedSpec, own: Path) -> Path:
    """The folder that Airflow loads plugins from: the bed's own, or one with links to its files and the project's.

    Airflow has one plugins folder, and follows links (airflow/_shared/module_loading/file_discovery.py).
    """
    theirs = Path(spec.project) / "plugins" if spec.project else None
    if theirs is None or not theirs.is_dir():
        return own
    folder = files.airflow / "plugins"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for source in (theirs, own):
        for entry in sorted(source.iterdir()):
            if entry.name == "__pycache__":
                continue
            link = folder / entry.name
            if link.is_symlink():
                raise UsageError(f"{theirs / entry.name} has the name of the bed's own plugin; rename yours")
            link.symlink_to(entry)
    return folder


def write_user_environment(files: BedFiles, spec: BedSpec) -> Path | None:
    """Write the variables of the user's files (0600) for `guard.py`, who hands them to a process; None without any.

    supervisor's configuration cannot carry every value: it knows no escapes for quotes and line ends.
    """
    found = userdags.of_bed(spec).environment
    if not found:
        return None
    path = files.airflow / "user-environment.json"
    write_private(path, json.dumps(found))
    return path
