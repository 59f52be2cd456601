"""Pattern 4 on a bed: soft, recoverable and hard failures told apart, each named in the report with its tries."""

from __future__ import annotations

from typing import Any

import pytest
from helpers import assert_metrics

from airbed.runs.execute import finish_run

DAG = "resilient_processing"
BY_POLICY = "resilient_processing_retry_policy"
NEVER_HEALS = 99
NO_RECORD = "failed, no record (killed, or not decorated with @recorded; see the task's log)"


def retried(task: Any) -> dict[int, int]:
    """The number of tries of each instance that had more than one, by map_index."""
    return {index: tries for index, tries in enumerate(task.tries) if tries != 1}


def failed_item(index: int, kind: str, tries: int | None, error: str) -> dict[str, Any]:
    """An entry of the report."""
    return {"id": f"item-{index:03}", "map_index": index, "kind": kind, "tries": tries, "error": error}


def logged(bed: Any, result: Any) -> str:
    """The log of the last try of `aggregate`."""
    return str(bed.airflow.log(result.dag_id, result.run_id, "aggregate", -1, result.single("aggregate").tries))


def test_clean(bed: Any, run_dag: Any) -> None:
    bed.director.reset_metrics()
    result = run_dag(DAG)

    assert result.state == "success"
    task = result.task("process_item")
    assert (task.expected, task.success, task.cap) == (100, 100, 16)
    assert task.tries == [1] * 100
    assert task.values == [{"status": "ok", "id": f"item-{number:03}", "result": number * 2} for number in range(100)]
    assert 1 < task.max_running <= 16
    assert result.single("aggregate").value == {
        "items": 100, "success": 100, "soft": 0, "hard": 0, "skipped": 0, "removed": 0, "lost": 0, "failed_items": [],
    }  # fmt: skip
    assert_metrics(bed, success=100, soft=0, hard=0)


def test_failures_under_the_threshold_are_accounted_one_by_one(bed: Any, run_dag: Any) -> None:
    """2 of 40 failed hard is exactly the limit of 5 %, which passes, however many failed softly."""
    bed.director.reset_metrics()
    conf = {
        "items": 40,
        "recoverable": {"item-003": 2, "item-007": 1, "item-020": NEVER_HEALS},
        "fatal": ["item-011", "item-030", "item-031"],
    }
    always = {"dag_id": DAG, "task_id": "process_item", "action": "kill", "map_index": [25]}
    once = {"dag_id": DAG, "task_id": "process_item", "action": "kill", "map_index": [33], "try_number": 1}
    with bed.director.task_rule(**always) as killer, bed.director.task_rule(**once, when="after"):
        result = run_dag(DAG, conf=conf)
        killed = bed.director.journal(kind="fired", run_id=result.run_id, rule=killer)

    assert result.state == "success"
    task = result.task("process_item")
    assert (task.indexes("soft"), task.indexes("hard"), task.success) == ([11, 30, 31], [20, 25], 35)
    assert retried(task) == {3: 3, 7: 2, 20: 3, 25: 3, 33: 2}
    assert [(each["map_index"], each["try_number"]) for each in killed] == [(25, 1), (25, 2), (25, 3)]
    report = result.single("aggregate").value
    assert report == {
        "items": 40, "success": 35, "soft": 3, "hard": 2, "skipped": 0, "removed": 0, "lost": 0,
        "failed_items": [
            failed_item(11, "soft", 1, "amount is 'not a number'"),
            failed_item(20, "hard", 3, "RecoverableError: the service does not answer for item-020"),
            failed_item(25, "hard", None, NO_RECORD),
            failed_item(30, "soft", 1, "amount is 'not a number'"),
            failed_item(31, "soft", 1, "amount is 'not a number'"),
        ],
    }  # fmt: skip
    log = logged(bed, result)
    assert "item-020 (map_index 20): hard, 3 tries: RecoverableError: the service does not answer for item-020" in log
    assert f"item-025 (map_index 25): hard, tries unknown: {NO_RECORD}" in log
    for index in (11, 30, 31):
        assert f"item-{index:03} (map_index {index}): soft, 1 try: amount is 'not a number'" in log
    assert_metrics(bed, success=35, soft=3, hard=2)


def test_over_the_threshold_fails_and_clearing_what_failed_turns_it_green(bed: Any, run_dag: Any) -> None:
    """1 soft failure counts nothing against the limit, 2 hard ones of 20 are over it; their services then come back."""
    bed.director.reset_metrics()
    conf = {"items": 20, "recoverable": {"item-004": 3, "item-009": 3}, "fatal": ["item-015"]}
    result = run_dag(DAG, conf=conf)

    assert result.state == "failed"
    task = result.task("process_item")
    assert (task.indexes("soft"), task.indexes("hard"), task.success) == ([15], [4, 9], 17)
    assert retried(task) == {4: 3, 9: 3}
    decider = result.single("aggregate")
    assert (decider.state, decider.tries) == ("hard", 1)
    numbers = "process_item: 20 items: success 17, soft 1, hard 2, skipped 0: 10.0% failed hard, the limit is 5%"
    assert numbers in decider.error
    log = logged(bed, result)
    for said in (
        numbers,
        "item-004 (map_index 4): hard, 3 tries: RecoverableError: the service does not answer for item-004",
        "item-009 (map_index 9): hard, 3 tries: RecoverableError: the service does not answer for item-009",
        "item-015 (map_index 15): soft, 1 try: amount is 'not a number'",
    ):
        assert said in log
    assert_metrics(bed, success=17, soft=1, hard=2)

    bed.director.reset_metrics()
    cleared = bed.airflow.clear(DAG, result.run_id, only_failed=True)
    assert sorted((each["task_id"], each["map_index"]) for each in cleared) == [
        ("aggregate", -1), ("process_item", 4), ("process_item", 9),
    ]  # fmt: skip
    again = finish_run(bed, DAG, result.run_id, timeout=300)
    assert again.state == "success"
    task = again.task("process_item")
    assert (task.indexes("soft"), task.hard, task.success) == ([15], 0, 19)
    assert retried(task) == {4: 4, 9: 4}
    assert again.single("aggregate").value["failed_items"] == [failed_item(15, "soft", 1, "amount is 'not a number'")]
    assert_metrics(bed, success=19, soft=1, hard=0)


def test_all_failed(bed: Any, run_dag: Any) -> None:
    bed.director.reset_metrics()
    with bed.director.task_rule(dag_id=DAG, task_id="process_item", action="fail-now", message="the office is closed"):
        result = run_dag(DAG, conf={"items": 5})

    assert result.state == "failed"
    task = result.task("process_item")
    assert (task.indexes("hard"), task.tries) == ([0, 1, 2, 3, 4], [1, 1, 1, 1, 1])
    numbers = "process_item: 5 items: success 0, soft 0, hard 5, skipped 0: 100.0% failed hard, the limit is 5%"
    assert numbers in result.single("aggregate").error
    log = logged(bed, result)
    for index in range(5):
        assert f"item-{index:03} (map_index {index}): hard, 1 try: AirflowFailException: the office is closed" in log
    assert_metrics(bed, success=0, soft=0, hard=5)


def test_get_items_failing_fails_the_run(bed: Any, run_dag: Any) -> None:
    with bed.director.task_rule(dag_id=DAG, task_id="get_items", action="fail-now", message="no list today"):
        result = run_dag(DAG, conf={"items": 5})

    assert result.state == "failed"
    assert "no list today" in result.single("get_items").error
    assert_nothing_listed(result)


def test_an_empty_list_fails_the_run(run_dag: Any) -> None:
    result = run_dag(DAG, conf={"items": 0})

    assert result.state == "failed"
    assert "items: found 0, at least 1 expected: is the source complete?" in result.single("get_items").error
    assert_nothing_listed(result)


def assert_nothing_listed(result: Any) -> None:
    """Nothing ran, nothing was retried, and the aggregate, which ran, says so."""
    assert result.single("get_items").tries == 1
    task = result.task("process_item")
    assert [(each.map_index, each.state, each.tries) for each in task.instances] == [(-1, "upstream_failed", 0)]
    decider = result.single("aggregate")
    assert (decider.state, decider.tries) == ("hard", 1)
    assert "process_item: no items were listed, so nothing was processed" in decider.error


@pytest.mark.parametrize(
    ("items", "state"), [pytest.param(40, "success", id="under"), pytest.param(39, "failed", id="over")]
)
def test_the_retry_policy_has_the_same_rules(bed: Any, run_dag: Any, items: int, state: str) -> None:
    """2 failed hard: 5.0 % of 40 passes, 5.1 % of 39 does not. A fatal error costs one try, not three."""
    bed.director.reset_metrics()
    conf = {
        "items": items,
        "recoverable": {"item-003": 2, "item-007": 1, "item-020": NEVER_HEALS},
        "fatal": ["item-011"],
    }
    result = run_dag(BY_POLICY, conf=conf)

    assert result.state == state
    task = result.task("process_item")
    assert (task.indexes("soft"), task.indexes("hard"), task.success) == ([], [11, 20], items - 2)
    assert retried(task) == {3: 3, 7: 2, 20: 3}
    decider = result.single("aggregate")
    if state == "success":
        assert decider.value["failed_items"] == [
            failed_item(11, "hard", 1, "FatalError: amount is 'not a number'"),
            failed_item(20, "hard", 3, "RecoverableError: the service does not answer for item-020"),
        ]
    else:
        numbers = "process_item: 39 items: success 37, soft 0, hard 2, skipped 0: 5.1% failed hard, the limit is 5%"
        assert numbers in decider.error
        log = logged(bed, result)
        for said in (
            "item-011 (map_index 11): hard, 1 try: FatalError: amount is 'not a number'",
            "item-020 (map_index 20): hard, 3 tries: RecoverableError: the service does not answer for item-020",
        ):
            assert said in log
    assert_metrics(bed, success=items - 2, soft=0, hard=2)
