"""Run a DAG on a bed from the trigger to the outcomes of every instance."""

from __future__ import annotations

from datetime import date, datetime
from typing import TYPE_CHECKING, Any

from airbed.errors import UsageError
from airbed.runs.follow import OnProgress, follow
from airbed.runs.model import RunResult
from airbed.runs.outcomes import collect
from airbed.runs.trigger import day_interval, ensure_dag_is_ready, parse_moment, start_run

if TYPE_CHECKING:
    from airbed.runs.protocols import RunBed


def run_dag(
    bed: RunBed,
    dag_id: str,
    *,
    day: date | str | None = None,
    logical_date: datetime | str | None = None,
    conf: dict[str, Any] | None = None,
    timeout: float = 600,
    run_id: str | None = None,
    rerun: bool = False,
    appear: float = 15,
    on_progress: OnProgress | None = None,
) -> RunResult:
    """Trigger a run, follow it, and say what became of every instance.

    `day` is the data interval (that day from 00:00 UTC to the next), `logical_date` leaves the interval to the DAG's
    timetable; at most one of them. `timeout` and `appear` (how long to wait for a DAG that Airflow does not know yet)
    are in seconds. `rerun` clears a run of that date that has ended. A failed run is returned, not raised. Raises
    UsageError for wrong input (unknown DAG, import error, params, taken date), RunFailed when time is up.
    """
    if day is not None and logical_date is not None:
        raise UsageError("give a day or a logical date, not both: a day is its own logical date")
    interval = day_interval(day) if day is not None else None
    moment = parse_moment(logical_date) if logical_date is not None else None
    if ensure_dag_is_ready(bed, dag_id, appear).is_paused:
        bed.airflow.unpause(dag_id)
    run = start_run(bed, dag_id, run_id=run_id, interval=interval, logical_date=moment, conf=conf, rerun=rerun)
    return finish_run(bed, dag_id, run.run_id, timeout=timeout, picked_up=run.picked_up, on_progress=on_progress)


def finish_run(
    bed: RunBed,
    dag_id: str,
    run_id: str,
    *,
    timeout: float = 600,
    picked_up: bool = False,
    on_progress: OnProgress | None = None,
) -> RunResult:
    """Follow a run that exists (one just cleared, say) until it ends; as `run_dag` otherwise."""
    for progress in follow(bed, dag_id, run_id, timeout):
        if on_progress is not None:
            on_progress(progress)
    return collect(bed, dag_id, run_id, picked_up=picked_up)
