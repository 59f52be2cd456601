"""One row of the demo: what is run, what is injected, what must come out."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from airbed.errors import AirbedError

if TYPE_CHECKING:
    from airbed.bed import Bed


@dataclass(frozen=True)
class Seen:
    """What one play of a scenario came to, whatever it ran: one run, or the runs of a backfill."""

    run_id: str
    state: str
    success: int = 0
    soft: int = 0
    hard: int = 0
    skipped: int = 0
    lost: int = 0
    max_running: int = 0
    tries: Mapping[int, int] = field(default_factory=dict)
    error: str = ""
    problems: tuple[str, ...] = ()


@dataclass(frozen=True)
class Expected:
    """What must come out: the run's state, exact counts, tries above one by map_index, the deciding task's error."""

    state: str
    success: int
    soft: int = 0
    hard: int = 0
    skipped: int = 0
    tries: Mapping[int, int] | None = None
    error: str | None = None


@dataclass(frozen=True)
class Scenario:
    """One row. `cap` is the limit that holds the mapped task; `play` injects, runs and undoes."""

    dag_id: str
    name: str
    injected: str
    cap: int
    play: Callable[[Bed], Seen]
    expected: Expected


@dataclass(frozen=True)
class Row:
    """A scenario that was played, as `airbed demo --json` reports it. `seconds` include injecting and undoing."""

    dag_id: str
    scenario: str
    injected: str
    run_id: str
    state: str
    instances: int
    success: int
    soft: int
    hard: int
    skipped: int
    max_running: int
    cap: int
    seconds: float
    ok: bool
    why: str

    def as_json(self) -> dict[str, Any]:
        """All fields."""
        return asdict(self)


def play(bed: Bed, scenario: Scenario) -> Row:
    """Play a scenario and hold what was seen against what must come out; an error of the bed makes a failed row."""
    start = time.monotonic()
    try:
        seen = scenario.play(bed)
        differences = compare(seen, scenario.expected, scenario.cap)
        why = "; ".join(differences) or seen.error
    except AirbedError as error:
        seen, differences, why = Seen("", "error"), ["error"], " ".join(str(error).split())
    return Row(
        dag_id=scenario.dag_id,
        scenario=scenario.name,
        injected=scenario.injected,
        run_id=seen.run_id,
        state=seen.state,
        instances=seen.success + seen.soft + seen.hard + seen.skipped + seen.lost,
        success=seen.success,
        soft=seen.soft,
        hard=seen.hard,
        skipped=seen.skipped,
        max_running=seen.max_running,
        cap=scenario.cap,
        seconds=round(time.monotonic() - start, 1),
        ok=not differences,
        why=why,
    )


def compare(seen: Seen, expected: Expected, cap: int) -> list[str]:
    """Every way in which what was seen is not what must come out, each in a few words."""
    differences = [
        f"{name} is {getattr(seen, name)!r}, expected {getattr(expected, name)!r}"
        for name in ("state", "success", "soft", "hard", "skipped")
        if getattr(seen, name) != getattr(expected, name)
    ]
    if seen.lost:
        differences.append(f"{seen.lost} instances are lost")
    if seen.max_running > cap:
        differences.append(f"{seen.max_running} instances ran at once, the cap is {cap}")
    if seen.max_running == 0:
        differences.append("no instance was seen running")
    retried = {index: count for index, count in seen.tries.items() if count > 1}
    if expected.tries is not None and retried != dict(expected.tries):
        differences.append(f"tries by map_index are {retried}, expected {dict(expected.tries)}")
    if expected.error is not None and not re.search(expected.error, seen.error):
        differences.append(f"the error is {seen.error!r}, expected one like {expected.error!r}")
    return [*differences, *seen.problems]
