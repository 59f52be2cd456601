"""What a scenario may change of a bed for a while: Airflow's settings, how warm its execution API is, one more DAG."""

from __future__ import annotations

import json
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from airbed.errors import UsageError
from airbed.faults.plane import FaultPlane
from airbed.faults.platform.scenario_given import ScenarioGiven

if TYPE_CHECKING:
    from airbed.bed import Bed

DAG = '''"""One more DAG."""
from airflow.sdk import dag, task

@dag(schedule=None)
def scenario_extra():
    @task
    def double(number):
        return 2 * number

    double.expand(number=[1, 2])

scenario_extra()
'''


@pytest.fixture
def own_settings(bed: Bed) -> Iterator[None]:
    yield
    bed.substrate.with_airflow_settings({})


def setting_of(bed: Bed, service: str, name: str) -> str:
    pid = next(each.pid for each in bed.substrate.status() if each.name == service)
    variables = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    return next(each.partition(b"=")[2].decode() for each in variables if each.startswith(f"{name}=".encode()))


@pytest.mark.usefixtures("own_settings")
def test_settings_hold_until_they_are_taken_back(bed: Bed) -> None:
    name = "AIRFLOW__WORKERS__EXECUTION_API_TIMEOUT"
    own = setting_of(bed, "scheduler", name)
    bed.substrate.with_airflow_settings({"WORKERS__EXECUTION_API_TIMEOUT": "7"})
    assert {setting_of(bed, each, name) for each in ("scheduler", "api-server", "dag-processor", "triggerer")} == {"7"}
    assert bed.files.read_spec().airflow == {"WORKERS__EXECUTION_API_TIMEOUT": "7"}
    before = _pids(bed)
    bed.substrate.with_airflow_settings({"WORKERS__EXECUTION_API_TIMEOUT": "7"})
    assert _pids(bed) == before
    bed.substrate.with_airflow_settings({})
    assert setting_of(bed, "scheduler", name) == own
    assert bed.files.read_spec().airflow == {}


@pytest.mark.usefixtures("own_settings")
def test_what_a_killed_call_left_is_put_right_by_the_next(bed: Bed) -> None:
    bed.substrate.stop("triggerer")
    (bed.files.airflow / "reconfiguring").touch()
    bed.substrate.with_airflow_settings({})
    assert bed.substrate.state("triggerer") == "running"
    assert not (bed.files.airflow / "reconfiguring").exists()


@pytest.mark.usefixtures("own_settings")
def test_a_cold_execution_api_makes_its_first_client_wait(bed: Bed) -> None:
    def ask() -> float:
        began = time.monotonic()
        with urllib.request.urlopen(f"{bed.endpoints.airflow.execution_url}health/ping", timeout=60) as answer:
            json.load(answer)
        return time.monotonic() - began

    assert ask() < 0.5
    bed.substrate.with_airflow_settings({}, warm=False)
    assert ask() > 1
    assert ask() < 0.5
    bed.substrate.with_airflow_settings({}, warm=False)
    bed.substrate.with_airflow_settings({})
    assert ask() < 0.5


def test_what_is_no_setting_is_refused(bed: Bed) -> None:
    with pytest.raises(UsageError, match="'parallelism' is no Airflow setting; write SECTION__KEY"):
        bed.substrate.with_airflow_settings({"parallelism": "3"})


def test_a_scenario_brings_a_dag_of_its_own(bed: Bed, run_dag: Any) -> None:
    file = bed.files.scenario_dags / "scenario_extra.py"
    assert list(bed.files.scenario_dags.glob("*.py")) == []
    file.write_text(DAG)
    try:
        _until(lambda: "scenario_extra" in bed.metadata.dag_ids())
        result = run_dag("scenario_extra")
        assert (result.state, result.task("double").values) == ("success", [2, 4])
        row = bed.metadata.dag("scenario_extra")
        assert row is not None
        assert (row.bundle_name, row.fileloc) == ("scenario", str(file))
    finally:
        file.unlink()
    _until(lambda: "scenario_extra" not in bed.airflow.dag_ids())


def test_what_a_scenario_lends_of_the_users_is_given_back(bed: Bed, tmp_path: Path) -> None:
    own = bed.files.scenario_dags / "scenario_extra.py"
    own.write_text("# mine\n")
    bed.airflow.set_variable("lent_token", "mine")
    before = _row(bed)
    (tmp_path / own.name).write_text(DAG)
    given = ScenarioGiven(
        scenario="lent/case", variables={"lent_token": "s", "added": "s"}, dags=[f"{tmp_path / own.name}"]
    )
    try:
        with FaultPlane(bed, "lent/case").injected(given):
            assert _variables(bed) == {"lent_token", "added"}
            assert "scenario_extra" in bed.metadata.dag_ids()
        assert _variables(bed) == {"lent_token"}
        assert own.read_text() == "# mine\n"
        assert _row(bed) == before
    finally:
        own.unlink()
        for name in _variables(bed):
            bed.airflow.delete_variable(name)


def _variables(bed: Bed) -> set[str]:
    with bed.database("metadata") as admin:
        return {str(name) for (name,) in admin.execute("SELECT key FROM variable WHERE key IN ('lent_token', 'added')")}


def _row(bed: Bed) -> Any:
    with bed.database("metadata") as admin:
        return admin.execute(
            "SELECT key, val, description, is_encrypted FROM variable WHERE key = 'lent_token'"
        ).fetchone()


def _pids(bed: Bed) -> dict[str, int | None]:
    return {each.name: each.pid for each in bed.substrate.status()}


def _until(condition: Callable[[], bool], timeout: float = 60) -> None:
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)
