"""CPU time and memory of a bed's processes, or a peer's, from /proc."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from airbed.bench.owned import Owned

SCHEDULER, WORKER, TASK = "scheduler", "worker", "task"
# The memory sampler works for at most this share of the time, and so takes no more than that of a core.
SHARE = 0.05


@dataclass(frozen=True)
class Used:
    """CPU seconds of one process: its own, and those of its children that have ended."""

    parent: int
    service: str
    own: float
    reaped: float


def cpu_seconds(owned: Owned) -> float:
    """CPU time of all these processes and of their children that have ended.

    The difference of two readings is exact as long as every process that ends is waited for by a process that lives on.
    """
    return sum(each.own + each.reaped for each in _used(owned).values())


def cpu_by_service(owned: Owned) -> dict[str, float]:
    """The same by service, with the scheduler's in three: itself, its executor's workers, the tasks they run."""
    return attributed(_used(owned))


def attributed(used: Mapping[int, Used]) -> dict[str, float]:
    """CPU seconds by service. What the scheduler forks is a worker, what a worker forks is a task."""
    found: dict[str, float] = {}

    def add(service: str, seconds: float) -> None:
        found[service] = found.get(service, 0) + seconds

    for pid, each in used.items():
        depth = _depth(pid, used) if each.service == SCHEDULER else 0
        if each.service != SCHEDULER:
            add(each.service, each.own + each.reaped)
        elif depth == 0:
            add(SCHEDULER, each.own)
            add(WORKER, each.reaped)
        elif depth == 1:
            add(WORKER, each.own)
            add(TASK, each.reaped)
        else:
            add(TASK, each.own + each.reaped)
    return found


def difference(before: Mapping[str, float], after: Mapping[str, float]) -> dict[str, float]:
    """What was used between two readings, by service, the most first; what ended meanwhile counts as nothing."""
    used = {service: max(0.0, seconds - before.get(service, 0)) for service, seconds in after.items()}
    return dict(sorted(used.items(), key=lambda item: -item[1]))


def memory_by_service(owned: Owned) -> dict[str, float]:
    """Proportional set size (shared pages divided among their users) in MB, by service, the largest first."""
    found: dict[str, float] = {}
    for pid, service in owned().items():
        found[service] = found.get(service, 0) + proportional(pid)
    return dict(sorted(found.items(), key=lambda item: -item[1]))


class PeakMemory:
    """Memory while a `with` block runs, looked at again and again: MB.

    `total` is the largest sum of PSS, `services` the largest of each service, `task` the largest single process that a
    worker of the scheduler forked, and `task_resident` the kernel's own high-water mark of such processes (RSS, exact,
    with the pages that it shares with its parent). `only` limits it to some services, so that it looks more often.
    """

    def __init__(self, owned: Owned, only: Collection[str] | None = None, share: float = SHARE) -> None:
        self._owned, self._only, self._share = owned, only, share
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self.total = self.task = self.task_resident = 0.0
        self.services: dict[str, float] = {}

    def __enter__(self) -> PeakMemory:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        pause = 0.0
        while not self._over.wait(pause):
            began = time.thread_time()
            self._look()
            pause = max(0.05, (time.thread_time() - began) / self._share)

    def _look(self) -> None:
        used = _used(self._owned)
        now: dict[str, float] = {}
        for pid, each in used.items():
            if self._only is not None and each.service not in self._only:
                continue
            size = proportional(pid)
            now[each.service] = now.get(each.service, 0) + size
            if each.service == SCHEDULER and _depth(pid, used) >= 2:
                self.task = max(self.task, size)
                self.task_resident = max(self.task_resident, _from_file(f"/proc/{pid}/status", "VmHWM:"))
        self.total = max(self.total, sum(now.values()))
        for service, size in now.items():
            self.services[service] = max(self.services.get(service, 0), size)


def proportional(pid: int) -> float:
    """The PSS of one process in MB; 0 when it is gone."""
    return _from_file(f"/proc/{pid}/smaps_rollup", "Pss:")


def _from_file(name: str, key: str) -> float:
    try:
        lines: Iterable[str] = Path(name).read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) / 1000 for line in lines if line.startswith(key)), 0)


def _used(owned: Owned) -> dict[int, Used]:
    found = {}
    tick = os.sysconf("SC_CLK_TCK")
    for pid, service in owned().items():
        try:
            stat = Path(f"/proc/{pid}/stat").read_text()
        except OSError:
            continue
        fields = stat[stat.rindex(")") + 2 :].split()
        times = [int(each) / tick for each in fields[11:15]]
        found[pid] = Used(int(fields[1]), service, sum(times[:2]), sum(times[2:]))
    return found


def _depth(pid: int, used: Mapping[int, Used]) -> int:
    """How many of a process' ancestors are of its own service."""
    depth = 0
    while (parent := used[pid].parent) in used and used[parent].service == used[pid].service:
        pid, depth = parent, depth + 1
    return depth
