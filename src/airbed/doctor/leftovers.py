"""What earlier beds left behind: beds without processes, processes without a bed."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from pathlib import Path

from airbed.doctor.finding import Finding
from airbed.errors import AirbedError
from airbed.settings import Settings
from airbed.spec import BedFiles, BedSpec, bed_names
from airbed.substrates.embedded import processes
from airbed.substrates.embedded.processes import Process


def leftovers(settings: Settings) -> Iterator[Finding]:
    """A finding for each bed, and for each group of marked processes that belongs to none."""
    marked: dict[str, list[Process]] = {}
    for process in processes.processes().values():
        if process.mark:
            marked.setdefault(process.mark, []).append(process)
    known = set()
    for name in bed_names(settings):
        try:
            spec = BedFiles(settings, name).read_spec()
        except (AirbedError, ValueError):
            yield Finding(f"bed '{name}'", "warn", "its bed.json cannot be read", f"rm -r {settings.beds / name}")
            continue
        known.add(spec.mark)
        yield _bed(spec, len(marked.get(spec.mark, [])), _is_held(BedFiles(settings, name).lock))
    for mark, group in marked.items():
        if mark not in known:
            yield _stray(group)


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
    option = f"--name {spec.name}"
    if held:
        return Finding(name, "ok", f"an airbed command is at work on it; {count} processes")
    if spec.state == "creating":
        remedy = f"airbed up {option} (begins anew), or: airbed down {option}"
        return Finding(name, "warn", f"its first start was interrupted; {count} processes", remedy)
    if spec.state == "up" and not count:
        remedy = f"airbed up {option} (its data is kept), or: airbed down {option}"
        return Finding(name, "warn", "its processes are gone", remedy)
    if spec.state == "stopped" and count:
        return Finding(name, "warn", f"stopped, yet {count} processes of it run", f"airbed down {option}")
    return Finding(name, "ok", f"{spec.state}, {count} processes")


def _stray(group: list[Process]) -> Finding:
    """Processes whose bed this state folder does not know: another state folder's, or a deleted bed's."""
    folders = {folder for process in group if (folder := _folder_of(process.pid)) is not None}
    pids = " ".join(str(process.pid) for process in sorted(group, key=lambda each: each.pid))
    for folder in folders:
        if (folder / "bed.json").is_file():
            found = f"{len(group)} processes of a bed in {folder}"
            return Finding("other bed", "ok", found, f"to work with it: AIRBED_STATE_DIR={folder.parent.parent}")
    services = ", ".join(sorted({process.service for process in group if process.service}))
    return Finding(
        "stray processes", "warn", f"{len(group)} of a bed that no longer exists ({services})", f"kill -9 {pids}"
    )


def _folder_of(pid: int) -> Path | None:
    """The folder of the bed that a process belongs to: its HOME is inside."""
    try:
        environ = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return None
    home = next((each[5:].decode(errors="replace") for each in environ if each.startswith(b"HOME=")), None)
    return Path(home).parent if home else None
