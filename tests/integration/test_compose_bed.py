"""A bed of containers survives what happens to its engine and to its commands. Only with --airbed-on compose.

The tests share one bed of their own and go from one damage to the next; each leaves it whole.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from helpers import compose_engine, of_project, until

from airbed import removal
from airbed.bed import Bed
from airbed.runs.execute import run_dag
from airbed.settings import load_settings
from airbed.substrates.compose import layout
from airbed.substrates.compose.engine import Engine

DAGS = Path(__file__).parent / "dags"
PATIENCE = 600
pytestmark = pytest.mark.timeout(1800)


def airbed(*arguments: str, code: int = 0) -> subprocess.CompletedProcess[str]:
    done = subprocess.run([sys.executable, "-m", "airbed", *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == code, f"{arguments}: {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done


def up(name: str, *more: str, code: int = 0) -> subprocess.CompletedProcess[str]:
    options = ["--on", "compose", "--dags", str(DAGS), "--time-scale", "100", "--json"]
    return airbed("up", "--name", name, *options, *more, code=code)


def is_gone(engine: Engine, name: str) -> bool:
    return not any(of_project(engine, name).values())


def states(bed: Bed) -> dict[str, str]:
    return {each.name: each.state for each in bed.substrate.status()}


def runs(bed: Bed) -> list[str]:
    with bed.database("metadata") as connection:
        return [str(row[0]) for row in connection.execute("SELECT run_id FROM dag_run ORDER BY id")]


@pytest.fixture(scope="module")
def engine(request: pytest.FixtureRequest) -> Engine:
    return compose_engine(request)


@pytest.fixture(scope="module")
def bed(engine: Engine) -> Iterator[Bed]:
    name, settings = f"box-{os.environ.get('PYTEST_XDIST_WORKER', 'main')}", load_settings()
    if name in removal.every_name(settings):
        removal.down(settings, name, lambda line: None)
    try:
        assert json.loads(up(name, "--without", "kubernetes").stdout)["outcome"] == "created"
        yield Bed.open(name)
    finally:
        if name in removal.every_name(settings):
            removal.down(settings, name, lambda line: None)


def test_up_again_changes_nothing(bed: Bed, engine: Engine) -> None:
    before = of_project(engine, bed.name)
    assert json.loads(up(bed.name).stdout)["outcome"] == "unchanged"
    assert of_project(engine, bed.name) == before


def test_what_somebody_removed_or_killed_is_mended(bed: Bed, engine: Engine) -> None:
    """By Docker's own commands, not by ours."""
    with bed.database("shard-0") as shard:
        shard.execute("CREATE TABLE kept AS SELECT 42 AS number")
    engine.run("kill", layout.container(bed.name, "shard-1"))
    engine.run("rm", "--force", layout.container(bed.name, "shard-0"))
    engine.run("pause", layout.container(bed.name, "triggerer"))
    seen = json.loads(airbed("status", "--name", bed.name, "--json", code=3).stdout)
    broken = {each["name"]: each["state"] for each in seen["services"] if each["state"] != "running"}
    assert set(broken) == {"shard-0", "shard-1", "triggerer"} and broken["triggerer"] == "paused"

    assert json.loads(up(bed.name).stdout)["outcome"] == "mended"
    assert set(states(bed).values()) == {"running"}
    with bed.database("shard-0") as shard:
        assert shard.execute("SELECT number FROM kept").fetchone() == (42,)


def test_stop_and_start_keep_the_data(bed: Bed, engine: Engine) -> None:
    bed.s3.put_object(Bucket="raw-data", Key="kept", Body=b"as it was")
    before = run_dag(bed, "lifecycle_slow", conf={"seconds": 0}, timeout=PATIENCE)

    airbed("stop", "--name", bed.name)
    running = engine.run("ps", "--quiet", "--filter", f"label=com.docker.compose.project={layout.project(bed.name)}")
    assert running == "" and set(states(bed).values()) == {"stopped"}
    airbed("status", "--name", bed.name, code=3)
    airbed("start", "--name", bed.name)

    assert set(states(bed).values()) == {"running"}
    assert bed.s3.get_object(Bucket="raw-data", Key="kept")["Body"].read() == b"as it was"
    assert runs(bed) == [before.run_id]
    assert run_dag(bed, "lifecycle_slow", conf={"seconds": 0}, timeout=PATIENCE).state == "success"


def test_reset_keeps_the_containers(bed: Bed, engine: Engine) -> None:
    before = of_project(engine, bed.name)["container"]
    bed.s3.put_object(Bucket="raw-data", Key="to-go", Body=b"x")
    airbed("reset", "--name", bed.name)
    assert of_project(engine, bed.name)["container"] == before
    assert "Contents" not in bed.s3.list_objects_v2(Bucket="raw-data")
    assert runs(bed) == []


@pytest.mark.kubernetes
def test_a_cluster_is_added_to_a_living_bed_and_kept_by_stop_and_start(bed: Bed) -> None:
    assert json.loads(up(bed.name, "--with", "kubernetes").stdout)["outcome"] == "extended"
    bed = Bed.open(bed.name)
    assert "kube-apiserver" in states(bed) and set(states(bed).values()) == {"running"}
    airbed("stop", "--name", bed.name)
    airbed("start", "--name", bed.name)
    assert set(states(bed).values()) == {"running"}


def test_a_bed_of_containers_is_measured(engine: Engine, tmp_path: Path) -> None:
    """By service: what forks in the scheduler's container are workers and tasks, as on the embedded substrate."""
    name = f"bench-{os.environ.get('PYTEST_XDIST_WORKER', 'main')}"
    arguments = ["up", "memory", "fanout", "--sizes", "5", "--on", "compose", "--name", name, "--out", str(tmp_path)]
    found = json.loads(airbed("bench", *arguments, "--json").stdout)
    assert (found["missing"], found["timeline"]) == ([], [])
    medians = {(each["name"], each["detail"]): each["median"] for each in found["figures"]}
    assert medians["5 no-ops, CPU of each", "task"] > 0 < medians["5 no-ops, CPU of each", "worker"]
    assert medians["idle, before the first run", "metadata"] > 0 < medians["nothing to healthy", "scheduler"]
    whole = medians["idle, before the first run", ""]
    assert 500 < whole < 4000
    shares = sum(value for (part, service), value in medians.items() if part.startswith("idle,") and service)
    assert shares == pytest.approx(whole)
    assert is_gone(engine, name)


def test_an_up_that_was_killed_midway(engine: Engine) -> None:
    """`down` of a half-started project leaves nothing, and so does the next `up` with its `down`."""
    name = f"half-{os.environ.get('PYTEST_XDIST_WORKER', 'main')}"
    command = [sys.executable, "-m", "airbed", "up", "--name", name, "--on", "compose", "--without", "kubernetes"]
    half = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        until(lambda: len(of_project(engine, name)["container"]) >= 3, "some containers are there", PATIENCE)
        half.kill()
        half.wait()
        airbed("down", "--name", name)
        assert is_gone(engine, name)
    finally:
        half.kill()
        half.wait()
        if name in removal.every_name(load_settings()):
            removal.down(load_settings(), name, lambda line: None)


def test_a_project_of_somebody_else_is_left_alone(engine: Engine) -> None:
    name = f"clash-{os.environ.get('PYTEST_XDIST_WORKER', 'main')}"
    label = f"com.docker.compose.project={layout.project(name)}"
    image = engine.run("image", "ls", "--quiet").split()[0]
    theirs = engine.run("create", "--label", label, image, "true").strip()
    try:
        refused = up(name, "--without", "kubernetes", code=2)
        assert f"has containers named {layout.project(name)} that airbed did not make" in refused.stderr
        assert "another --name" in refused.stderr.splitlines()[-1]
        assert name not in removal.every_name(load_settings())
        assert engine.ids("container", f"label={label}") == [theirs[:12]]
    finally:
        engine.run("rm", "--force", theirs)


def test_an_engine_that_was_killed(bed: Bed) -> None:
    """SIGKILL of dockerd: said in a line; with the engine back, `up` mends what died with it."""
    settings = load_settings()
    pid = settings.cache / "engine" / "pid"
    if not pid.exists():
        pytest.skip("the engine is the machine's own: it is not killed for a test")
    os.kill(int(pid.read_text()), 9)
    until(lambda: not Path(f"/proc/{pid.read_text().strip()}").exists(), "dockerd is gone", 60)
    try:
        said = airbed("run", "lifecycle_slow", "--name", bed.name, code=3).stderr.splitlines()[-1]
        assert said.startswith("error: ") and "airbed status" in said
        said = up(bed.name, code=3).stderr.splitlines()[-1]
        assert said.startswith("error: ") and "make engine" in said
        seen = json.loads(airbed("status", "--name", bed.name, "--json", code=3).stdout)
        assert {each["state"] for each in seen["services"]} == {"stopped"}
    finally:
        subprocess.run([str(Path(__file__).parents[2] / "scripts/engine"), "up"], check=True)
    assert json.loads(up(bed.name).stdout)["outcome"] == "mended"
    assert run_dag(bed, "lifecycle_slow", conf={"seconds": 0}, timeout=PATIENCE).state == "success"


def test_down_finds_a_bed_whose_folder_was_deleted(bed: Bed, engine: Engine) -> None:
    """The last one: it ends the bed."""
    shutil.rmtree(bed.folder)
    told: list[dict[str, Any]] = json.loads(airbed("down", "--name", bed.name, "--json").stdout)
    assert told[0]["processes"] > 5
    assert is_gone(engine, bed.name)
