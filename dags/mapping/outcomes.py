"""What became of every item of a mapped task: the answer to "how do I aggregate partial failures in Airflow 3".

An aggregator that takes the mapped results sees only the instances that returned something: failed, skipped and
None-returning ones are left out, positions shift, and an all-failed run looks like an empty one. So ask for outcomes
against the list of items instead:

    @task(trigger_rule="all_done")
    def aggregate(items, ti=None):
        summary = Summary("process_item", outcomes(ti, "process_item", items))
        summary.check(max_failed=0.10)

    items = get_items()
    process_item.expand(item=items) >> aggregate(items)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from mapping.recorded import RECORD_KEY, Record, is_soft_failure, soft_error
from mapping.stored import lost_object

if TYPE_CHECKING:
    from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance

NO_RESULT = "succeeded without a result (marked success by hand?)"
NO_RECORD = "failed, no record (killed, or not decorated with @recorded; see the task's log)"


class Kind(StrEnum):
    """How an item ended.

    success: the instance succeeded. soft: it succeeded and returned `{"status": "failed", ...}`. hard: it failed.
    skipped: it was skipped. removed: the list shrank in a later try, so nothing stands for this item any more.
    lost: it never ran, has not ended, or its value is gone from object storage (`without_result_lost`: or never was).
    """

    SUCCESS = "success"
    SOFT = "soft"
    HARD = "hard"
    SKIPPED = "skipped"
    REMOVED = "removed"
    LOST = "lost"


@dataclass(frozen=True)
class Outcome:
    """One item's end.

    `item` is what was mapped (the index when only a count was given), `tries` how often it was tried (None: no record),
    `error` one line (None: nothing went wrong), `value` what the instance returned, `state` Airflow's own word.
    """

    item: Any
    map_index: int
    kind: Kind
    tries: int | None = None
    error: str | None = None
    value: Any = None
    state: str | None = None


def outcomes(
    ti: RuntimeTaskInstance, task_id: str, expected: Sequence[Any] | int | None, *, values: bool = True
) -> list[Outcome]:
    """One outcome for each expected item, in their order, whatever became of it.

    `ti` is the aggregator's own task instance, `task_id` the mapped task of the same run ("group.task" in a group),
    `expected` the list that it was mapped over, or its length; None, which is what a failed upstream hands on, counts
    as an empty list. `values=False` leaves the returned values where they are (large ones): `Outcome.value` is None
    then, and soft failures are known by their record only.

    Takes three requests, whatever the number of instances, when the instances are `@recorded`; without that, one more
    for each instance that did not succeed, and one for each that did if some of those returned None.

    Raises ValueError when the task is not a mapped one, or has more instances than expected: this is then not the list
    that it was mapped over.
    """
    items = list(range(expected)) if isinstance(expected, int) else list(expected or ())
    whole, states = _states(ti, task_id)
    if not states and whole == Kind.SUCCESS:
        raise ValueError(f"{task_id} is not a mapped task: read its value with ti.xcom_pull()")
    # A rerun whose listing fails leaves the instances of the earlier list behind, as upstream_failed.
    surplus = [index for index, state in states.items() if index >= len(items) and state not in _OF_AN_EARLIER_LIST]
    if surplus and expected is not None:
        raise ValueError(
            f"{task_id} has an instance {max(surplus)} but {len(items)} items were expected: "
            "pass outcomes() the same list that the task was mapped over"
        )
    records = {r["map_index"]: r for r in _pull(ti, task_id, RECORD_KEY)} if states else {}
    found = _values(ti, task_id, states, records) if values and states else {}
    return [
        _outcome(item, index, states.get(index, None if states else whole), records.get(index), found.get(index))
        for index, item in enumerate(items)
    ]


def without_result_lost(found: Sequence[Outcome]) -> list[Outcome]:
    """The outcomes with each success that has no value as LOST: for tasks whose every instance returns something.

    An instance that somebody marked success in the UI ran nothing to its end, and has nothing to count.
    """
    return [
        replace(each, kind=Kind.LOST, error=NO_RESULT) if each.kind is Kind.SUCCESS and each.value is None else each
        for each in found
    ]


def _states(ti: RuntimeTaskInstance, task_id: str) -> tuple[str | None, dict[int, str | None]]:
    """The state of the task while it is not expanded, and the state of each instance once it is."""
    answer = ti.get_task_states(dag_id=ti.dag_id, task_ids=[task_id], run_ids=[ti.run_id])
    of_run: dict[str, Any] = answer.get(ti.run_id, {})
    prefix = f"{task_id}_"
    instances = {int(key.removeprefix(prefix)): _word(state) for key, state in of_run.items() if key != task_id}
    return _word(of_run.get(task_id)), instances


def _word(state: Any) -> str | None:
    return None if state is None else str(getattr(state, "value", state))


def _pull(ti: RuntimeTaskInstance, task_id: str, key: str = "return_value") -> list[Any]:
    """All values of the task in map_index order, without gaps, by one request."""
    found = ti.xcom_pull(task_ids=[task_id], key=key)
    return [] if found == [None] else list(found)


def _values(
    ti: RuntimeTaskInstance, task_id: str, states: dict[int, str | None], records: dict[int, Record]
) -> dict[int, Any]:
    """The returned value of each successful instance that has one, by map_index.

    The slice that brings all values in one request does not say whose they are, and an instance that failed, was
    skipped or was removed may have left one too. So positions are used only when they can be accounted for.
    """
    succeeded = [index for index in sorted(states) if states[index] == Kind.SUCCESS]
    carriers = [index for index in succeeded if not (index in records and records[index]["none"])]
    if not carriers:
        return {}
    slice_ = _pull(ti, task_id)
    if not slice_:
        return {}
    others = [index for index in sorted(states) if states[index] != Kind.SUCCESS]
    certain = all(index in records for index in carriers)
    strays: list[int] = []
    if (not certain or len(slice_) != len(carriers)) and len(others) < len(carriers):
        left = ti.xcom_pull(task_ids=[task_id], map_indexes=others)
        strays = [index for index, value in zip(others, left, strict=True) if value is not None]
    accounted = certain or not others or len(others) < len(carriers)
    if accounted and len(slice_) == len(carriers) + len(strays):
        by_index = dict(zip(sorted(carriers + strays), slice_, strict=True))
        return {index: by_index[index] for index in carriers}
    one_by_one = ti.xcom_pull(task_ids=[task_id], map_indexes=carriers)
    return dict(zip(carriers, one_by_one, strict=True))


def _outcome(item: Any, index: int, state: str | None, record: Record | None, value: Any) -> Outcome:
    """Airflow's state, with what the instance recorded and returned, in this library's words."""
    tries = record["try"] if record else None
    said = record["error"] if record else None
    if state == "success":
        if url := lost_object(value):
            return Outcome(item, index, Kind.LOST, tries, f"its XCom object is missing or cut: {url}", None, state)
        soft = is_soft_failure(value) or (value is None and record is not None and record["status"] == "soft")
        error = (soft_error(value) or said) if soft else None
        return Outcome(item, index, Kind.SOFT if soft else Kind.SUCCESS, tries, error, value, state)
    if state == "failed":
        ended_itself = record is not None and record["status"] == "failed"
        return Outcome(item, index, Kind.HARD, tries, said if ended_itself else NO_RECORD, None, state)
    if state == "skipped":
        return Outcome(item, index, Kind.SKIPPED, tries, said, None, state)
    # Whatever XComs such an instance has are of an earlier life: it has not run since the run was cleared.
    kind = Kind.REMOVED if state == "removed" else Kind.LOST
    return Outcome(item, index, kind, None, _WITHOUT_END.get(state, f"not ended: its state is {state}"), None, state)


_OF_AN_EARLIER_LIST = {"removed", "upstream_failed"}
_WITHOUT_END = {
    "removed": "removed: the list shrank in a later try",
    "upstream_failed": "not run: upstream failed",
    None: "never expanded: no such instance",
}
