"""CPU time and memory of a bed's processes, from /proc."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from airbed.substrates.embedded import processes


def cpu_seconds(mark: str) -> float:
    """CPU time of a bed's processes and of their children that have ended.

    The difference of two readings is exact as long as every process that ends is waited for by a process that lives on.
    """
    ticks = 0
    for pid in processes.of_bed(mark):
        try:
            stat = Path(f"/proc/{pid}/stat").read_text()
        except OSError:
            continue
        fields = stat[stat.rindex(")") + 2 :].split()
        ticks += sum(map(int, fields[11:15]))
    return ticks / os.sysconf("SC_CLK_TCK")


def memory_by_service(mark: str) -> dict[str, float]:
    """Proportional set size (shared pages divided among their users) in MB, by service, the largest first.

    Processes that do not tell their service are counted as `other`.
    """
    found: dict[str, float] = {}
    for pid, each in processes.of_bed(mark).items():
        service = each.service or "other"
        found[service] = found.get(service, 0) + _proportional(pid)
    return dict(sorted(found.items(), key=lambda item: -item[1]))


def _proportional(pid: int) -> float:
    try:
        lines: Iterable[str] = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) / 1000 for line in lines if line.startswith("Pss:")), 0)
