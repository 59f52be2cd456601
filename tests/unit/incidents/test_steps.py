"""Runs of a case as they stand."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

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
