"""`mapping.outcomes` on a real Airflow: each kind of end, with its index, tries, error and value."""

from __future__ import annotations

from typing import Any

import pytest

from airbed.runs.execute import finish_run

NO_RECORD = "failed, no record (killed, or not decorated with @recorded; see the task's log)"
NOT_RUN = "not run: upstream failed"
SOFT = {"status": "failed", "error": "soft as butter"}


def told(result: Any) -> dict[str, Any]:
    """What the run's aggregator returned."""
    value = result.singles["collect"].value
    assert isinstance(value, dict), f"collect has no value: {result.singles['collect']}"
    return value


def test_recorded_instances(run_dag: Any) -> None:
    kinds = ["value", "none", "soft", "fail", "skip", "zero", "retry", "kill", "exhaust", "push"]
    found = told(run_dag("mapping_outcomes", conf={"kinds": kinds}))
    assert found["work"] == [
        [0, "success", 1, {"v": "value"}, None],
        [1, "success", 1, None, None],
        [2, "soft", 1, SOFT, "soft as butter"],
        [3, "hard", 1, None, "AirflowFailException: hard as stone"],
        [4, "skipped", 1, None, "not today"],
        [5, "success", 1, 0, None],
        [6, "success", 2, {"v": "retry"}, None],
        [7, "hard", None, None, NO_RECORD],
        [8, "hard", 2, None, "ValueError: in vain"],
        [9, "hard", 1, None, "AirflowFailException: pushed"],
    ]
    assert found["plain"] == [
        [0, "success", None, {"v": "value"}, None],
        [1, "success", None, None, None],
        [2, "soft", None, SOFT, "soft as butter"],
        [3, "hard", None, None, NO_RECORD],
        [4, "skipped", None, None, None],
        [5, "success", None, 0, None],
        [6, "success", None, {"v": "retry"}, None],
        [7, "hard", None, None, NO_RECORD],
        [8, "hard", None, None, NO_RECORD],
        [9, "hard", None, None, NO_RECORD],
    ]
    assert found["group.one"] == found["work"]
    assert found["group.two"] == [
        [0, "success", 1, {"v": "value"}, None],
        [1, "success", 1, None, None],
        [2, "soft", 1, SOFT, "soft as butter"],
        [3, "lost", None, None, NOT_RUN],
        [4, "skipped", None, None, None],
        [5, "success", 1, 0, None],
        [6, "success", 1, {"v": "retry"}, None],
        [7, "lost", None, None, NOT_RUN],
        [8, "lost", None, None, NOT_RUN],
        [9, "lost", None, None, NOT_RUN],
    ]


def test_an_empty_list_has_no_outcomes(run_dag: Any) -> None:
    found = told(run_dag("mapping_outcomes", conf={"kinds": []}))
    assert found == {"work": [], "plain": [], "group.one": [], "group.two": []}


def test_a_failed_listing(run_dag: Any) -> None:
    assert told(run_dag("mapping_outcomes", conf={"kinds": None}))["work"] == []
    found = told(run_dag("mapping_outcomes", conf={"kinds": None, "expected": 2}))
    lost = [[0, "lost", None, None, NOT_RUN], [1, "lost", None, None, NOT_RUN]]
    assert (found["work"], found["plain"]) == (lost, lost)


@pytest.mark.parametrize("expected", [None, 4])
def test_a_rerun_with_a_shorter_list(bed: Any, run_dag: Any, expected: int | None) -> None:
    conf = {"kinds": ["value", "zero", "value", "soft"], "then": ["none", "value"], "expected": expected}
    first = run_dag("mapping_outcomes", conf=conf)
    assert [each[1] for each in told(first)["work"]] == ["success", "success", "success", "soft"]
    bed.airflow.clear("mapping_outcomes", first.run_id)
    found = told(finish_run(bed, "mapping_outcomes", first.run_id))
    gone = "removed: the list shrank in a later try"
    removed = [[2, "removed", None, None, gone], [3, "removed", None, None, gone]] if expected else []
    assert found["plain"] == [
        [0, "success", None, None, None],
        [1, "success", None, {"v": "value"}, None],
        *removed,
    ]
    # a clear goes on counting tries
    assert found["work"] == [[0, "success", 2, None, None], [1, "success", 2, {"v": "value"}, None], *removed]


def test_a_rerun_whose_listing_fails(bed: Any, run_dag: Any) -> None:
    first = run_dag("mapping_outcomes", conf={"kinds": ["value", "zero"], "then": "boom"})
    assert [each[1] for each in told(first)["work"]] == ["success", "success"]
    bed.airflow.clear("mapping_outcomes", first.run_id)
    assert told(finish_run(bed, "mapping_outcomes", first.run_id))["work"] == []


@pytest.mark.timeout(1000)
def test_500_instances_take_three_requests(run_dag: Any) -> None:
    found = told(run_dag("mapping_outcomes_500", timeout=900))
    assert (found["found"], found["wrong"]) == (500, [])
    assert found["sent"] == {"GetTaskStates": 1, "GetXComSequenceSlice": 2}
