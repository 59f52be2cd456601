"""Backfills: create one, follow it day by day, and count how much ran at once."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, timezone, tzinfo
from datetime import time as time_of_day
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from airbed.errors import RunFailed, UsageError
from airbed.runs.concurrency import highest, highest_by
from airbed.runs.trigger import ensure_dag_is_ready, parse_day

if TYPE_CHECKING:
    from airbed.clients.rows import BackfillDay, RunRow
    from airbed.runs.protocols import RunBed

POLL = 0.5


@dataclass(frozen=True)
class Day:
    """One logical date of a backfill.

    `state` is its run's state, or `skipped` when the backfill made no run; `reason` says why (`already exists`,
    `in flight`). `seconds` is the run's time.
    """

    logical_date: datetime | None
    run_id: str | None
    state: str
    reason: str | None
    seconds: float


@dataclass(frozen=True)
class BackfillResult:
    """A backfill that has ended. `max_runs` runs and `max_running` instances (also by task) were seen at once."""

    dag_id: str
    backfill_id: int
    max_active_runs: int
    days: tuple[Day, ...]
    max_runs: int
    max_running: int
    max_running_by_task: dict[str, int]
    seconds: float

    @property
    def ok(self) -> bool:
        """Whether no day's run failed."""
        return all(each.state != "failed" for each in self.days)

    @property
    def run_ids(self) -> list[str]:
        """The runs it made, by day."""
        return [each.run_id for each in self.days if each.run_id]

    def to_json(self) -> dict[str, Any]:
        """`{"dag_id", "backfill_id", "max_active_runs", "max_runs", "max_running", ..., "days": [...]}`."""
        return {
            "dag_id": self.dag_id,
            "backfill_id": self.backfill_id,
            "ok": self.ok,
            "max_active_runs": self.max_active_runs,
            "max_runs": self.max_runs,
            "max_running": self.max_running,
            "max_running_by_task": self.max_running_by_task,
            "seconds": round(self.seconds, 3),
            "days": [
                {
                    "logical_date": each.logical_date.isoformat() if each.logical_date else None,
                    "run_id": each.run_id,
                    "state": each.state,
                    "reason": each.reason,
                    "seconds": round(each.seconds, 3),
                }
                for each in self.days
            ],
        }


def run_backfill(
    bed: RunBed,
    dag_id: str,
    first: date | str,
    last: date | str,
    *,
    max_active_runs: int | None = None,
    reprocess: str = "none",
    conf: dict[str, Any] | None = None,
    timeout: float = 3600,
    appear: float = 15,
    on_progress: Callable[[Sequence[BackfillDay], float], None] | None = None,
) -> BackfillResult:
    """Backfill the logical dates of the days `first` to `last`, both whole, and follow it to its end.

    A day is one of the DAG's time zone. `max_active_runs` None takes the DAG's own limit: Airflow would take 10, and a
    backfill's limit wins over the DAG's.
    `timeout` and `appear` are in seconds. UsageError for wrong input (dates, no periodic schedule, a backfill under
    way), RunFailed when time is up: the backfill goes on. `on_progress` gets the days and the seconds so far.
    """
    backfill_id, limit = begin_backfill(
        bed, dag_id, first, last, max_active_runs=max_active_runs, reprocess=reprocess, conf=conf, appear=appear
    )
    began = time.monotonic()
    while True:
        days = bed.metadata.backfill_days(backfill_id)
        seconds = time.monotonic() - began
        if on_progress is not None:
            on_progress(days, seconds)
        waiting = [each for each in days if each.run_id and each.state not in {"success", "failed"}]
        if not waiting:
            _complete_done(bed, dag_id)
            return _result(bed, dag_id, days, backfill_id=backfill_id, limit=limit, seconds=seconds)
        if seconds > timeout:
            raise RunFailed(
                f"backfill {backfill_id} of {dag_id} did not end within {timeout:g} s: {len(waiting)} of "
                f"{len(days)} days are not done, first {waiting[0].run_id} ({waiting[0].state}); it goes on in Airflow"
            )
        time.sleep(POLL)


def begin_backfill(
    bed: RunBed,
    dag_id: str,
    first: date | str,
    last: date | str,
    *,
    max_active_runs: int | None = None,
    reprocess: str = "none",
    conf: dict[str, Any] | None = None,
    appear: float = 15,
) -> tuple[int, int]:
    """Create a backfill as `run_backfill` does, without waiting for it; returns its id and its max_active_runs."""
    first, last = parse_day(first), parse_day(last)
    if first > last:
        raise UsageError(f"--from {first} is after --to {last}: swap them")
    if max_active_runs is not None and max_active_runs < 1:
        raise UsageError(f"max_active_runs is {max_active_runs}: it must be 1 or more")
    ensure_dag_is_ready(bed, dag_id, appear)
    dag = bed.airflow.dag(dag_id)
    start, end = _range(first, last, _zone(bed, dag_id))
    limit = max_active_runs or int(dag["max_active_runs"] or 16)
    backfill_id = _create(bed, dag_id, start, end, max_active_runs=limit, reprocess=reprocess, conf=conf)
    if dag["is_paused"]:
        bed.airflow.unpause(dag_id)
    return backfill_id, limit


def _create(bed: RunBed, dag_id: str, start: datetime, end: datetime, **options: Any) -> int:
    from airbed.clients.rest import BadRequest

    _complete_done(bed, dag_id)
    try:
        return bed.airflow.create_backfill(dag_id, start, end, **options)
    except BadRequest as error:
        raise UsageError(f"Airflow refuses to backfill {dag_id}: {error.detail}") from error


def _complete_done(bed: RunBed, dag_id: str) -> None:
    """Complete backfills that are done: the scheduler does so up to 30 s late, and no other may start before."""
    from airbed.clients.rest import BadRequest

    for backfill_id in bed.metadata.done_backfills(dag_id):
        try:
            bed.airflow.cancel_backfill(backfill_id)  # nothing is queued, so this only sets completed_at
        except BadRequest as error:
            if error.status != 409:  # 409: the scheduler was faster
                raise


def _result(
    bed: RunBed, dag_id: str, days: Sequence[BackfillDay], *, backfill_id: int, limit: int, seconds: float
) -> BackfillResult:
    made = [each.run_id for each in days if each.run_id]
    runs = {each.run_id: each for each in bed.metadata.runs(dag_id) if each.run_id in set(made)}
    attempts = bed.metadata.attempts(dag_id, made) if made else []
    return BackfillResult(
        dag_id,
        backfill_id,
        limit,
        tuple(_day(each, runs) for each in days),
        highest([_Span(each.start_date, each.end_date) for each in runs.values() if each.start_date]),
        highest(attempts),
        highest_by(attempts, lambda each: each.task_id),
        seconds,
    )


@dataclass(frozen=True)
class _Span:
    start_date: datetime
    end_date: datetime | None


def _day(each: BackfillDay, runs: dict[str, RunRow]) -> Day:
    run = runs.get(each.run_id or "")
    seconds = (run.end_date - run.start_date).total_seconds() if run and run.start_date and run.end_date else 0.0
    return Day(each.logical_date, each.run_id, each.state or "skipped", each.reason, seconds)


def _zone(bed: RunBed, dag_id: str) -> tzinfo:
    """The DAG's time zone, as it is serialised: a name, or seconds east of UTC."""
    structure = bed.metadata.structure(dag_id)
    zone = structure["dag"].get("timezone", "UTC") if structure else "UTC"
    return ZoneInfo(zone) if isinstance(zone, str) else timezone(timedelta(seconds=zone))


def _range(first: date, last: date, zone: tzinfo) -> tuple[datetime, datetime]:
    """The first moment of one day and the last of another, in UTC; Airflow takes logical dates up to that one."""
    start, end = datetime.combine(first, time_of_day.min, zone), datetime.combine(last, time_of_day.max, zone)
    return start.astimezone(UTC), end.astimezone(UTC)
