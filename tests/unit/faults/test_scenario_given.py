"""What a scenario lends of a bed it gives back: Variables and DAG files that were there before it."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from airbed.clients.rest import BadRequest
from airbed.errors import UsageError
from airbed.faults import dagfiles
from airbed.faults.platform import scenario_given
from airbed.faults.platform.scenario_given import ScenarioGiven


class Airflow:
    """The Variables of a bed, by name: value, description, whether it is encrypted."""

    def __init__(self) -> None:
        self.rows: dict[str, list[Any]] = {"items": ["gAAAA", "how many", True]}

    def set_variable(self, name: str, value: str) -> None:
        self.rows[name] = [value, None, False]

    def delete_variable(self, name: str) -> None:
        if self.rows.pop(name, None) is None:
            raise BadRequest("no such Variable", 404, "")

    def ask(self, bed: Any, service: str, query: str, values: list[Any]) -> list[tuple[Any, ...]]:
        """The two statements of the kind, on these rows."""
        assert service == "metadata"
        if query.startswith("SELECT"):
            return [(name, *row) for name, row in self.rows.items() if name in values[0]]
        self.rows[values[0]] = values[1:]
        return []


@pytest.fixture
def bed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    airflow = Airflow()
    monkeypatch.setattr(scenario_given, "ask", airflow.ask)
    monkeypatch.setattr(dagfiles, "known", lambda bed, file: dagfiles.Known(file.stat().st_mtime, 0, 1))
    folder = tmp_path / "scenario-dags"
    folder.mkdir()
    return SimpleNamespace(
        name="unit",
        airflow=airflow,
        director=SimpleNamespace(gates=list),
        files=SimpleNamespace(armed=tmp_path / "armed", scenario_dags=folder),
        spec=SimpleNamespace(project=None, env_file=None, allow_external=[]),
    )


def test_variables_that_were_there_are_put_back_and_others_deleted(bed: Any) -> None:
    fault = ScenarioGiven(scenario="s/c", variables={"items": "5", "mode": "test"})
    fault.check(bed)
    plan = json.loads(json.dumps(fault.plan(bed, "airbed-f1")))
    fault.apply(bed, plan)
    assert {name: row[0] for name, row in bed.airflow.rows.items()} == {"items": "5", "mode": "test"}
    fault.undo(bed, plan)
    fault.undo(bed, plan)
    assert bed.airflow.rows == {"items": ["gAAAA", "how many", True]}


def test_a_variable_of_the_beds_environment_is_refused(bed: Any, tmp_path: Path) -> None:
    (tmp_path / "env").write_text("AIRFLOW_VAR_ITEMS=7\n")
    bed.spec.env_file = str(tmp_path / "env")
    with pytest.raises(UsageError, match=r"would not see 'items': AIRFLOW_VAR_ITEMS of your --env-file"):
        ScenarioGiven(scenario="s/c", variables={"items": "5"}).check(bed)
    ScenarioGiven(scenario="s/c", variables={"other": "5"}).check(bed)
    ScenarioGiven(scenario="s/c").check(bed)


def test_a_dag_file_that_cannot_be_imported_is_told_and_an_old_error_of_that_name_is_not(
    bed: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "orders.py").write_text("# of the scenario\n")
    bed.metadata = SimpleNamespace(
        import_errors=lambda: [SimpleNamespace(filename="orders.py", stacktrace="Traceback\nNameError: no dag\n")]
    )
    fault = ScenarioGiven(scenario="s/c", dags=[str(tmp_path / "orders.py")])
    monkeypatch.setattr(dagfiles, "known", lambda bed, file: dagfiles.Known(file.stat().st_mtime, 1, 1))
    plan = fault.plan(bed, "airbed-f1")
    fault.apply(bed, plan)
    monkeypatch.setattr(dagfiles, "known", lambda bed, file: dagfiles.Known(0, file.stat().st_mtime, 0))
    with pytest.raises(UsageError, match=r"orders\.py cannot be imported: NameError: no dag"):
        fault.apply(bed, plan)


def test_a_dag_file_that_was_there_is_put_back_byte_by_byte(bed: Any, tmp_path: Path) -> None:
    own = b"# by hand, in Latin-1: \xe4\n"
    (bed.files.scenario_dags / "orders.py").write_bytes(own)
    for name in ("orders.py", "more.py"):
        (tmp_path / name).write_text(f"# {name} of the scenario\n")
    fault = ScenarioGiven(scenario="s/c", dags=[str(tmp_path / "orders.py"), str(tmp_path / "more.py")])
    plan = json.loads(json.dumps(fault.plan(bed, "airbed-f1")))
    fault.apply(bed, plan)
    assert (bed.files.scenario_dags / "orders.py").read_text() == "# orders.py of the scenario\n"
    fault.undo(bed, plan)
    fault.undo(bed, plan)
    assert [each.name for each in bed.files.scenario_dags.iterdir()] == ["orders.py"]
    assert (bed.files.scenario_dags / "orders.py").read_bytes() == own
