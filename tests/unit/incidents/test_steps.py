"""Runs of a case as they stand."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from airbed.clients.rest import BadRequest
from airbed.clients.rows import BackfillDay
from airbed.incidents.glances import Glances
from airbed.incidents.schema import Run
from airbed.incidents.steps import RunState, StepFailed

CLEAR = Run.model_validate({"id": "again", "clear": {}})


def bed(states: dict[str, str], **more: Any) -> Any:
    def run(dag_id: str, run_id: str) -> Any:
        return SimpleNamespace(state=states[run_id]) if run_id in states else None

    return SimpleNamespace(metadata=SimpleNamespace(run=run, **more.pop("metadata", {})), **more)


@pytest.mark.parametrize(
    ("states", "state", "ended"),
    [
        (["success", "running"], "running", False),
        (["success", "queued"], "queued", False),
        (["failed", "running"], "running", False),
        (["success", "failed"], "failed", True),
        (["success", "success"], "success", True),
    ],
)
def test_a_clear_of_a_backfill_has_ended_when_all_its_days_have(states: list[str], state: str, ended: bool) -> None:
    days = {f"day-{number}": each for number, each in enumerate(states)}
    again = RunState(CLEAR, "d", list(days), "started")
    assert again.look(bed(days), Glances()) is ended
    assert again.airflow_state == state


def test_a_run_that_was_deleted_is_told() -> None:
    with pytest.raises(StepFailed, match="run gone of d was deleted while it was followed"):
        RunState(CLEAR, "d", ["gone"], "started").look(bed({}), Glances())


BACKFILL = Run.model_validate({"dag": "d", "backfill": {"from": "2026-03-01", "to": "2026-03-02"}})


def day(run_id: str | None, state: str | None, reason: str | None = None) -> BackfillDay:
    return BackfillDay(None, run_id, state, reason)


@pytest.mark.parametrize(
    ("days", "state"),
    [
        ([day("a", "success"), day("b", "running")], "running"),
        ([day("a", "success"), day("b", "failed")], "failed"),
        ([day("a", "success"), day(None, None, "already exists")], "success"),
        ([day(None, None, "already exists"), day(None, None, "in flight")], "success"),
    ],
)
def test_a_backfill_waits_for_the_runs_that_it_made(days: list[BackfillDay], state: str) -> None:
    back = RunState(BACKFILL, "d", state="started", backfill_id=1)
    back.look(bed({}, metadata={"backfill_days": lambda backfill_id: days}), Glances())
    assert back.airflow_state == state


@pytest.mark.parametrize(("status", "ends"), [(409, True), (404, False)])
def test_a_backfill_that_has_ended_meanwhile_need_not_be_cancelled(status: int, ends: bool) -> None:
    def refuse(backfill_id: int) -> None:
        raise BadRequest("refused", status, "completed already")

    airflow = SimpleNamespace(cancel_backfill=refuse)
    back = RunState(BACKFILL, "d", state="started", backfill_id=1, airflow_state="running")
    if ends:
        back.end(bed({}, airflow=airflow))
    else:
        with pytest.raises(BadRequest):
            back.end(bed({}, airflow=airflow))
