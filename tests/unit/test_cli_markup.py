"""What a line says in square brackets is printed as it is, and not taken for a style."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from airbed.cli import bench, demo, incident
from airbed.cli.common import progress_lines

TEXT = "[core] max_map_length of [/var/log/x]"


def printed(capsys: pytest.CaptureFixture[str]) -> str:
    said = capsys.readouterr()
    return said.out + said.err


def test_a_line_of_progress(capsys: pytest.CaptureFixture[str]) -> None:
    progress_lines()(TEXT)
    assert TEXT in printed(capsys)


def test_an_incident(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    found = SimpleNamespace(name="one", symptom=TEXT, cause=TEXT, fix=TEXT, sources=[TEXT], cases={})
    monkeypatch.setattr(incident, "_load", lambda file: found)
    monkeypatch.setattr("airbed.incidents.library.files_in", lambda folder: {"one": Path("one.yaml")})
    monkeypatch.setattr("airbed.incidents.library.find", lambda name, folder: Path("/in/[a]/one.yaml"))
    incident.list_incidents()
    assert TEXT in printed(capsys)
    incident.show("one")
    said = printed(capsys)
    assert (said.count(TEXT), "/in/[a]/one.yaml" in said) == (4, True)


def row(**more: Any) -> Any:
    counts = {"instances": 1, "success": 0, "soft": 0, "hard": 1, "skipped": 0, "max_running": 1, "cap": 8}
    return SimpleNamespace(
        dag_id="d", scenario="s", injected="i", state="failed", seconds=1.0, ok=False, why=TEXT, **counts, **more
    )


def test_a_row_of_the_demo(capsys: pytest.CaptureFixture[str]) -> None:
    login = SimpleNamespace(url="http://127.0.0.1", user="admin", password="x")
    bed: Any = SimpleNamespace(name="bed", endpoints=SimpleNamespace(airflow=login))
    demo._print_table(bed, [row()])
    assert TEXT in printed(capsys)
    progress_lines(markup=True)(demo._line(row()))
    said = printed(capsys)
    assert TEXT in said
    assert "[red]" not in said


def test_why_figures_cannot_be_compared(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("airbed.bench.compare.changes", lambda earlier, document: [])
    monkeypatch.setattr("airbed.bench.compare.differences", lambda earlier, document: [TEXT])
    bench._print_changes({"began": TEXT}, {})
    assert printed(capsys).count(TEXT) == 2
