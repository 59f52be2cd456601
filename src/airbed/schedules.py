"""Let DAGs start runs by themselves for a while: otherwise a bed has only the runs that somebody asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from airbed.bed import Bed


def _quiet(line: str) -> None:
    pass


@contextmanager
def schedules_on(bed: Bed, *dag_ids: str, progress: Callable[[str], None] = _quiet) -> Iterator[None]:
    """Within the block these DAGs start runs by their schedules, catch-up included; every other DAG is paused.

    The scheduler is restarted at both ends ([scheduler] use_job_schedule is read once). At the end every DAG is as
    paused as it was, and runs that have not ended go on; an instance that runs at that moment is ended with the
    scheduler and tried again, so pause the DAG (`bed.airflow.pause`) and wait first if that matters. A catch-up has no
    end date of its own: pause the DAG when enough runs exist, and delete those too many. The bed is locked against
    other commands during the two restarts only.

    Raises UsageError for an unknown DAG, with nothing changed.
    """
    for dag_id in dag_ids:
        bed.airflow.dag(dag_id)
    before = {dag_id: _is_paused(bed, dag_id) for dag_id in {*bed.metadata.dag_ids(), *dag_ids}}
    was_on = bed.spec.schedules
    try:
        for dag_id, paused in before.items():
            if not paused:
                bed.airflow.pause(dag_id)
        _restart_scheduler(bed, schedules=True, progress=progress)
        for dag_id in dag_ids:
            bed.airflow.unpause(dag_id)
        yield
    finally:
        for dag_id in dag_ids:
            bed.airflow.pause(dag_id)
        _restart_scheduler(bed, schedules=was_on, progress=progress)
        for dag_id, paused in before.items():
            if not paused:
                bed.airflow.unpause(dag_id)


def _is_paused(bed: Bed, dag_id: str) -> bool:
    row = bed.metadata.dag(dag_id)
    return row is None or row.is_paused


def _restart_scheduler(bed: Bed, *, schedules: bool, progress: Callable[[str], None]) -> None:
    from airbed.locks import locked

    # Not for the whole block: what is tested in it may be a command that changes the bed.
    with locked(bed.files, progress):
        bed.spec = replace(bed.spec, schedules=schedules)
        bed.substrate.reconfigure(bed.spec, ["scheduler"], progress)
