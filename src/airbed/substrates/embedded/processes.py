"""Find and end the processes of a bed, by the marks in their environment.

Every process of a bed carries AIRBED_MARK=<mark of the bed> and AIRBED_SERVICE=<name>. Some children lose theirs
(Postgres rewrites its environment area, a task may start `env -i`), so descendants and sessions of marked processes
count too, and every search is repeated until it finds nothing new.

Standard library only: `guard.py` runs this before each start of a service.
"""

from __future__ import annotations

import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

MARK = "AIRBED_MARK"
SERVICE = "AIRBED_SERVICE"


@dataclass(frozen=True)
class Process:
    """A row of /proc. `marks` has the bed's mark and the service's name where they could be read."""

    pid: int
    parent: int
    session: int
    state: str
    start: int
    mark: str | None
    service: str | None


def processes() -> dict[int, Process]:
    """All processes that exist now, zombies left out, by pid."""
    found = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit() and (process := _read(int(entry))) is not None:
            found[process.pid] = process
    return found


def _read(pid: int) -> Process | None:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
        fields = stat[stat.rindex(")") + 2 :].split()
        if fields[0] in "ZX":
            return None
        try:
            environ = Path(f"/proc/{pid}/environ").read_bytes()
        except OSError:
            environ = b""
    except (OSError, ValueError):
        return None
    marks = {}
    for name in (MARK, SERVICE):
        key = name.encode() + b"="
        marks[name] = next((each[len(key) :].decode() for each in environ.split(b"\0") if each.startswith(key)), None)
    return Process(pid, int(fields[1]), int(fields[3]), fields[0], int(fields[19]), marks[MARK], marks[SERVICE])


def of_bed(mark: str, service: str | None = None) -> dict[int, Process]:
    """The processes of a bed, or of one of its services, by pid: marked ones, their sessions, all descendants.

    The caller and its ancestors are never among them.
    """
    everything = processes()
    spared = _self_and_ancestors(everything)
    own_session = os.getsid(0)
    hit = {
        pid
        for pid, each in everything.items()
        if each.mark == mark and (service is None or each.service == service) and pid not in spared
    }
    if service is None:
        sessions = {everything[pid].session for pid in hit} - {own_session}
        hit |= {pid for pid, each in everything.items() if each.session in sessions and pid not in spared}
    return {pid: everything[pid] for pid in with_descendants(hit, everything) - spared}


def with_descendants(roots: set[int], everything: dict[int, Process]) -> set[int]:
    """These pids and all that descends from them."""
    found = set(roots)
    size = -1
    while size != len(found):
        size = len(found)
        found |= {pid for pid, each in everything.items() if each.parent in found}
    return found


def _self_and_ancestors(everything: dict[int, Process]) -> set[int]:
    spared = set()
    pid = os.getpid()
    while pid in everything and pid not in spared:
        spared.add(pid)
        pid = everything[pid].parent
    return spared | {os.getpid(), 0, 1}


def signal_all(pids: set[int] | dict[int, Process], number: int) -> None:
    """Send a signal to each; those that are gone, or belong to someone else, are passed over."""
    for pid in pids:
        try:
            os.kill(pid, number)
        except (ProcessLookupError, PermissionError):
            continue


def sweep(mark: str, service: str | None = None, timeout: float = 10) -> int:
    """SIGKILL every process of a bed or service until none is left; returns how many were ended.

    Raises TimeoutError when some are still there after `timeout` seconds.
    """
    ended: set[int] = set()
    deadline = time.monotonic() + timeout
    while found := of_bed(mark, service):
        ended |= set(found)
        signal_all(found, signal.SIGKILL)
        if time.monotonic() > deadline:
            raise TimeoutError(f"{len(found)} processes are still there: {sorted(found)}")
        time.sleep(0.01)
    return len(ended)
