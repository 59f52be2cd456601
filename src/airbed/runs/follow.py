"""Following a run or a backfill until it ends, with progress on the way."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from airbed.errors import RunFailed, UsageError

if TYPE_CHECKING:
    from airbed.runs.protocols import RunBed

POLL = 0.3
_ORDER = (
    "success",
    "failed",
    "upstream_failed",
    "skipped",
    "removed",
    "running",
    "up_for_retry",
    "queued",
    "scheduled",
)


@dataclass(frozen=True)
class Progress:
    """How far a run is: its state, its instances by Airflow state (`none`: not looked at), seconds since following."""

    run_id: str
    state: str
    counts: Mapping[str, int]
    seconds: float

    @property
    def ended(self) -> bool:
        """Whether the run is over."""
        return self.state in {"success", "failed"}

    def __str__(self) -> str:
        """`running: 12 success, 1 failed, 8 running`."""
        return f"{self.state}: {describe(self.counts)}"


OnProgress = Callable[[Progress], None]


def describe(counts: Mapping[str, int]) -> str:
    """`12 success, 1 failed, 8 running`: what is done first, what waits last."""
    names = [*(each for each in _ORDER if each in counts), *(each for each in counts if each not in _ORDER)]
    return ", ".join(f"{counts[name]} {'waiting' if name == 'none' else name}" for name in names) or "nothing yet"


def follow(bed: RunBed, dag_id: str, run_id: str, timeout: float, poll: float = POLL) -> Iterator[Progress]:
    """The run's progress each `poll` seconds, the last one when it has ended.

    RunFailed after `timeout` seconds, naming what is not finished; the run itself goes on.
    """
    began = time.monotonic()
    while True:
        run = bed.metadata.run(dag_id, run_id)
        if run is None:
            raise UsageError(f"run {run_id} of {dag_id} was deleted while it was followed")
        seconds = time.monotonic() - began
        progress = Progress(run_id, run.state, bed.metadata.state_counts(dag_id, run_id), seconds)
        yield progress
        if progress.ended:
            return
        if seconds > timeout:
            raise RunFailed(_too_late(bed, dag_id, run_id, timeout))
        time.sleep(poll)


def _too_late(bed: RunBed, dag_id: str, run_id: str, timeout: float) -> str:
    done = {"success", "failed", "skipped", "removed", "upstream_failed"}
    waiting = [each for each in bed.metadata.instances(dag_id, run_id) if each.state not in done]
    named = ", ".join(
        f"{each.task_id}{f'[{each.map_index}]' if each.map_index >= 0 else ''} {each.state or 'waiting'}"
        for each in waiting[:5]
    )
    more = f" and {len(waiting) - 5} more" if len(waiting) > 5 else ""
    return (
        f"run {run_id} of {dag_id} did not end within {timeout:g} s; not finished: {named or 'nothing'}{more}; "
        "see: airbed logs scheduler, or give it longer with --timeout"
    )
