"""What earlier beds left behind: beds without processes, processes without a bed."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from pathlib import Path

from airbed.doctor.finding import Finding
from airbed.errors import AirbedError
from airbed.settings import Settings
from airbed.spec import NAME, BedFiles, BedSpec
from airbed.substrates.embedded import processes
from airbed.substrates.embedded.processes import Process
from airbed.substrates.registry import COMPOSE


def leftovers(settings: Settings) -> Iterator[Finding]:
    """A finding for each bed, and for each group of marked processes that belongs to none."""
    marked: dict[str, list[Process]] = {}
    for process in processes.processes().values():
        if process.mark:
            marked.setdefault(process.mark, []).append(process)
    for name in _names(settings):
        files = BedFiles(settings, name)
        down = f"airbed down --name {name}"
        if not files.exists():
            yield Finding(f"bed '{name}'", "warn", f"half-made or half-deleted: {files.folder} has no bed.json", down)
            continue
        try:
            spec = files.read_spec()
        except (AirbedError, ValueError):
            yield Finding(f"bed '{name}'", "warn", f"{files.spec} cannot be read", down)
            continue
        count = len(marked.pop(spec.mark, []))
        if spec.substrate == COMPOSE:
            count = _containers(settings, spec)
        yield _bed(spec, count, _is_held(files.lock))
    for group in marked.values():
        yield _stray(settings, group)


def _containers(settings: Settings, spec: BedSpec) -> int:
    """How many containers of a bed run; none where no engine answers. Their processes may be hidden from this user."""
    from airbed.substrates.compose.engine import find_quietly
    from airbed.substrates.compose.layout import project

    engine = find_quietly(settings)
    if engine is None:
        return 0
    label = f"label=com.docker.compose.project={project(spec.name)}"
    return len(engine.ids("container", label, "status=running")) + len(engine.ids("container", label, "status=paused"))


def _names(settings: Settings) -> list[str]:
    if not settings.beds.is_dir():
        return []
    return sorted(each.name for each in settings.beds.iterdir() if each.is_dir() and NAME.fullmatch(each.name))


def _is_held(lock: Path) -> bool:
    """Whether a command is at work on a bed; the lock file of a dead process holds nothing."""
    try:
        with lock.open() as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def _bed(spec: BedSpec, count: int, held: bool) -> Finding:
    name = f"bed '{spec.name}'"
    what = "containers" if spec.substrate == COMPOSE else "processes"
    option = f"--name {spec.name}"
    if held:
        return Finding(name, "ok", f"an airbed command is at work on it; {count} {what}")
    if spec.state == "creating":
        remedy = f"airbed up {option} (begins anew), or: airbed down {option}"
        return Finding(name, "warn", f"its first start was interrupted; {count} {what}", remedy)
    if spec.state == "up" and not count:
        remedy = f"airbed up {option} (its data is kept), or: airbed down {option}"
        return Finding(name, "warn", f"its {what} are gone", remedy)
    if spec.state == "stopped" and count:
        return Finding(name, "warn", f"stopped, yet {count} {what} of it run", f"airbed down {option}")
    return Finding(name, "ok", f"{spec.state}, {count} {what}")


def _stray(settings: Settings, group: list[Process]) -> Finding:
    """Processes whose bed this state folder does not have: another state folder's, or a deleted bed's."""
    folder = next((Path(each.folder) for each in group if each.folder), None)
    if folder is not None and (folder / "bed.json").is_file():
        if folder.parent != settings.beds:
            remedy = f"to work with it: AIRBED_STATE_DIR={folder.parent.parent}"
            return Finding("other bed", "ok", f"{len(group)} processes of the bed in {folder}", remedy)
        found = f"{len(group)} of an earlier bed in {folder}"
        return Finding("stray processes", "warn", found, f"airbed down --name {folder.name} (deletes today's bed too)")
    if folder is not None and folder.parent == settings.beds:
        found = f"{len(group)} of bed '{folder.name}', whose folder is gone"
        return Finding("stray processes", "warn", found, f"airbed down --name {folder.name}")
    services = ", ".join(sorted({each.service for each in group if each.service}))
    pids = " ".join(str(pid) for pid in sorted(each.pid for each in group))
    found = f"{len(group)} of a bed that no longer exists ({services})"
    return Finding("stray processes", "warn", found, f"kill -9 {pids}")
