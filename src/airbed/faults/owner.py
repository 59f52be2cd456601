"""Whether the process that injected a fault lives: not another one that got its number since, no zombie."""

from __future__ import annotations

from pathlib import Path

_PROC = Path("/proc")


def start_of(pid: int) -> str | None:
    """Boot of the machine and start of a process in clock ticks since: no other process of that pid has both.

    None for a process that is gone, or has ended and was not waited for.
    """
    try:
        stat = (_PROC / str(pid) / "stat").read_text(errors="replace")
    except OSError:
        return None
    # What stands before it is the program's name, which may hold anything.
    fields = stat[stat.rindex(")") + 2 :].split()
    if fields[0] in "ZX":
        return None
    boot = (_PROC / "sys/kernel/random/boot_id").read_text().strip()
    return f"{boot}/{fields[19]}"


def lives(pid: int, start: str | None) -> bool:
    """Whether the process of that `start_of` is there; of one whose start was not noted, whether any of that pid is."""
    found = start_of(pid)
    return found is not None and start in (None, found)
