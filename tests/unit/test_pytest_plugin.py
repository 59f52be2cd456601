"""The pytest plugin as a user's project meets it: pytest run in a folder of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

# Imported once for all runs within this process.
from airbed.faults import plane as _plane  # noqa: F401
from airbed.incidents import load as _load  # noqa: F401
from airbed.kubernetes import control_plane as _ports  # noqa: F401
from airbed.pytest_plugin.beds import own_name
from airbed.seed import registry as _seeds  # noqa: F401
from airbed.settings import Settings

pytest_plugins = ["pytester"]
HERE = Path(__file__).parent
RunPytest = Callable[..., str]

SCENARIO = """
name: two-cases
symptom: nothing is wrong
given: {}
cases:
  as_taught: {run: {dag: some_dag}, expect: {run: success}}
  correct: {run: {dag: some_dag}, expect: {run: success}}
"""

# A bed without services, where `bed` of the plugin would start one.
CONFTEST = """
import pytest
from fault_bed import make_bed

@pytest.fixture
def bed(tmp_path_factory, monkeypatch):
    return make_bed(tmp_path_factory.mktemp("bed"), monkeypatch)
"""


@pytest.fixture
def project(pytester: pytest.Pytester) -> Path:
    (pytester.path / "pytest.ini").write_text(
        f"[pytest]\npythonpath = {HERE}\naddopts = --strict-markers -p no:cacheprovider\n"
    )
    return pytester.path


@pytest.fixture
def run_pytest(pytester: pytest.Pytester) -> RunPytest:
    return lambda *arguments: pytester.runpytest_inprocess(*arguments).stdout.str()


def test_a_session_without_airbed_fixtures_imports_nothing_of_airbed_but_the_plugin(
    project: Path, pytester: pytest.Pytester
) -> None:
    (project / "other.yaml").write_text("name: not a scenario\nexpect: {}\n")
    (project / "test_it.py").write_text(
        "import sys\ndef test_it():\n"
        "    names = {each for each in sys.modules if each.split('.')[0] == 'airbed'}\n"
        "    assert {each for each in names if not each.startswith('airbed.pytest_plugin')} == {'airbed'}\n"
        "    assert not {'pydantic', 'airflow', 'yaml', 'httpx', 'boto3'} & set(sys.modules)\n"
    )
    pytester.runpytest_subprocess("-q").assert_outcomes(passed=1)


def test_scenario_files_are_collected_one_test_a_case(project: Path, run_pytest: RunPytest) -> None:
    (project / "sub").mkdir()
    (project / "sub" / "two-cases.yaml").write_text(SCENARIO)
    (project / "sub" / "other.yaml").write_text("name: values of a chart\nreplicas: 3\n")

    done = run_pytest("--collect-only", "-q")
    assert done.splitlines()[:2] == [
        "sub/two-cases.yaml::two-cases::as_taught",
        "sub/two-cases.yaml::two-cases::correct",
    ]
    assert "2 tests collected" in done
    chosen = run_pytest("--collect-only", "-q", "-k", "correct")
    assert "1/2 tests collected" in chosen


def test_a_scenario_that_needs_kubernetes_is_marked_so(project: Path, run_pytest: RunPytest) -> None:
    (project / "two-cases.yaml").write_text(SCENARIO + "needs: [kubernetes]\n")

    assert "2 tests collected" in run_pytest("--collect-only", "-q", "-m", "kubernetes")


def test_a_case_has_the_time_that_its_file_gives_it(project: Path, pytester: pytest.Pytester) -> None:
    (project / "two-cases.yaml").write_text(SCENARIO.replace("as_taught: {", "as_taught: {timeout: 1000, ", 1))

    items, _ = pytester.inline_genitems()
    assert [item.get_closest_marker("timeout").args for item in items] == [(2300,), (1380,)]


def test_a_broken_scenario_is_an_error_of_the_collection_with_its_line(project: Path, run_pytest: RunPytest) -> None:
    (project / "two-cases.yaml").write_text(SCENARIO.replace("some_dag}, expect", "some_dag, dya: 1}, expect", 1))

    done = run_pytest("--collect-only", "-q")
    assert f"{project}/two-cases.yaml:6: cases.as_taught.run.dya: unknown field 'dya'; did you mean day?" in done


def test_every_yaml_file_of_a_named_folder_is_taken_for_a_scenario(project: Path, run_pytest: RunPytest) -> None:
    (project / "incidents").mkdir()
    (project / "incidents" / "empty.yaml").write_text("name: empty\n")
    with (project / "pytest.ini").open("a") as ini:
        ini.write("airbed_incidents = incidents\n")

    assert "empty.yaml:1: symptom is missing" in run_pytest("--collect-only", "-q")


def test_faults_are_put_back_also_when_the_test_fails(project: Path, run_pytest: RunPytest) -> None:
    (project / "conftest.py").write_text(CONFTEST)
    (project / "test_it.py").write_text(
        """
import json, pathlib
from airbed.faults.ledger import Ledger

def facts(bed, faults):
    return {"files": sorted(each.name for each in bed.folder.glob("airbed-f*")),
            "active": [each.id for each in faults.active()], "owner": [each.owner for each in faults.active()]}

def test_it(bed, faults, request):
    request.addfinalizer(lambda: None)
    first = faults.inject("file.mark", text="abc")
    assert faults.fired(first) == 3
    with faults.injected("file.mark", text="x") as second:
        within = facts(bed, faults)
    assert faults.undo(faults.inject("file.mark", text="four")) == 4
    faults.inject("file.once")
    pathlib.Path("facts.json").write_text(json.dumps([str(bed.folder), within, facts(bed, faults)]))
    assert False, "on purpose"
"""
    )
    done = run_pytest("-q")
    assert "on purpose" in done
    assert "1 failed in" in done, done
    folder, within, after = json.loads((project / "facts.json").read_text())
    assert within == {
        "files": ["airbed-f1", "airbed-f2"],
        "active": ["f1", "f2"],
        "owner": ["test test_it.py::test_it"] * 2,
    }
    assert (after["files"], after["active"]) == (["airbed-f1"], ["f1"])
    assert not list(Path(folder).glob("airbed-f*"))
    assert json.loads((Path(folder) / "faults.json").read_text())["entries"] == []


def test_wrong_parameters_fail_the_test_and_inject_nothing(project: Path, run_pytest: RunPytest) -> None:
    (project / "conftest.py").write_text(CONFTEST)
    (project / "test_it.py").write_text("def test_it(bed, faults):\n    faults.inject('file.mark', text='x', tims=3)\n")
    assert "file.mark: tims: unknown; file.mark has: text, mode, times" in run_pytest("-q")


def test_a_marked_test_without_its_file_says_where_it_looked(project: Path, run_pytest: RunPytest) -> None:
    (project / "conftest.py").write_text(CONFTEST)
    (project / "test_it.py").write_text(
        "import pytest\n@pytest.mark.incident('two-cases.yaml', case='correct')\ndef test_it(incident):\n    pass\n"
    )
    said = run_pytest("-q")
    assert "there is no file two-cases.yaml; looked in " in said
    assert "1 error in" in said


def test_a_file_with_several_cases_needs_the_name_of_one(project: Path, run_pytest: RunPytest) -> None:
    (project / "conftest.py").write_text(CONFTEST)
    (project / "two-cases.yaml").write_text(SCENARIO)
    (project / "test_it.py").write_text("def test_it(incident):\n    incident('two-cases')\n")

    said = run_pytest("-q", "test_it.py")
    assert "two-cases.yaml has several cases: give case= one of as_taught, correct" in said


def test_a_second_session_of_a_checkout_takes_another_bed(tmp_path: Path) -> None:
    settings = Settings(state=tmp_path / "state", cache=tmp_path / "cache")
    with own_name(settings, "test-abc-main") as first, own_name(settings, "test-abc-main") as second:
        assert (first, second) == ("test-abc-main", "test-abc-main-2")
    with own_name(settings, "test-abc-main") as again:
        assert again == "test-abc-main"
    assert list(settings.beds.iterdir()) == []


def test_a_killed_session_leaves_its_name_free(tmp_path: Path) -> None:
    code = (
        "import sys, pathlib\n"
        "from airbed.pytest_plugin.beds import own_name\n"
        "from airbed.settings import Settings\n"
        "with own_name(Settings(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[1])), 'x') as name:\n"
        "    print(name, flush=True)\n"
        "    sys.stdin.read()\n"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "x\n"
        process.kill()
    with own_name(Settings(tmp_path, tmp_path), "x") as name:
        assert name == "x"
