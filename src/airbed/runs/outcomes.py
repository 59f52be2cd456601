"""What became of every instance of a run, from the metadata database and, for error lines, from the logs.

The expected instances come from the lists that the mapped tasks expand over, never from the results: Airflow leaves
failed, skipped and None-returning instances out of those.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from airbed.errors import AirbedError, UsageError
from airbed.runs.concurrency import highest, highest_by, seconds_of_work
from airbed.runs.model import Instance, MappedTask, Outcome, RunResult
from airbed.runs.structure import caps, expected_lengths

if TYPE_CHECKING:
    from airbed.clients.rows import Attempt, InstanceRow, XComRow
    from airbed.runs.protocols import RunBed

RECORD_KEY = "outcome"  # what `dags/mapping`'s @recorded pushes
LOGS_READ = 50
READERS = 8
_OUTCOMES: dict[str | None, Outcome] = {
    "success": "success",
    "failed": "hard",
    "skipped": "skipped",
    "removed": "removed",
    "upstream_failed": "upstream_failed",
}
Place = tuple[str, int]


@dataclass(frozen=True)
class Facts:
    """What is known of a run: values and records by (task_id, map_index), expected lengths and caps by task."""

    rows: Sequence[InstanceRow]
    attempts: Sequence[Attempt]
    values: Mapping[Place, Any]
    records: Mapping[Place, Any]
    expected: Mapping[str, int | None]
    ended: bool
    caps: Mapping[str, int] = field(default_factory=dict)


def collect(bed: RunBed, dag_id: str, run_id: str, *, picked_up: bool = False) -> RunResult:
    """The outcomes of a run as it is now; UsageError when there is no such run."""
    run = bed.metadata.run(dag_id, run_id)
    if run is None:
        raise UsageError(
            f"DAG '{dag_id}' has no run '{run_id}'; its runs are in the UI, or: airbed run {dag_id} --help"
        )
    facts = _gather(bed, dag_id, run_id, run.ended)
    tasks, singles = classify(facts)
    tasks, singles = with_errors(tasks, singles, lambda each: _error_from_log(bed, dag_id, run_id, each))
    seconds = (run.end_date - run.start_date).total_seconds() if run.start_date and run.end_date else 0.0
    return RunResult(
        dag_id, run_id, run.state, seconds, tasks, singles, highest(facts.attempts), run.logical_date, picked_up
    )


def classify(facts: Facts) -> tuple[dict[str, MappedTask], dict[str, Instance]]:
    """Mapped tasks and the other tasks' instances, by task id; errors as far as values and records tell them."""
    rows: dict[str, dict[int, InstanceRow]] = defaultdict(dict)
    for row in facts.rows:
        rows[row.task_id][row.map_index] = row
    attempts: dict[Place, list[Attempt]] = defaultdict(list)
    for attempt in facts.attempts:
        attempts[attempt.task_id, attempt.map_index].append(attempt)
    most = highest_by(facts.attempts, lambda each: each.task_id)

    mapped = {*facts.expected, *(task_id for task_id, found in rows.items() if max(found) >= 0)}
    tasks: dict[str, MappedTask] = {}
    singles: dict[str, Instance] = {}
    for task_id in _in_order(rows, facts.attempts, mapped):
        found = rows.get(task_id, {})
        if task_id not in mapped:
            singles[task_id] = _instance(facts, found[-1], attempts)
            continue
        expected = facts.expected.get(task_id)
        instances = tuple(
            _instance(facts, found[index], attempts) if index in found else _missing(task_id, index, facts.ended)
            for index in _indexes(found, expected)
        )
        tasks[task_id] = MappedTask(task_id, expected, instances, most.get(task_id, 0), facts.caps.get(task_id))
    return tasks, singles


def outcome_of(state: str | None, value: Any, record: Any, *, ended: bool) -> Outcome:
    """The outcome of one instance from its Airflow state, its return value and its own record."""
    outcome = _OUTCOMES.get(state)
    if outcome is None:
        return "lost" if ended else "unfinished"
    if outcome == "success" and (_says_failed(value) or (isinstance(record, dict) and record.get("status") == "soft")):
        return "soft"
    return outcome


def with_errors(
    tasks: Mapping[str, MappedTask], singles: Mapping[str, Instance], read: Callable[[Instance], str | None]
) -> tuple[dict[str, MappedTask], dict[str, Instance]]:
    """The same with an error line for each hard failure that has none yet: `read` is called for at most 50, at once."""
    everything = [each for task in tasks.values() for each in task.instances] + list(singles.values())
    silent = [each for each in everything if each.state == "hard" and each.error is None][:LOGS_READ]
    lines: dict[str, str | None] = {}
    if silent:
        from concurrent.futures import ThreadPoolExecutor

        with ThreadPoolExecutor(READERS) as pool:
            lines = dict(zip((each.name for each in silent), pool.map(read, silent), strict=True))

    def told(each: Instance) -> Instance:
        if each.state != "hard" or each.error is not None:
            return each
        return replace(each, error=lines.get(each.name) or "failed, no record and no exception in its log")

    return (
        {name: replace(task, instances=tuple(told(each) for each in task.instances)) for name, task in tasks.items()},
        {name: told(each) for name, each in singles.items()},
    )


def _gather(bed: RunBed, dag_id: str, run_id: str, ended: bool) -> Facts:
    metadata = bed.metadata
    values = metadata.xcoms(dag_id, run_id)
    pushed: dict[str, int] = defaultdict(int)
    for each in values:
        pushed[each.task_id] += each.map_index >= 0
    structure = metadata.structure(dag_id, run_id)
    expected = expected_lengths(structure, metadata.map_lengths(dag_id, run_id), pushed) if structure else {}
    return Facts(
        rows=metadata.instances(dag_id, run_id),
        attempts=metadata.attempts(dag_id, [run_id]),
        values=_by_place(values),
        records=_by_place(metadata.xcoms(dag_id, run_id, RECORD_KEY)),
        expected=expected,
        ended=ended,
        caps=caps(structure) if structure else {},
    )


def _by_place(xcoms: Iterable[XComRow]) -> dict[Place, Any]:
    return {(each.task_id, each.map_index): each.value for each in xcoms}


def _in_order(rows: Mapping[str, Any], attempts: Sequence[Attempt], mapped: set[str]) -> list[str]:
    """Task ids by first start, then what never started: the order in which a reader follows a run."""
    started = dict.fromkeys(each.task_id for each in attempts)
    return [each for each in (*started, *sorted({*rows, *mapped} - set(started))) if each in rows or each in mapped]


def _indexes(found: Mapping[int, InstanceRow], expected: int | None) -> list[int]:
    if -1 in found:  # never expanded
        state = found[-1].state
        if expected == 0 and state in {"skipped", None}:
            return []
        if state is not None or not expected:
            return [-1]
    return sorted({*(index for index in found if index >= 0), *range(expected or 0)})


def _instance(facts: Facts, row: InstanceRow, attempts: Mapping[Place, Sequence[Attempt]]) -> Instance:
    place = (row.task_id, row.map_index)
    value, record = facts.values.get(place), facts.records.get(place)
    tried = attempts.get(place, ())
    outcome = outcome_of(row.state, value, record, ended=facts.ended)
    return Instance(
        row.task_id,
        row.map_index,
        outcome,
        row.state,
        row.try_number,
        _known_error(outcome, value, record),
        value,
        seconds_of_work(tried),
        min((each.start_date for each in tried), default=None),
        row.end_date if tried else None,
    )


def _missing(task_id: str, index: int, ended: bool) -> Instance:
    error = "expected from the upstream list, but Airflow has no such instance" if ended else None
    return Instance(task_id, index, "lost" if ended else "unfinished", None, 0, error)


def _known_error(outcome: Outcome, value: Any, record: Any) -> str | None:
    if outcome == "lost":
        return "not finished when the run ended"
    if outcome not in {"hard", "soft"}:
        return None
    if isinstance(record, dict) and record.get("error"):
        return " ".join(str(record["error"]).split())
    if outcome == "soft" and isinstance(value, dict):
        text = next(
            (value[key] for key in ("error", "reason", "message") if value.get(key)), 'returned status "failed"'
        )
        return " ".join(str(text).split())
    return None


def _says_failed(value: Any) -> bool:
    return isinstance(value, dict) and value.get("status") == "failed"


def _error_from_log(bed: RunBed, dag_id: str, run_id: str, each: Instance) -> str | None:
    from airbed.clients.tasklog import error_line

    try:
        return error_line(bed.airflow.log_events(dag_id, run_id, each.task_id, each.map_index, each.tries))
    except AirbedError as error:
        return f"failed, no record (its log cannot be read: {error})"
