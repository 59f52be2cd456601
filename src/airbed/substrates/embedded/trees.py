"""One process of a bed with everything that descends from it, such as a task with the programs it started."""

from __future__ import annotations

import signal
import time
from pathlib import Path

from airbed.errors import Unavailable
from airbed.substrates.embedded import processes
from airbed.substrates.embedded.processes import Process


def start_of(mark: str, pid: int, title: str) -> int | None:
    """When that process of the bed started, in clock ticks since boot; None when it is not there, or not the one.

    `title` is a part of its command line: a pid alone may have gone to another process. Airflow 3.3.2 makes the
    processes of a task unreadable for the user's own other processes: their mark is that of the scheduler above them.
    """
    found = processes.of_bed(mark).get(pid)
    if found is None or title not in command_line(pid):
        return None
    return found.start


def tree(mark: str, pid: int, start: int) -> dict[int, Process]:
    """The process, its descendants, and the rest of its process group; empty when it is gone.

    Children whose parent ended are no descendants any more, but most stay in the group that their task leads. A process
    that has the pid and started at another time is another one.
    """
    everything = processes.processes()
    root = everything.get(pid)
    if root is not None and (root.start != start or root.mark not in (mark, None)):
        return {}
    hit = {each.pid for each in everything.values() if each.group == pid and each.start >= start}
    return {each: everything[each] for each in processes.with_descendants(hit | ({pid} & set(everything)), everything)}


def kill(mark: str, pid: int, start: int) -> int:
    """SIGKILL the tree; returns how many processes that were.

    Frozen first: what is killed while a parent of it still runs may be started anew, or escape the search.
    """
    frozen = freeze(mark, pid, start)
    ended = set(frozen)
    deadline = time.monotonic() + 10
    while frozen:
        processes.signal_all(frozen, signal.SIGKILL)
        time.sleep(0.01)
        everything = processes.processes()
        frozen = {
            each: row for each, row in frozen.items() if each in everything and everything[each].start == row.start
        }
        if time.monotonic() > deadline:
            raise Unavailable(f"processes {sorted(frozen)} were killed and are still there")
    return len(ended)


def freeze(mark: str, pid: int, start: int) -> dict[int, Process]:
    """SIGSTOP the tree, looked at again until nothing of it runs; returns it."""
    return _signal_until(mark, pid, start, signal.SIGSTOP, frozen=True)


def thaw(mark: str, pid: int, start: int) -> dict[int, Process]:
    """SIGCONT the tree, looked at again until nothing of it is frozen; returns it."""
    return _signal_until(mark, pid, start, signal.SIGCONT, frozen=False)


def _signal_until(mark: str, pid: int, start: int, number: int, *, frozen: bool) -> dict[int, Process]:
    deadline = time.monotonic() + 10
    while True:
        found = tree(mark, pid, start)
        left = [each.pid for each in found.values() if (each.state == "T") != frozen]
        if not left:
            return found
        if time.monotonic() > deadline:
            raise Unavailable(f"processes {left} ignore signal {number}")
        processes.signal_all(left, number)
        time.sleep(0.01)


def command_line(pid: int) -> str:
    """The words of a process' command, parted by spaces; empty when it is gone."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""
