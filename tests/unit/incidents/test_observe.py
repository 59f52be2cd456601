"""What is read when the runs of a case have ended."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from airbed.clients.rows import Attempt, InstanceRow
from airbed.incidents import observe
from airbed.incidents.expect import differences
from airbed.incidents.expectation import Expect
from airbed.incidents.observe import Observer
from airbed.incidents.play import Played
from airbed.incidents.schema import Run
from airbed.incidents.steps import Inconclusive, RunState
from airbed.runs.model import Instance, MappedTask, RunResult

START = datetime(2026, 3, 1, tzinfo=UTC)


def bed(rows: list[InstanceRow], log: str = "all is well") -> Any:
    return SimpleNamespace(
        metadata=SimpleNamespace(instances=lambda dag_id, run_id: rows, attempts=lambda dag_id, run_ids: []),
        airflow=SimpleNamespace(log=lambda *place: log),
    )


def row(index: int, tries: int = 1) -> InstanceRow:
    return InstanceRow("process_file", index, "success", tries, 2, START, START)


def of_logs(where: Any, **log: Any) -> list[str]:
    """What the verdict says of one expectation of a log."""
    expect = Expect.model_validate({"run": "success", "logs": [log]})
    observer = Observer(where, expect, START)
    observer.look(Played({"run": RunState(Run(dag="d"), "d", ["r"], "ended", "success")}, {}))
    return [str(each) for each in differences(expect, observer.seen, {}) if each.where == "expect.logs[0]"]


@pytest.mark.parametrize(
    ("log", "told"),
    [
        ({"map_index": 1}, None),
        ({"map_index": 1, "try_number": 2}, None),
        ({}, "there is no instance process_file"),
        ({"map_index": 7}, "there is no instance process_file[7]"),
        ({"task": "process_flie", "map_index": 1}, "there is no instance process_flie[1]"),
        ({"map_index": 1, "try_number": 3}, "process_file[1] was tried 2 times: there is no try 3"),
    ],
)
def test_a_log_that_is_not_there_is_not_a_log_without_such_lines(log: dict[str, Any], told: str | None) -> None:
    found = of_logs(bed([row(0), row(1, 2)]), **{"task": "process_file", "matches": "password", "count": 0, **log})
    assert found == ([] if told is None else [f"expect.logs[0]: cannot be read: {told}"])


def test_the_logs_of_all_tries_are_read() -> None:
    found = of_logs(bed([row(0), row(1, 2)]), task="process_file", map_index=1, matches="well", count=2)
    assert found == []


class Airflow:
    """One run that fails at first, and succeeds after it was cleared."""

    def __init__(self) -> None:
        self.results = {"failed": ("hard", "boom"), "success": ("success", None)}
        self.state = "failed"
        self.attempts = [self.attempt(0, 1, 0), self.attempt(1, 1, 0)]

    def attempt(self, index: int, number: int, start: float) -> Attempt:
        begin = START + timedelta(seconds=start)
        return Attempt("d", "r", "work", index, number, self.state, begin, begin + timedelta(seconds=5))

    def clear(self) -> None:
        """One instance runs again, ten seconds later."""
        self.state = "success"
        self.attempts.append(self.attempt(0, 2, 10))

    def collect(self, bed: Any, dag_id: str, run_id: str) -> RunResult:
        outcome, error = self.results[self.state]
        work = MappedTask("work", 1, (Instance("work", 0, outcome, None, 1, error),), 2)  # type: ignore[arg-type]
        return RunResult(dag_id, run_id, self.state, 5.0, {"work": work})


@pytest.fixture
def airflow(monkeypatch: pytest.MonkeyPatch) -> Airflow:
    made = Airflow()
    monkeypatch.setattr(observe, "collect", made.collect)
    return made


def cleared() -> tuple[RunState, RunState]:
    first = RunState(Run(id="first", dag="d"), "d", ["r"], "ended", "failed")
    clear = Run.model_validate({"id": "again", "clear": {}})
    return first, RunState(clear, "d", ["r"], triggered=START + timedelta(seconds=9))


def test_a_run_that_is_cleared_is_judged_by_what_it_was_before(airflow: Airflow) -> None:
    tasks = {
        "first/work": {"outcomes": "hard", "errors": "boom", "max_running": {"equals": 2}},
        "again/work": {"outcomes": "success", "max_running": {"equals": 1}},
    }
    expect = Expect.model_validate({"run": {"first": "failed", "again": "success"}, "tasks": tasks})
    where: Any = SimpleNamespace(metadata=SimpleNamespace(attempts=lambda dag_id, run_ids: list(airflow.attempts)))
    observer, (first, again) = Observer(where, expect, START), cleared()
    observer.keep(first)
    airflow.clear()
    observer.look(Played({"first": first, "again": again}, {}))
    assert differences(expect, observer.seen, {}) == []
    tries = [(each.map_index, each.try_number) for each in observer.seen.attempts]
    assert tries == [(0, 1), (1, 1), (0, 2)], "each once, for the effects of the faults"


def test_a_run_that_cannot_be_read_before_it_is_cleared_is_inconclusive(airflow: Airflow) -> None:
    def refuse(dag_id: str, run_ids: list[str]) -> Any:
        raise OSError("connection refused")

    observer = Observer(SimpleNamespace(metadata=SimpleNamespace(attempts=refuse)), Expect(run="failed"), START)  # type: ignore[arg-type]
    with pytest.raises(Inconclusive, match="run first could not be read before it was cleared: connection refused"):
        observer.keep(cleared()[0])


def test_a_backfill_that_made_no_run_is_a_success_without_tasks() -> None:
    back = Run.model_validate({"dag": "d", "backfill": {"from": "2026-03-01", "to": "2026-03-02"}})
    observer = Observer(bed([]), Expect(run="success"), START)
    observer.look(Played({"run": RunState(back, "d", [], "ended", "success", backfill_id=1)}, {}))
    assert differences(Expect(run="success"), observer.seen, {}) == []
    assert observer.seen.runs == {"run": []}
