"""A user's own DAGs: unmodified examples, and a project in the Astro CLI's layout. Each on a bed of its own."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path

import pytest
from helpers import until

from airbed.runs.execute import run_dag

EXAMPLES = {
    "airflow/example_dags/example_dynamic_task_mapping.py": "example_dynamic_task_mapping",
    "airflow/example_dags/example_dynamic_task_mapping_with_no_taskflow_operators.py": (
        "example_dynamic_task_mapping_with_no_taskflow_operators"
    ),
    "airflow/providers/standard/example_dags/example_bash_operator.py": "example_bash_operator",
    "airflow/providers/standard/example_dags/example_short_circuit_decorator.py": "example_short_circuit_decorator",
}
DAG = '''"""Uses all that a project may bring."""

import emoji
from airflow.sdk import BaseHook, Variable, dag, task
from include.words import PLACES

AT_PARSE_TIME = Variable.get("greeting")


@dag(params={"n": 3})
def project_dag():
    @task
    def names(params: dict) -> list[str]:
        return PLACES[: params["n"]]

    @task(pool="narrow")
    def greet(name: str) -> str:
        connection = BaseHook.get_connection("api-local")
        assert (connection.host, connection.port, connection.extra_dejson) == ("localhost", 8123, {"timeout": 3})
        assert Variable.get("quoted") == "it's \\"so\\"\\n100%"
        return emoji.emojize(f"{AT_PARSE_TIME} {name} :waving_hand:")

    @task
    def check(all_of_them: list[str]) -> None:
        assert list(all_of_them) == [f"hello {name} \\N{WAVING HAND SIGN}" for name in PLACES]

    @task.bash
    def templated() -> str:
        return "echo {{ macros.house.shout('template') }} $TEAM"

    check(greet.expand(name=names())) >> templated()


project_dag()
'''
PLUGIN = """from airflow.plugins_manager import AirflowPlugin


def shout(text: str) -> str:
    return text.upper()


class House(AirflowPlugin):
    name = "house"
    macros = [shout]
"""
SETTINGS = """
airflow:
  connections:
    - conn_id: api-local
      conn_type: http
      conn_host: localhost
      conn_port: 8123
      conn_extra:
        timeout: 3
    - conn_id:
      conn_type:
  pools:
    - pool_name: narrow
      pool_slot: 1
      pool_description: one at a time
  variables:
    - variable_name: greeting
      variable_value: hello
"""
ENV = """TEAM=data
AIRFLOW_VAR_QUOTED="it's \\"so\\"\\n100%"
AIRFLOW__CORE__PARALLELISM=1
"""


def airbed(*arguments: str, code: int = 0) -> subprocess.CompletedProcess[str]:
    """Run the command line as a user does."""
    program = Path(sys.executable).with_name("airbed")
    done = subprocess.run([str(program), *arguments], capture_output=True, text=True, check=False, timeout=600)
    assert done.returncode == code, f"{arguments}: {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done


def bed_for(label: str, *options: str):
    """Bring a bed up, yield its name, take it down."""
    where = f"{Path(__file__).resolve()}{os.environ.get('PYTEST_XDIST_WORKER', '')}"
    name = f"your-{hashlib.sha256(where.encode()).hexdigest()[:6]}-{label}"
    subprocess.run(
        [str(Path(sys.executable).with_name("airbed")), "down", "--name", name], capture_output=True, check=False
    )
    try:
        came = json.loads(airbed("up", "--name", name, "--json", *options).stdout)
        assert came["outcome"] == "created"
        assert came["time_scale"] == 1
        assert came["kubernetes"] is False
        yield name
    finally:
        subprocess.run([str(Path(sys.executable).with_name("airbed")), "down", "--name", name], check=False)


@pytest.fixture(scope="module")
def examples(tmp_path_factory):
    """A folder with unmodified example DAGs."""
    folder = tmp_path_factory.mktemp("examples")
    site = Path(find_spec("airflow").origin).parent.parent
    for path in EXAMPLES:
        shutil.copyfile(site / path, folder / Path(path).name)
    return folder


@pytest.fixture(scope="module")
def example_bed(examples):
    yield from bed_for("examples", "--dags", str(examples))


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A project folder as `astro dev init` makes it, filled."""
    folder = tmp_path_factory.mktemp("astro")
    for path, text in {
        "dags/project_dag.py": DAG,
        "plugins/house.py": PLUGIN,
        "include/words.py": 'PLACES = ["Anna", "Ben", "Cem"]\n',
        "requirements.txt": "# small and pure\nemoji==2.14.0\nrequests\n",
        "packages.txt": "",
        "airflow_settings.yaml": SETTINGS,
        ".env": ENV,
        "Dockerfile": "FROM astrocrpublic.azurecr.io/runtime:3.1-1\n",
    }.items():
        (folder / path).parent.mkdir(exist_ok=True)
        (folder / path).write_text(text)
    return folder


@pytest.fixture(scope="module")
def project_bed(project):
    yield from bed_for("project", "--project", str(project))


def run(bed: str, dag_id: str, *options: str):
    done = airbed("run", dag_id, "--name", bed, "--json", "--timeout", "300", *options)
    return done.stderr, json.loads(done.stdout)


@pytest.mark.parametrize("dag_id", EXAMPLES.values())
def test_unmodified_examples_run(example_bed, dag_id):
    header, result = run(example_bed, dag_id)
    assert "time factor 1" in header
    assert result["state"] == "success"
    if dag_id == "example_dynamic_task_mapping":
        mapped = result["tasks"]["add_one"]
        assert (mapped["expected"], mapped["success"]) == (3, 3)


def test_an_unmodified_example_takes_every_fault_of_a_task(example_bed):
    """Three runs of three mapped instances, each with a fault of its own, none of them retried."""
    from airbed.bed import Bed
    from airbed.faults.plane import FaultPlane
    from airbed.faults.registry import make

    bed, dag_id = Bed.open(example_bed), "example_dynamic_task_mapping"
    plane = FaultPlane(bed, "a test")
    may_be_late = ""
    until(lambda: dag_id in bed.metadata.dag_ids(), "the example is parsed")

    def inject(kind: str, index: int, **parameters):
        return plane.inject(make(kind, {"dag_id": dag_id, "task_id": "add_one", "map_index": index, **parameters}))

    def ended(state: str) -> tuple[dict, dict[int, str]]:
        """What became of a run, and the logs of its instances; the faults are taken back, and each has hit."""
        result = run_dag(bed, dag_id)
        assert result.state == state
        injected = [each for each in plane.active() if each.owner == "a test" and each.id != may_be_late]
        assert [plane.fired(each) for each in injected] == [1] * len(injected)
        plane.clear(owner="a test")
        return result, {index: bed.airflow.log(dag_id, result.run_id, "add_one", index, 1) for index in range(3)}

    try:
        inject("task.raise", 0, exception="builtins:OSError", message="no disk")
        inject("task.fail-now", 1, message="of no use")
        inject("task.kill", 2)
        result, logs = ended("failed")
        assert result.task("add_one").indexes("hard") == [0, 1, 2]
        assert ["no disk" in logs[0], "of no use" in logs[1], "SIGKILL" in logs[2]] == [True] * 3

        inject("task.exit", 0, code=3)
        inject("task.oom-kill", 1, megabytes=1)
        # Keeps the task there until its memory is looked at, which may be before this has begun.
        may_be_late = inject("task.slow", 1, seconds=5).id
        hang = inject("task.hang", 2)
        with ThreadPoolExecutor(1) as elsewhere:
            run = elsewhere.submit(ended, "failed")
            until(lambda: plane.fired(hang) == 1, "add_one[2] hangs")
            assert plane.undo(hang.id).fired == 1
            result, logs = run.result()
        assert (result.task("add_one").indexes("hard"), result.task("add_one").indexes("success")) == ([0, 1], [2])
        assert ["injected exit (code 3" in logs[0], "MB in memory: SIGKILL" in logs[1]] == [True] * 2

        inject("task.memory-limit", 0, megabytes=1000)
        inject("task.slow", 0, seconds=2, when="after")
        inject("task.return", 1, value=40)
        inject("task.return-none", 2)
        result, _ = ended("success")
        assert result.task("add_one").instances[0].seconds >= 2
        # Nobody told the summing task that one is missing, and one wrong: 2 + 40.
        assert "Total was 42" in bed.airflow.log(dag_id, result.run_id, "sum_it", -1, 1)
    finally:
        plane.clear(owner="a test")


def test_edits_are_picked_up_and_a_broken_one_says_why(example_bed, examples):
    file = examples / "my_edit.py"
    text = """from airflow.sdk import dag, task


@dag
def my_edit():
    @task
    def one():
        return 1

    one()


my_edit()
"""
    file.write_text(text)
    assert run(example_bed, "my_edit")[1]["state"] == "success"

    file.write_text("import no_such_module\n" + text)
    refused = airbed("run", "my_edit", "--name", example_bed, code=2).stderr
    assert "ModuleNotFoundError: No module named 'no_such_module'" in refused.splitlines()[-1]
    deadline = time.monotonic() + 60
    while not (errors := json.loads(airbed("status", "--name", example_bed, "--json").stdout)["import_errors"]):
        assert time.monotonic() < deadline, "status never showed the import error"
    assert errors == [{"file": "my_edit.py", "error": "ModuleNotFoundError: No module named 'no_such_module'"}]

    file.write_text(text.replace("return 1", "raise RuntimeError('now it fails')"))
    failed = json.loads(airbed("run", "my_edit", "--name", example_bed, "--json", code=1).stdout)
    assert failed["state"] == "failed"
    assert "now it fails" in json.dumps(failed)


def test_wrong_input_for_a_living_bed_is_one_line(example_bed):
    def said(*arguments: str) -> str:
        line = airbed(*arguments, "--name", example_bed, code=2).stderr.splitlines()[-1]
        assert line.startswith("error: "), line
        return line

    assert "did you mean 'example_bash_operator'" in said("run", "exampel_bash_operator")
    assert "--conf is not JSON" in said("run", "example_bash_operator", "--conf", "{no}")
    assert "is not a day" in said("run", "example_bash_operator", "--day", "05.01.2026")
    assert "no service 'shard-9'" in said("logs", "shard-9")
    assert "exists with other options" in said("up", "--dags", str(Path(__file__).parent / "dags"))


def test_a_project_brings_all_its_parts(project_bed):
    _, result = run(project_bed, "project_dag")
    assert result["state"] == "success"
    greet = result["tasks"]["greet"]
    assert (greet["expected"], greet["success"], greet["max_running"]) == (3, 3, 1)


def test_the_beds_plugin_works_beside_the_projects(project_bed):
    from airbed.bed import Bed

    with Bed.open(project_bed).director as director:
        director.add_task_rule(dag_id="project_dag", task_id="greet", action="fail-now", map_index=1)
        done = airbed("run", "project_dag", "--name", project_bed, "--json", code=1)
        director.clear()
    greet = json.loads(done.stdout)["tasks"]["greet"]
    assert (greet["success"], greet["hard"]) == (2, 1)


def test_what_a_project_may_not_set_is_not_set(project_bed):
    status = json.loads(airbed("status", "--name", project_bed, "--json").stdout)
    (scheduler,) = [each["pid"] for each in status["services"] if each["name"] == "scheduler"]
    environ = Path(f"/proc/{scheduler}/environ").read_bytes().decode().split("\0")
    assert "TEAM=data" in environ
    assert "AIRFLOW__CORE__PARALLELISM=1" not in environ
    assert not [each for each in environ if each.startswith(("AWS_", "PG", "KUBECONFIG", "USER="))]


def test_the_overlay_is_made_once_and_keeps_the_base(project):
    from airbed.settings import load_settings
    from airbed.substrates.embedded.overlay import ensure_overlay

    said: list[str] = []
    site = ensure_overlay(load_settings(), project / "requirements.txt", said.append)
    again = ensure_overlay(load_settings(), project / "requirements.txt", said.append)
    assert site == again
    assert len(said) <= 1
    assert (site / "emoji/__init__.py").is_file()
    assert list((site / "emoji").glob("__pycache__/*.pyc"))
    assert not (site / "requests").exists(), "the base has it"


def test_requirements_that_would_replace_the_base_are_refused_before_anything_starts(project, tmp_path):
    shutil.copytree(project, tmp_path / "p")
    (tmp_path / "p/requirements.txt").write_text("apache-airflow==2.10.0\n")
    line = airbed("up", "--name", "never-made", "--project", str(tmp_path / "p"), code=2).stderr.splitlines()[-1]
    assert "cannot be installed beside the bed's Airflow" in line
    assert "apache-airflow==2.10.0" in line
    assert "never-made" not in airbed("ls").stdout
