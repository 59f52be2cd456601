"""Every instance of a mapped task is accounted for, whatever became of it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from airbed.clients.rows import Attempt, InstanceRow
from airbed.runs.model import Instance, RunResult
from airbed.runs.outcomes import Facts, classify, outcome_of, with_errors
from airbed.runs.report import as_json, plain_lines

T0 = datetime(2026, 1, 5, tzinfo=UTC)


def row(index: int, state: str | None, tries: int = 1, task: str = "process") -> InstanceRow:
    return InstanceRow(task, index, state, tries, 2, T0, T0)


def attempt(index: int, number: int, start: float, seconds: float, task: str = "process") -> Attempt:
    begin = T0 + timedelta(seconds=start)
    return Attempt("d", "r", task, index, number, "success", begin, begin + timedelta(seconds=seconds))


def facts(rows, expected, *, attempts=(), values=None, records=None, ended=True) -> Facts:
    return Facts(rows, list(attempts), values or {}, records or {}, expected, ended)


def process(given: Facts):
    return classify(given)[0]["process"]


def test_all_kinds_of_ends_are_told_apart():
    states = ["success", "success", "failed", "skipped", "removed", "upstream_failed", "running", None]
    task = process(
        facts(
            [row(index, state) for index, state in enumerate(states)],
            {"process": 9},
            values={("process", 1): {"status": "failed", "error": "no such\nitem"}},
        )
    )
    assert [each.state for each in task.instances] == [
        *("success", "soft", "hard", "skipped", "removed", "upstream_failed", "lost", "lost", "lost")
    ]
    assert (task.success, task.soft, task.hard, task.skipped, task.removed) == (1, 1, 1, 1, 1)
    assert (task.upstream_failed, task.lost) == (1, 3)
    assert task.indexes("lost") == [6, 7, 8]
    assert task.instances[1].error == "no such item"
    assert task.instances[8].error == "expected from the upstream list, but Airflow has no such instance"


def test_while_the_run_goes_on_nothing_is_lost():
    task = process(facts([row(0, "success"), row(1, "running"), row(2, None)], {"process": 4}, ended=False))
    assert [each.state for each in task.instances] == ["success", "unfinished", "unfinished", "unfinished"]


def test_an_empty_list_has_no_instances():
    task = process(facts([row(-1, "skipped", 0)], {"process": 0}))
    assert task.instances == () and task.expected == 0


def test_a_failed_upstream_leaves_one_instance_that_never_expanded():
    task = process(facts([row(-1, "upstream_failed", 0)], {"process": None}))
    assert [(each.map_index, each.state) for each in task.instances] == [(-1, "upstream_failed")]


def test_a_list_that_was_never_expanded_is_lost_item_by_item():
    task = process(facts([row(-1, None, 0)], {"process": 3}))
    assert task.indexes("lost") == [0, 1, 2]


def test_a_skipped_task_that_never_expanded_stays_one_skipped():
    task = process(facts([row(-1, "skipped", 0)], {"process": 3}))
    assert [(each.map_index, each.state) for each in task.instances] == [(-1, "skipped")]


def test_tries_work_and_the_highest_number_at_once():
    attempts = [attempt(0, 1, 0, 2), attempt(1, 1, 1, 2), attempt(0, 2, 5, 1)]
    task = process(facts([row(0, "success", 2), row(1, "success")], {"process": 2}, attempts=attempts))
    assert task.tries == [2, 1]
    assert task.instances[0].seconds == 3.0
    assert task.max_running == 2


def test_the_record_gives_the_error_and_tells_a_large_soft_failure():
    records = {
        ("process", 0): {"map_index": 0, "try": 3, "status": "failed", "error": "ValueError: bad\nrow"},
        ("process", 1): {"map_index": 1, "try": 1, "status": "soft", "error": "unreadable"},
    }
    values = {("process", 1): "s3://aws_default@airflow-xcom/xcom/d/r/process/1"}
    task = process(facts([row(0, "failed", 3), row(1, "success")], {"process": 2}, values=values, records=records))
    assert [(each.state, each.error) for each in task.instances] == [
        ("hard", "ValueError: bad row"),
        ("soft", "unreadable"),
    ]


def test_unmapped_tasks_are_singles_and_tasks_come_in_order_of_start():
    rows = [row(-1, "success", task="list"), row(0, "success"), row(-1, "failed", task="aggregate")]
    attempts = [attempt(-1, 1, 0, 1, "list"), attempt(0, 1, 2, 1), attempt(-1, 1, 4, 1, "aggregate")]
    tasks, singles = classify(facts(rows, {"process": 1}, attempts=attempts))
    assert list(tasks) == ["process"]
    assert list(singles) == ["list", "aggregate"]
    assert singles["aggregate"].state == "hard"


def test_a_mapped_task_of_an_unknown_structure_is_seen_from_its_rows():
    assert process(facts([row(0, "success"), row(1, "failed")], {})).hard == 1


def test_error_lines_are_read_only_for_silent_hard_failures_and_at_most_fifty():
    records = {("process", 0): {"error": "known"}}
    tasks, singles = classify(facts([row(index, "failed") for index in range(60)], {"process": 60}, records=records))
    asked: list[int] = []

    def read(each: Instance) -> str | None:
        asked.append(each.map_index)
        return None if each.map_index == 1 else f"line {each.map_index}"

    task = with_errors(tasks, singles, read)[0]["process"]
    assert sorted(asked) == list(range(1, 51))
    assert task.instances[0].error == "known"
    assert task.instances[1].error == "failed, no record and no exception in its log"
    assert task.instances[2].error == "line 2"


@pytest.mark.parametrize("value", [None, {"status": "ok"}, ["failed"], "failed", {"status": "failed "}])
def test_only_a_dict_with_status_failed_is_soft(value):
    assert outcome_of("success", value, None, ended=True) == "success"


def test_a_result_reads_well():
    tasks, singles = classify(facts([row(0, "success"), row(1, "failed", 3)], {"process": 2}))
    result = RunResult("d", "r", "failed", 1.5, tasks, singles, 2)
    assert result.task("process").instances[1].tries == 3
    assert [each.name for each in result.failures()] == ["process[1]"]
    with pytest.raises(KeyError, match="it has: process"):
        result.task("proces")
    shape = as_json(result)
    assert shape["tasks"]["process"]["hard"] == 1
    assert shape["tasks"]["process"]["outcomes"][1]["state"] == "hard"
    assert any("process[1]: hard, 3 tries" in line for line in plain_lines(result))
