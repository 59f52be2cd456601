"""A bed is saved, and another one made of the snapshot beside it: with all that the first one had, and on its own.

The tests share one bed and one copy of it, and go on from one another.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from helpers import AIRBED, airbed
from kubernetes.client import AppsV1Api, CoreV1Api

from airbed import removal
from airbed.bed import Bed
from airbed.runs.execute import run_dag
from airbed.settings import load_settings
from airbed.snapshots.store import Store
from airbed.spec import BedFiles
from airbed.substrates.embedded import processes
from airbed.substrates.embedded.ports import still_taken
from airbed.substrates.registry import EMBEDDED, beds_on
from mapping.rollout import Cluster, Release

WORKER = os.environ.get("PYTEST_XDIST_WORKER", "main")
ORIGINAL, COPY, THIRD = (f"snap-{what}-{WORKER}" for what in ("original", "copy", "third"))
SNAPSHOT = f"test-{WORKER}"
DAGS = Path(__file__).parent / "dags"
DAG = "lifecycle_slow"
REGION = "staging-use1"
PATIENCE = 400


def quiet(line: str) -> None:
    pass


def command(*arguments: str) -> subprocess.Popen[str]:
    """Start a command as a user would."""
    return subprocess.Popen([AIRBED, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def ended(started: subprocess.Popen[str], code: int = 0) -> tuple[str, str]:
    """Standard output and error of a command that must end with `code`."""
    output, errors = started.communicate(timeout=PATIENCE)
    assert started.returncode == code, f"ended with {started.returncode}: {output}{errors}"
    return output, errors


def at_once(started: subprocess.Popen[str], reached: Callable[[], object], number: int) -> None:
    """Send a signal to a command as soon as a condition holds: what is waited for lasts a second only."""
    end = time.monotonic() + PATIENCE
    while not reached():
        assert started.poll() is None, started.communicate()
        assert time.monotonic() < end
        time.sleep(0.005)
    started.send_signal(number)


def clear() -> None:
    settings = load_settings()
    for name in {ORIGINAL, COPY, THIRD} & set(removal.every_name(settings)):
        removal.down(settings, name, quiet)
    store = Store(settings)
    with store.held(SNAPSHOT, quiet):
        store.remove(SNAPSHOT)


@pytest.fixture(scope="module")
def original() -> Iterator[Bed]:
    """A bed with a finished run, rows, objects, and where Kubernetes is built, a rollout."""
    clear()
    part = "--with" if beds_on(EMBEDDED).has_kubernetes(load_settings()) else "--without"
    try:
        ended(command("up", "--name", ORIGINAL, "--on", EMBEDDED, "--dags", str(DAGS), part, "kubernetes"))
        bed = Bed.open(ORIGINAL)
        assert run_dag(bed, DAG, day="2026-01-05", conf={"seconds": 0}, timeout=PATIENCE).state == "success"
        for service in ("shard-1", "warehouse"):
            with bed.database(service) as connection:
                connection.execute("CREATE TABLE kept AS SELECT generate_series(1, 1000) AS number")
        for number in range(3):
            bed.s3.put_object(Bucket="artifacts", Key=f"kept/{number}", Body=bytes([number]) * 100_000)
        if bed.spec.kubernetes:
            release = Release("web", "web:1.2.3", "1.2.3", "s3://artifacts/v1.2.3", 1, 60)
            Cluster(bed.kubernetes(REGION), REGION).deploy(release, "earlier")
        yield bed
    finally:
        clear()


@pytest.fixture(scope="module")
def saved(original: Bed) -> dict[str, Any]:
    """What `airbed snapshot save --json` says."""
    output, _ = ended(command("snapshot", "save", SNAPSHOT, "--name", ORIGINAL, "--json"))
    return dict(json.loads(output))


@pytest.fixture(scope="module")
def copy(saved: dict[str, Any]) -> Bed:
    """A bed that `airbed snapshot use` made, beside the original."""
    output, _ = ended(command("snapshot", "use", SNAPSHOT, "--name", COPY, "--json"))
    assert json.loads(output)["outcome"] == "restored"
    return Bed.open(COPY)


def assert_all_is_there(bed: Bed) -> None:
    (run,) = bed.metadata.runs(DAG)
    assert run.state == "success"
    assert len([each for each in bed.metadata.instances(DAG, run.run_id) if each.task_id == "work"]) == 6
    assert "work 4 of 6 is done" in bed.airflow.log(DAG, run.run_id, "work", 3)
    for service in ("shard-1", "warehouse"):
        with bed.database(service) as connection:
            assert connection.execute("SELECT count(*), sum(number) FROM kept").fetchone() == (1000, 500500)
    objects = {
        number: bed.s3.get_object(Bucket="artifacts", Key=f"kept/{number}")["Body"].read() for number in range(3)
    }
    assert objects == {number: bytes([number]) * 100_000 for number in range(3)}
    if bed.spec.kubernetes:
        deployment = AppsV1Api(bed.kubernetes(REGION)).read_namespaced_deployment("web", REGION)
        assert deployment.spec.template.spec.containers[0].image == "web:1.2.3"
        assert deployment.status.ready_replicas == 1


def states(bed: Bed) -> set[str]:
    return {each.state for each in bed.substrate.status()}


def listed() -> list[dict[str, Any]]:
    rows = json.loads(ended(command("snapshot", "ls", "--json"))[0])
    return [each for each in rows if each["name"] == SNAPSHOT]


def test_a_save_that_is_killed_leaves_no_snapshot_and_a_bed_that_starts(original: Bed) -> None:
    folder = Store(load_settings()).folder / SNAPSHOT
    saving = command("snapshot", "save", SNAPSHOT, "--name", ORIGINAL)
    at_once(saving, lambda: list(folder.glob("*/postgres/shard-1")), signal.SIGKILL)
    assert saving.wait() == -signal.SIGKILL
    left = list(folder.iterdir())
    assert len(left) == 1, "the copy was under way"
    assert listed() == []
    _, said = ended(command("snapshot", "use", SNAPSHOT, "--name", COPY), 2)
    assert f"no snapshot '{SNAPSHOT}'" in said
    assert not BedFiles(load_settings(), COPY).folder.exists()
    assert json.loads(ended(command("up", "--name", ORIGINAL, "--json"))[0])["outcome"] == "started"
    assert_all_is_there(original)


def test_a_bed_is_up_again_after_it_was_saved(original: Bed, saved: dict[str, Any]) -> None:
    assert states(original) == {"running"}
    assert_all_is_there(original)
    (row,) = listed()
    assert row["usable"]
    assert (row["bed"], row["made"], row["bytes"]) == (ORIGINAL, saved["made"], saved["bytes"])
    store = Store(load_settings())
    assert {each.name for each in (store.folder / SNAPSHOT).iterdir()} == {"snapshot.json", store.read(SNAPSHOT).data}
    _, said = ended(command("snapshot", "save", SNAPSHOT, "--name", ORIGINAL), 2)
    assert "--replace" in said


def test_a_copy_has_everything_beside_its_living_original(original: Bed, copy: Bed) -> None:
    assert states(copy) == states(original) == {"running"}
    assert_all_is_there(copy)
    assert copy.spec.mark != original.spec.mark
    assert not set(copy.spec.ports.values()) & set(original.spec.ports.values())
    own = [each for each in copy.folder.rglob("*") if each.is_file() and copy.files.postgres not in each.parents]
    text = str(original.folder).encode()
    assert [each for each in own if text in each.read_bytes() or original.spec.mark.encode() in each.read_bytes()] == []


def test_a_copy_lives_without_its_original(original: Bed, copy: Bed) -> None:
    """New runs, rows, objects and rollouts on it, while nothing of the other one answers."""
    airbed(original, "stop")
    assert run_dag(copy, DAG, day="2026-01-06", conf={"seconds": 0}, timeout=PATIENCE).state == "success"
    copy.s3.put_object(Bucket="artifacts", Key="new", Body=b"new")
    assert copy.s3.get_object(Bucket="artifacts", Key="new")["Body"].read() == b"new"
    if copy.spec.kubernetes:
        release = Release("web", "web:1.2.4", "1.2.4", "s3://artifacts/v1.2.4", 2, 60)
        Cluster(copy.kubernetes(REGION), REGION).deploy(release, "later")
        deployment = AppsV1Api(copy.kubernetes()).read_namespaced_deployment("web", REGION)
        assert (deployment.status.ready_replicas, deployment.status.updated_replicas) == (2, 2)
        (node,) = CoreV1Api(copy.kubernetes()).list_node().items
        assert node.status.daemon_endpoints.kubelet_endpoint.port == copy.spec.ports["kwok"]


def test_a_bed_that_exists_is_not_replaced_unasked(copy: Bed) -> None:
    _, said = ended(command("snapshot", "use", SNAPSHOT, "--name", COPY), 2)
    assert f"bed '{COPY}' exists" in said
    assert "--replace" in said
    assert states(copy) == {"running"}


def test_a_stale_snapshot_is_never_used(saved: dict[str, Any]) -> None:
    record = Store(load_settings()).folder / SNAPSHOT / "snapshot.json"
    today = record.read_text()
    old = json.loads(today)
    now = old["fingerprint"]["airflow"]
    old["fingerprint"]["airflow"] = "3.0.0"
    record.write_text(json.dumps(old))
    try:
        _, said = ended(command("snapshot", "use", SNAPSHOT, "--name", THIRD), 2)
        assert f"Airflow 3.0.0 then, {now} now" in said
        assert f"airbed snapshot save {SNAPSHOT} --replace" in said
        assert len(said.strip().splitlines()) == 1
        assert not BedFiles(load_settings(), THIRD).folder.exists()
        (row,) = listed()
        assert (row["usable"], row["why"]) == (False, f"Airflow 3.0.0 then, {now} now")
    finally:
        record.write_text(today)


def test_a_use_that_is_killed_is_cleaned_by_the_next_one_and_by_down(saved: dict[str, Any]) -> None:
    files = BedFiles(load_settings(), THIRD)
    using = command("snapshot", "use", SNAPSHOT, "--name", THIRD)
    at_once(using, (files.logs / "metadata.log").is_file, signal.SIGKILL)
    using.communicate()
    first = files.read_spec()
    assert first.state == "creating"
    again = command("snapshot", "use", SNAPSHOT, "--name", THIRD)
    at_once(again, lambda: files.exists() and files.read_spec().mark != first.mark, signal.SIGINT)
    _, said = ended(again, 130)
    assert "was interrupted: removing what it left" in said
    assert not processes.of_bed(first.mark)
    second = files.read_spec()
    ended(command("down", "--name", THIRD))
    assert not processes.of_bed(second.mark)
    assert still_taken([*first.ports.values(), *second.ports.values()]) == []
    assert listed()[0]["usable"]


def test_what_is_deleted_is_said(saved: dict[str, Any]) -> None:
    """The last one: it ends the snapshot; the bed that was made of it stays."""
    output, _ = ended(command("snapshot", "rm", SNAPSHOT, "--json"))
    (gone,) = json.loads(output)
    assert gone["name"] == SNAPSHOT
    assert gone["bytes"] > 50_000_000
    assert not Path(gone["folder"]).exists()
    assert listed() == []
    ended(command("snapshot", "rm", SNAPSHOT), 2)
    assert states(Bed.open(COPY)) == {"running"}
