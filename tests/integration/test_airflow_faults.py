"""The Airflow kinds: a pool, the clock of retries, a DAG file, by runs of the tests' own DAGs."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from airbed.errors import UsageError

VERSION = """
from datetime import datetime, timedelta
from airflow.sdk import dag, task

@dag(dag_id="faults_versions", schedule=None, start_date=datetime(2026, 1, 1))
def versions():
    @task(retries=1, retry_delay=timedelta(seconds=300), pool="s3_etl")
    def work(i, ti=None):
        if ti.try_number == 1 and i == 1:
            raise RuntimeError("first try")
        return "{version}"
    work.expand(i=[1, 2])
versions()
"""


@pytest.fixture
def dag_file(bed: Any) -> Any:
    """The DAG faults_versions in the bed's own DAG folder, known to Airflow."""
    file = bed.files.scenario_dags / "faults_versions.py"
    file.write_text(VERSION.format(version="old"))
    eventually(lambda: is_known(bed), 60)
    yield file
    file.unlink()
    eventually(lambda: not is_known(bed), 60)


def eventually(condition: Callable[[], Any], seconds: float = 30) -> Any:
    """What the condition returns once that is true."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, "it does not come to pass"
        time.sleep(0.1)
    return found


def is_known(bed: Any) -> bool:
    found = bed.metadata.dag("faults_versions")
    return found is not None and not found.is_stale


def slots(bed: Any) -> int:
    return int(bed.airflow.pools()["s3_etl"]["slots"])


def started(bed: Any, run_dag: Any) -> tuple[threading.Thread, list[Any], str]:
    """A run of the DAG beside the test: the thread that waits for it, the list for its result, the run's id."""
    earlier = len(bed.metadata.runs("faults_versions"))
    found: list[Any] = []
    thread = threading.Thread(target=lambda: found.append(run_dag("faults_versions", conf={})))
    thread.start()
    runs = eventually(lambda: bed.metadata.runs("faults_versions")[earlier:])
    return thread, found, runs[0].run_id


def test_a_pool_without_slots_holds_its_tasks(bed: Any, faults: Any, run_dag: Any, dag_file: Path) -> None:
    before = slots(bed)
    entry = faults.inject("airflow.pool", pool="s3_etl", slots=0)
    assert slots(bed) == 0
    running, results, run = started(bed, run_dag)
    eventually(lambda: bed.metadata.state_counts("faults_versions", run).get("scheduled") == 2)
    running.join(3)
    assert bed.metadata.state_counts("faults_versions", run) == {"scheduled": 2}
    faults.undo(entry)
    assert slots(bed) == before
    running.join(120)
    assert results[0].state == "success"


def test_an_unknown_pool_is_refused(bed: Any, faults: Any) -> None:
    with pytest.raises(UsageError, match=r"no pool 'x'; it has: .*db_etl"):
        faults.inject("airflow.pool", pool="x", slots=1)


def test_the_clock_of_retries(bed: Any, faults: Any, run_dag: Any, dag_file: Path) -> None:
    entry = faults.inject("airflow.retry-clock", seconds=3600, dag_id="faults_versions")
    running, results, run = started(bed, run_dag)
    waits = {"success": 1, "up_for_retry": 1}
    eventually(lambda: bed.metadata.state_counts("faults_versions", run) == waits, 60)
    # The DAG's own delay is 3 seconds here.
    running.join(8)
    assert bed.metadata.state_counts("faults_versions", run) == waits
    assert faults.undo(entry) == 1
    running.join(60)
    assert (results[0].state, results[0].task("work").tries) == ("success", [2, 1])
    with bed.database("metadata") as admin:
        assert admin.execute("SELECT count(*) FROM pg_namespace WHERE nspname ~ '^airbed-'").fetchone() == (0,)
        assert admin.execute("SELECT count(*) FROM pg_trigger WHERE tgname ~ '^airbed-'").fetchone() == (0,)


def test_the_clock_of_those_who_wait_already(bed: Any, faults: Any, run_dag: Any, dag_file: Path) -> None:
    first = faults.inject("airflow.retry-clock", seconds=3600, dag_id="faults_versions")
    running, results, run = started(bed, run_dag)
    waits = {"success": 1, "up_for_retry": 1}
    eventually(lambda: bed.metadata.state_counts("faults_versions", run) == waits, 60)
    second = faults.inject("airflow.retry-clock", seconds=0, dag_id="faults_versions", task_id="work")
    running.join(60)
    assert (results[0].state, results[0].task("work").tries) == ("success", [2, 1])
    assert faults.undo(second) == 1
    assert faults.undo(first) == 1


def test_clocks_that_are_taken_back_oldest_first(bed: Any, faults: Any, run_dag: Any, dag_file: Path) -> None:
    def delays() -> set[Any]:
        with bed.database("metadata") as admin:
            return {
                row[0]
                for row in admin.execute(
                    "SELECT retry_delay_override FROM task_instance WHERE run_id = %s AND state = 'up_for_retry'", [run]
                )
            }

    first = faults.inject("airflow.retry-clock", seconds=3600, dag_id="faults_versions")
    second = faults.inject("airflow.retry-clock", seconds=1800, task_id="work")
    running, results, run = started(bed, run_dag)
    eventually(lambda: delays() == {1800.0}, 60)
    faults.undo(first)
    assert delays() == {1800.0}
    faults.undo(second)
    assert delays() <= {None}
    running.join(60)
    assert results[0].state == "success"


def test_another_version_of_a_dag_file(bed: Any, faults: Any, run_dag: Any, dag_file: Path, tmp_path: Path) -> None:
    new = tmp_path / "new.py"
    new.write_text(VERSION.format(version="new"))
    entry = faults.inject("airflow.dag-file", file=dag_file.name, by=str(new))
    assert run_dag("faults_versions", conf={}).task("work").values == ["new", "new"]
    faults.undo(entry)
    assert dag_file.read_text() == VERSION.format(version="old")
    assert run_dag("faults_versions", conf={}).task("work").values == ["old", "old"]


@pytest.mark.parametrize(
    ("content", "error"), [("from airflow.sdk import dag, nothing_of_that_name\n", True), ("# empty\n", False)]
)
def test_a_version_without_a_dag(
    bed: Any, faults: Any, dag_file: Path, tmp_path: Path, content: str, error: bool
) -> None:
    (tmp_path / "broken.py").write_text(content)
    entry = faults.inject("airflow.dag-file", file=dag_file.name, by=str(tmp_path / "broken.py"))
    assert any(Path(each.filename).name == dag_file.name for each in bed.metadata.import_errors()) is error
    assert not is_known(bed)
    faults.undo(entry)
    assert not any(Path(each.filename).name == dag_file.name for each in bed.metadata.import_errors())
    assert is_known(bed)


def test_a_file_that_could_not_be_imported_is_so_again(
    bed: Any, faults: Any, run_dag: Any, dag_file: Path, tmp_path: Path
) -> None:
    def is_broken() -> bool:
        return any(Path(each.filename).name == dag_file.name for each in bed.metadata.import_errors())

    (tmp_path / "new.py").write_text(VERSION.format(version="new"))
    dag_file.write_text("from airflow.sdk import dag, nothing_of_that_name\n")
    eventually(is_broken, 60)
    with faults.injected("airflow.dag-file", file=dag_file.name, by=str(tmp_path / "new.py")):
        assert not is_broken()
        assert run_dag("faults_versions", conf={}).task("work").values == ["new", "new"]
    assert is_broken()


def test_a_users_own_dag_file_is_never_changed(bed: Any, faults: Any, tmp_path: Path) -> None:
    (tmp_path / "new.py").write_text("")
    with pytest.raises(UsageError, match=r"the bed's own DAG folder has no file 'every_end.py'"):
        faults.inject("airflow.dag-file", file="every_end.py", by=str(tmp_path / "new.py"))
