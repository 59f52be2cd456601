"""The order in which the steps of a case are played."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from airbed.incidents import steps
from airbed.incidents.journal import Journal
from airbed.incidents.play import Play
from airbed.incidents.schema import Case

FAULTS = [
    {"id": "down", "fault": "process.stop", "with": {"service": "shard-1"}},
    {"id": "up", "fault": "process.restart", "with": {"service": "shard-1"}, "when": {"after": "first"}},
]


class Bed:
    """A bed whose runs end after some looks; `did` has what was done, in its order."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.did: list[str] = []
        self.looks = 3
        self.metadata = SimpleNamespace(run=self.run)
        self.airflow = SimpleNamespace(clear=self.clear, unpause=lambda dag_id: None)

    def run(self, dag_id: str, run_id: str) -> Any:
        self.looks -= 1
        return SimpleNamespace(state="running" if self.looks > 0 else "success", ended=True)

    def clear(self, dag_id: str, run_id: str, tasks: Any, map_indexes: Any, **options: Any) -> None:
        self.did.append(f"clear {run_id}")


class Observer:
    """Notes when it is asked to look."""

    def __init__(self, bed: Bed) -> None:
        self._bed = bed

    def keep(self, run: Any) -> None:
        self._bed.did.append(f"keep {run.name}, {run.state} {run.airflow_state}")

    def look(self, played: Any) -> None:
        self._bed.did.append("look")


@pytest.fixture
def bed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bed:
    def start_run(bed: Bed, dag_id: str, **options: Any) -> Any:
        bed.did.append("start")
        return SimpleNamespace(run_id="r")

    monkeypatch.setattr(steps, "start_run", start_run)
    monkeypatch.setattr(steps, "ensure_dag_is_ready", lambda *_: SimpleNamespace(is_paused=False))
    monkeypatch.setattr("airbed.incidents.glances.EVERY", 0.0)
    return Bed(tmp_path)


def play(bed: Any, **fields: Any) -> Any:
    case = Case.model_validate({"expect": {"run": "success"}, **fields})
    journal = Journal(None, lambda line: None)
    observer: Any = Observer(bed)
    return Play(bed, case, "s/c", journal, beside=bed.folder, observer=observer, faults=False).run()


@pytest.mark.parametrize("after", [None, "up.ended", "first.started"])
def test_a_clear_waits_for_the_end_of_the_run_and_keeps_what_came_of_it(bed: Bed, after: str | None) -> None:
    again = {"id": "again", "clear": {"tasks": ["t"]}, "after": after}
    played = play(bed, runs=[{"id": "first", "dag": "d"}, again], faults=FAULTS)
    assert bed.did == ["start", "keep first, ended success", "clear r", "look"]
    assert played.runs["again"].dag_id == "d"
    assert played.runs["again"].triggered >= played.runs["first"].triggered > datetime(2026, 1, 1, tzinfo=UTC)
