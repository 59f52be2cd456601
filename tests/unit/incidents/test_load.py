"""Scenario files: the broken ones are refused with the right line and remedy, whole ones are read."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from airbed.incidents.load import BrokenScenario, load, parse
from airbed.incidents.schema import Scenario

BROKEN = sorted((Path(__file__).parent / "broken").glob("*.yaml"))

WHOLE = """
name: whole
symptom: two shards fail
given:
  pools: {db_etl: 2}
  bed: {warm: false}
cases:
  as_taught:
    given: {pools: {s3_etl: 1}}
    runs:
      - {id: first, dag: parallel_shard_processor, day: 2026-03-01}
      - {id: again, clear: {tasks: [process_shard]}, after: back.ended}
    faults:
      - id: down
        fault: process.stop
        with: {service: shard-1}
        when: {arrived: {task: process_shard, count: 2, of: 3}, state: {task: get_active_shards, is: success}}
        until: end
      - id: back
        fault: process.restart
        with: {service: shard-0}
        when: {after: first}
    expect:
      run: {first: failed, again: success}
      tasks:
        first/process_shard: {outcomes: {success: 2, hard: [1]}, tries: {by_count: {1: 2, 3: 1}}, max_running: 3}
        quality_check: success
      seconds: {first: 60}
    breaks: [silent-success]
"""


def whole(text: str = WHOLE) -> Scenario:
    return parse(text, Path("whole.yaml"))


def test_there_are_forty_broken_files() -> None:
    assert len(BROKEN) >= 40


@pytest.mark.parametrize("file", BROKEN, ids=lambda file: file.stem)
def test_a_broken_file_is_refused_with_line_and_remedy(file: Path) -> None:
    line, _, remedy = file.read_text().splitlines()[0].removeprefix("# ").partition(": ")
    with pytest.raises(BrokenScenario) as caught:
        load(file)
    told = [problem for problem in caught.value.problems if problem.startswith(f"{file}:{line}: ")]
    assert any(remedy in problem for problem in told), caught.value.problems
    assert all("\n" not in problem for problem in caught.value.problems)
    assert len(caught.value.problems) == 1, "one mistake is one line"


def test_every_mistake_is_told() -> None:
    text = WHOLE.replace("is: success", "is: sucess").replace("max_running: 3", "max_runing: 3")
    with pytest.raises(BrokenScenario) as caught:
        whole(text)
    assert [problem.split(": ")[0] for problem in caught.value.problems] == ["whole.yaml:17", "whole.yaml:26"]
    assert str(caught.value).endswith("(and 1 more)")


def test_a_whole_file_is_read() -> None:
    scenario = whole()
    case = scenario.cases["as_taught"]
    assert [run.id for run in case.all_runs] == ["first", "again"]
    assert [step.name for step in case.faults] == ["down", "back"]
    assert case.faults[0].until.end and case.faults[1].when.after == "first"
    given = scenario.given_of("as_taught")
    assert given.pools == {"db_etl": 2, "s3_etl": 1}
    assert given.bed.warm is False
    assert scenario.control_of("as_taught") is True


def test_a_file_without_cases_has_one() -> None:
    text = "name: whole\nsymptom: x\nrun: {dag: d}\nexpect: {run: success, tasks: {t: success}}\n"
    case = whole(text).cases["case"]
    assert case.run is not None and case.run.dag == "d"
    assert case.expect.tasks["t"].outcomes == "success"


def test_the_dag_of_a_fault_is_the_only_one_of_its_case() -> None:
    from airbed.incidents.references import parameters_of

    text = (
        "name: whole\nsymptom: x\nrun: {dag: d}\nfaults: [{fault: task.kill, with: {task_id: t}}]\n"
        "expect: {run: success}\n"
    )
    case = whole(text).cases["case"]
    assert parameters_of(case.faults[0], case, Path()) == {"dag_id": "d", "task_id": "t"}


DAYS = """
name: days
symptom: a day is given without quotes
run: {dag: d, logical_date: 2026-01-05 10:00:00+00:00, conf: {day: 2026-01-05, at: 12:30}}
faults:
  - id: one
    fault: task.return
    with: {task_id: t, where: {op_kwargs.day: 2026-01-05}, value: 2026-01-05}
    when: {arrived: {task: t, items: {op_kwargs.day: [2026-01-05]}}}
expect: {run: success}
"""


def test_days_are_texts_where_json_is_meant() -> None:
    case = parse(DAYS, Path("days.yaml")).cases["case"]
    fault = case.faults[0]
    assert fault.parameters == {"task_id": "t", "where": {"op_kwargs.day": "2026-01-05"}, "value": "2026-01-05"}
    assert fault.when.arrived is not None
    assert fault.when.arrived.items == {"op_kwargs.day": ["2026-01-05"]}
    (run,) = case.all_runs
    assert run.conf == {"day": "2026-01-05", "at": "12:30"}
    assert run.logical_date is not None
    assert run.logical_date.isoformat() == "2026-01-05T10:00:00+00:00"


@pytest.mark.parametrize("place", ["items: {op_kwargs.day: [2026-01-05]}", "value: 2026-01-05"])
def test_what_json_has_not_is_refused_with_its_line(place: str) -> None:
    name, _, value = place.rpartition("2026-01-05")
    with pytest.raises(BrokenScenario, match=r"days\.yaml:[89]: .*inf is no JSON value"):
        parse(DAYS.replace(place, f"{name}.inf{value}"), Path("days.yaml"))


def test_a_case_may_take_over_another_and_have_fields_of_its_own() -> None:
    text = """
name: whole
symptom: x
cases:
  taught: &taught
    run: &run {dag: d, day: 2026-03-01, timeout: 60}
    expect: {run: failed}
  correct: &correct
    <<: *taught
    run: {<<: *run, dag: e}
    expect: {run: success}
  again: *correct
  last: {<<: *correct, timeout: 9}
"""
    cases = whole(text).cases
    dags = {name: (case.run.dag, case.run.timeout, case.expect.run) for name, case in cases.items() if case.run}
    correct = ("e", 60.0, "success")
    assert dags == {"taught": ("d", 60.0, "failed"), "correct": correct, "again": correct, "last": correct}
    assert cases["last"].timeout == 9


@pytest.mark.parametrize("text", ["2026-03-01T06:00:00", "2026-03-01T06:00:00Z", "2026-03-01T08:00:00+02:00"])
def test_a_logical_date_without_a_time_zone_is_of_utc(text: str) -> None:
    run = f"run: {{dag: d, logical_date: {text}}}"
    case = whole(f"name: whole\nsymptom: x\n{run}\nexpect: {{run: success}}\n").cases["case"]
    assert case.run is not None and case.run.logical_date == datetime(2026, 3, 1, 6, tzinfo=UTC)


def test_a_file_without_cases_may_have_a_timeout() -> None:
    text = "name: whole\nsymptom: x\nrun: {dag: d}\nexpect: {run: success}\ntimeout: 900\n"
    assert whole(text).cases["case"].timeout == 900
