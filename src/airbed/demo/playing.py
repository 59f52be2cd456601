"""What the scenarios of all patterns share: play a run and look at one mapped task of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airbed.demo.scenario import Seen
from airbed.runs.execute import finish_run, run_dag
from airbed.runs.outcomes import collect

if TYPE_CHECKING:
    from airbed.bed import Bed
    from airbed.runs.model import RunResult

TIMEOUT = 300.0


def run(bed: Bed, dag_id: str, **options: Any) -> RunResult:
    """Run a DAG and wait for its end, at most five minutes."""
    return run_dag(bed, dag_id, timeout=TIMEOUT, **options)


def clear_and_rerun(bed: Bed, result: RunResult, task_ids: Sequence[str]) -> RunResult:
    """Clear tasks of a run that has ended and wait until it has ended again."""
    bed.airflow.clear(result.dag_id, result.run_id, list(task_ids))
    return finish_run(bed, result.dag_id, result.run_id, timeout=TIMEOUT)


def seen(result: RunResult, task: str, decider: str, problems: Sequence[str] = ()) -> Seen:
    """A run as its mapped task `task` and the task that decides it, `decider`, show it."""
    mapped = result.task(task)
    error = result.single(decider).error or ""
    return Seen(
        run_id=result.run_id,
        state=result.state,
        success=mapped.success,
        soft=mapped.soft,
        hard=mapped.hard,
        skipped=mapped.skipped,
        lost=mapped.lost + mapped.upstream_failed + mapped.removed,
        max_running=mapped.max_running,
        tries={each.map_index: each.tries for each in mapped.instances},
        error=error,
        problems=tuple(problems),
    )


def seen_runs(bed: Bed, name: str, dag_id: str, run_ids: Sequence[str], task: str, max_running: int) -> Seen:
    """Several runs of a DAG as one: counts added up, `success` only if every run is one."""
    results = [collect(bed, dag_id, each) for each in run_ids]
    mapped = [each.task(task) for each in results]
    states = {each.state for each in results}
    return Seen(
        run_id=name,
        state=states.pop() if len(states) == 1 else "failed",
        success=sum(each.success for each in mapped),
        soft=sum(each.soft for each in mapped),
        hard=sum(each.hard for each in mapped),
        skipped=sum(each.skipped for each in mapped),
        lost=sum(each.lost + each.upstream_failed + each.removed for each in mapped),
        max_running=max_running,
    )
