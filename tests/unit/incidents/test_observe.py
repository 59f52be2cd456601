"""What is read when the runs of a case have ended."""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from airbed.clients.rows import InstanceRow
from airbed.incidents.expect import differences
from airbed.incidents.expectation import Expect
from airbed.incidents.observe import Observer
from airbed.incidents.play import Played
from airbed.incidents.schema import Run
from airbed.incidents.steps import RunState

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
