"""The fixtures `faults`, `incident` and `outcomes`, the mark, scenario files as tests: a user's pytest on this bed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from helpers import airbed

from airbed.errors import UsageError
from airbed.faults.ledger import Ledger

DAG = "lifecycle_slow"

# One of six instances is killed on its first try, and the second try heals it.
SCENARIO = """
name: {name}
symptom: one instance was tried twice
run: {{dag: lifecycle_slow, day: 2026-05-01, conf: {{seconds: 0}}}}
faults:
  - fault: task.kill
    with: {{task_id: work, map_index: 4, try_number: 1}}
expect:
  run: success
  tasks:
    work: {{outcomes: success, tries: {{4: {tries}}}}}
  effects: {{task.kill: 1}}
control: false
"""

TESTS = """
import pytest
from airbed.faults.ledger import Ledger

@pytest.mark.incident("good.yaml")
def test_marked(incident, outcomes):
    assert incident.verdict.ok
    assert outcomes("lifecycle_slow").task("work").tries == [1, 1, 1, 1, 2, 1]

def test_called(incident):
    assert incident("bad", check=False).word == "different"
    with pytest.raises(pytest.fail.Exception, match="bad/case: different"):
        incident("bad")
    assert len(incident.verdicts) == 2

def test_that_fails(bed, faults, run_dag):
    faults.inject("process.stop", service="triggerer")
    faults.inject("task.fail-now", dag_id="lifecycle_slow", task_id="work", map_index=2)
    result = run_dag("lifecycle_slow", conf={"seconds": 0})
    assert result.task("work").indexes("hard") == [2]
    raise AssertionError("on purpose")

def test_after_it(bed):
    assert Ledger(bed.folder).entries() == []
    assert {each.state for each in bed.substrate.status()} == {"running"}
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("project")
    (folder / "pytest.ini").write_text("[pytest]\naddopts = --strict-markers -p no:cacheprovider\n")
    (folder / "good.yaml").write_text(SCENARIO.format(name="good", tries=2))
    (folder / "bad.yaml").write_text(SCENARIO.format(name="bad", tries=1))
    (folder / "test_it.py").write_text(TESTS)
    return folder


def test_a_users_session(bed: Any, project: Path) -> None:
    command = [sys.executable, "-m", "pytest", "-v", "--airbed-bed", bed.name]
    done = subprocess.run(command, cwd=project, capture_output=True, text=True, check=False, timeout=500)

    verdicts = dict(line.split()[:2] for line in done.stdout.splitlines() if "::" in line and line.endswith("%]"))
    assert verdicts == {
        "bad.yaml::bad::case": "FAILED",
        "good.yaml::good::case": "PASSED",
        "test_it.py::test_marked": "PASSED",
        "test_it.py::test_called": "PASSED",
        "test_it.py::test_that_fails": "FAILED",
        "test_it.py::test_after_it": "PASSED",
    }, done.stdout
    assert "bad/case: different" in done.stdout
    assert "tries" in done.stdout
    assert "AssertionError: on purpose" in done.stdout
    assert f"airbed: {DAG} " in done.stdout  # the outcomes of the failing test's run
    assert Ledger(bed.folder).entries() == []


def test_outcomes_of_the_last_run_and_of_any(run_dag: Any, outcomes: Any) -> None:
    with pytest.raises(UsageError, match="there was none"):
        outcomes()
    first = run_dag(DAG, conf={"seconds": 0})
    second = run_dag(DAG, conf={"seconds": 0})

    assert outcomes().run_id == outcomes(DAG).run_id == second.run_id
    assert outcomes(DAG, first.run_id).task("work").values == [1, 2, 3, 4, 5, 6]
    with pytest.raises(UsageError, match="has no run 'nothing'"):
        outcomes(DAG, "nothing")


def test_a_fault_and_its_end_within_a_test(bed: Any, faults: Any, run_dag: Any) -> None:
    with faults.injected("task.raise", dag_id=DAG, task_id="work", map_index=1, try_number=1) as entry:
        broken = run_dag(DAG, conf={"seconds": 0})
        assert faults.fired(entry) == 1
        assert faults.active() == [entry]
    whole = run_dag(DAG, conf={"seconds": 0})

    assert (broken.task("work").tries, whole.task("work").tries) == ([1, 2, 1, 1, 1, 1], [1] * 6)
    assert faults.active() == []


def test_what_a_test_tells_the_director_ends_with_it_and_what_is_by_hand_stays(bed: Any, tmp_path: Path) -> None:
    airbed(bed, "fault", "add", "s3.error", "--key", "by-hand/*", "--status", "503")
    (entry,) = Ledger(bed.folder).entries()
    (tmp_path / "test_it.py").write_text(
        "def test_it(bed):\n"
        "    bed.director.add_s3_rule(action='reset', key='a/*')\n"
        "    bed.director.add_task_rule(dag_id='d', task_id='t', action='kill')\n"
        "    bed.director.add_gate('g', dag_id='d', task_id='t')\n"
    )
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--airbed-bed", bed.name]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout
    assert [rule["id"] for rule in bed.director.s3_rules()] == [entry.plan["key"]]
    assert (bed.director.rules(), bed.director.gates()) == ([], [])
    assert json.loads(airbed(bed, "fault", "clear", "--json").stdout)[0]["id"] == entry.id
    assert bed.director.s3_rules() == []
