"""A DAG file that changes: what Airflow stored of it decides when the change is in force, and when it is taken back."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from airbed.errors import Unavailable
from airbed.faults import dagfiles
from airbed.faults.dagfiles import Known
from airbed.faults.platform import airflow_dag_file
from airbed.faults.registry import make

OLD, NEW = "# airflow dag, old\n", "# airflow dag, new\n"
NEVER, BEFORE, AFTER = -1e10, -0.5, 0.5


@pytest.fixture
def bed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(dagfiles, "POLL", 0.01)
    monkeypatch.setattr(airflow_dag_file, "_PATIENCE", 0.1)
    monkeypatch.setattr(airflow_dag_file, "_FORGOTTEN_WITHIN", 0.1)
    (tmp_path / "orders.py").write_text(OLD)
    (tmp_path / "v2").write_text(NEW)
    return SimpleNamespace(name="unit", files=SimpleNamespace(scenario_dags=tmp_path))


@pytest.fixture
def airflow(monkeypatch: pytest.MonkeyPatch) -> Callable[[float, float, int], None]:
    """Sets what Airflow has stored of every file: a parse and an import error, in seconds from its mtime."""

    def stores(began: float, broken: float, dags: int) -> None:
        def known(bed: Any, file: Path) -> Known:
            written = file.stat().st_mtime
            return Known(max(0, written + began), max(0, written + broken), dags)

        monkeypatch.setattr(dagfiles, "known", known)

    return stores


def changed(bed: Any) -> tuple[Any, dict[str, Any]]:
    fault = make("airflow.dag-file", {"file": "orders.py", "by": str(bed.files.scenario_dags / "v2")})
    plan = fault.plan(bed, "airbed-f1")
    fault.apply(bed, plan)
    return fault, plan


def holds(step: Callable[..., None], *arguments: Any) -> bool:
    try:
        step(*arguments)
    except Unavailable:
        return False
    return True


@pytest.mark.parametrize(
    ("was", "is_now", "in_force"),
    [
        ((BEFORE, NEVER, 1), (BEFORE, NEVER, 1), False),
        ((BEFORE, NEVER, 1), (AFTER, NEVER, 1), True),
        ((BEFORE, NEVER, 1), (BEFORE, AFTER, 1), True),
        ((BEFORE, NEVER, 1), (NEVER, NEVER, 0), True),
        ((NEVER, BEFORE, 0), (NEVER, BEFORE, 0), False),
        ((NEVER, BEFORE, 0), (NEVER, NEVER, 0), True),
        ((NEVER, NEVER, 0), (NEVER, NEVER, 0), False),
        ((NEVER, NEVER, 0), (AFTER, NEVER, 1), True),
    ],
)
def test_a_change_is_in_force_when_airflow_has_parsed_it(
    bed: Any, airflow: Callable[..., None], was: Any, is_now: Any, in_force: bool
) -> None:
    airflow(*was)
    fault, plan = changed(bed)
    airflow(*is_now)
    assert holds(fault.confirm, bed, plan) is in_force


@pytest.mark.parametrize(
    ("was", "is_now", "gone"),
    [
        ((BEFORE, NEVER, 1), (AFTER, NEVER, 1), True),
        ((BEFORE, NEVER, 1), (BEFORE, NEVER, 1), False),
        ((BEFORE, NEVER, 1), (AFTER, AFTER, 1), False),
        ((NEVER, BEFORE, 0), (NEVER, AFTER, 0), True),
        ((NEVER, BEFORE, 0), (AFTER, NEVER, 1), False),
        ((NEVER, NEVER, 0), (NEVER, NEVER, 0), True),
        ((NEVER, NEVER, 0), (AFTER, NEVER, 1), False),
    ],
)
def test_a_change_is_gone_when_airflow_knows_what_it_knew_before(
    bed: Any, airflow: Callable[..., None], was: Any, is_now: Any, gone: bool
) -> None:
    airflow(*was)
    fault, plan = changed(bed)
    airflow(*is_now)
    assert holds(fault.undo, bed, plan) is gone
    assert (bed.files.scenario_dags / "orders.py").read_text() == OLD


def test_a_file_that_airflow_would_not_look_at_again_is_touched(bed: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dagfiles, "_TOUCH", 0.05)
    file = bed.files.scenario_dags / "orders.py"
    written = file.stat().st_mtime
    assert dagfiles.await_all([file], lambda each: each.stat().st_mtime > written, 5) == []


def test_a_parse_counts_from_its_begin(bed: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dagfiles, "ask", lambda *_: [(None, None, 0)])
    assert dagfiles.known(bed, Path("a.py")) == Known(0, 0, 0)
    monkeypatch.setattr(dagfiles, "ask", lambda *_: [(7.5, 8, 2)])
    assert dagfiles.known(bed, Path("a.py")) == Known(7.5, 8, 2)
