"""How a bed came up: which service waited for which, from when to when."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from airbed.bed import Bed


@dataclass(frozen=True)
class Moment:
    """One service. Seconds since the first service was asked for.

    It waited until `free`, when the last of those it needs (`waited_for`, None: it needs none) was ready; then its data
    were made until `started`, when its process began; then it was not `ready` yet.
    """

    service: str
    waited_for: str | None
    free: float
    started: float
    ready: float


class Lines:
    """A progress callback that passes lines on and remembers when each came (monotonic clock)."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self.came: list[tuple[float, str]] = []

    def __call__(self, line: str) -> None:
        """Note a line."""
        self.came.append((time.monotonic(), line))
        self._say(line)


def origin(came: Sequence[tuple[float, str]], ready: Mapping[str, float]) -> float | None:
    """When the first service was asked for, from the lines that say how long each one took; None without such a line.

    The least is taken: a busy machine prints a line late, never early.
    """
    found = [
        moment - ready[service]
        for moment, line in came
        for service in [line.partition(" ready after ")[0]]
        if service in ready
    ]
    return min(found, default=None)


def timeline(
    after: Mapping[str, Sequence[str]], started: Mapping[str, float], ready: Mapping[str, float]
) -> list[Moment]:
    """The moments of every service that became ready, in the order of their being free to start, then of readiness."""
    found = []
    for service, end in ready.items():
        waited_for = max(
            (each for each in after.get(service, ()) if each in ready), key=ready.__getitem__, default=None
        )
        free = ready[waited_for] if waited_for else 0.0
        # A clock tick is 10 ms: the process may seem to have begun before it was asked for.
        began = min(max(started.get(service, free), free), end)
        found.append(Moment(service, waited_for, free, began, end))
    return sorted(found, key=lambda each: (each.free, each.ready))


def critical_path(moments: Sequence[Moment]) -> list[str]:
    """The service that was ready last, and whom it waited for, back to the first."""
    by_name = {each.service: each for each in moments}
    path: list[str] = []
    name = max(moments, key=lambda each: each.ready).service if moments else None
    while name in by_name and name not in path:
        path.insert(0, name)
        name = by_name[name].waited_for
    return path


def of_bed(bed: Bed, came: Sequence[tuple[float, str]], ready: Mapping[str, float]) -> list[Moment]:
    """The timeline of a bed that has just been brought up on the embedded substrate."""
    from airbed.substrates.embedded import parts

    programs = parts.programs(bed.settings, bed.files, bed.spec, bed.endpoints, lambda line: None)
    zero = origin(came, ready)
    started = {}
    for each in bed.substrate.status():
        moment = process_start(each.pid) if each.pid and zero is not None else None
        if moment is not None and zero is not None:
            started[each.name] = moment - zero
    return timeline({each.name: each.after for each in programs}, started, ready)


def process_start(pid: int) -> float | None:
    """When a process began, on the monotonic clock, to 10 ms; None when it is gone."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    ticks = int(stat[stat.rindex(")") + 2 :].split()[19])
    asleep = time.clock_gettime(time.CLOCK_BOOTTIME) - time.monotonic()
    return ticks / os.sysconf("SC_CLK_TCK") - asleep
