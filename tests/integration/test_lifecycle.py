"""A bed survives what happens to processes: SIGKILL of any of them, Ctrl-C, two commands at once, a lost folder.

The tests share one bed of their own and go from one damage to the next; each leaves it whole.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers import until

from airbed import removal
from airbed.bed import Bed
from airbed.runs.execute import run_dag
from airbed.settings import load_settings
from airbed.spec import BedFiles
from airbed.substrates.embedded import object_store, processes
from airbed.substrates.embedded.ports import still_taken

DAGS = Path(__file__).parent / "dags"
PATIENCE = 400


def name_of(what: str) -> str:
    return f"soak-{what}-{os.environ.get('PYTEST_XDIST_WORKER', 'main')}"


def airbed(*arguments: str) -> subprocess.Popen[str]:
    """Start a command as a user would."""
    return subprocess.Popen(
        [sys.executable, "-m", "airbed", *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def up(name: str) -> subprocess.Popen[str]:
    # Processes of this machine are what this is about, whatever the other tests' bed is on.
    options = ["--on", "embedded", "--without", "kubernetes", "--time-scale", "100", "--json"]
    return airbed("up", "--name", name, "--dags", str(DAGS), *options)


def ended(command: subprocess.Popen[str]) -> tuple[int, str, str]:
    output, errors = command.communicate(timeout=PATIENCE)
    return command.returncode, output, errors


def outcome(command: subprocess.Popen[str]) -> str:
    code, output, errors = ended(command)
    assert code == 0, errors
    return str(json.loads(output)["outcome"])


def family(bed: Bed, service: str) -> dict[int, processes.Process]:
    return processes.of_bed(bed.spec.mark, service)


def alive(victims: dict[int, processes.Process]) -> list[str]:
    """What is still there of these processes, in words; another process may have the id of one by now."""
    now = processes.processes()
    return [
        f"{pid} (parent {now[pid].parent}, state {now[pid].state}, service {each.service}): {processes.command_of(pid)}"
        for pid, each in victims.items()
        if pid in now and now[pid].start == each.start
    ]


def main_process(bed: Bed, service: str) -> int:
    return min(family(bed, service).values(), key=lambda each: (each.start, each.pid)).pid


def status(bed: Bed, service: str) -> str:
    return {each.name: each.state for each in bed.substrate.status()}[service]


def crashes(bed: Bed, service: str) -> int:
    return {each.name: each.crashes for each in bed.substrate.status()}[service]


def states(bed: Bed) -> set[str]:
    return {each.state for each in bed.substrate.status()}


@pytest.fixture(scope="module")
def bed() -> Iterator[Bed]:
    """Two `up` at once: one makes the bed, the other one waits for it and changes nothing."""
    name = name_of("lifecycle")
    settings = load_settings()
    if name in removal.every_name(settings):
        removal.down(settings, name, lambda line: None)
    try:
        said = [ended(each) for each in [up(name), up(name)]]
        assert [code for code, _, _ in said] == [0, 0], said
        assert sorted(json.loads(output)["outcome"] for _, output, _ in said) == ["created", "unchanged"]
        assert sum("another airbed command is working" in errors for _, _, errors in said) == 1
        yield Bed.open(name)
    finally:
        if name in removal.every_name(settings):
            removal.down(settings, name, lambda line: None)


def test_a_run_survives_the_death_of_its_scheduler(bed: Bed) -> None:
    """Only the main process is killed: its workers and tasks live on, and must not meet those of the next one."""
    victims: dict[int, processes.Process] = {}
    before = crashes(bed, "scheduler")

    def kill() -> None:
        with bed.database("metadata") as connection:
            running = "SELECT count(*) FROM task_instance WHERE dag_id = 'lifecycle_slow' AND state = 'running'"
            until(lambda: (connection.execute(running).fetchone() or (0,))[0] == 6, "six instances run", PATIENCE)
        victims.update(family(bed, "scheduler"))
        os.kill(main_process(bed, "scheduler"), signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    result = run_dag(bed, "lifecycle_slow", conf={"seconds": 60}, timeout=PATIENCE)
    killer.join()
    assert result.state == "success"
    work = result.tasks["work"]
    assert [each.value for each in work.instances] == [1, 2, 3, 4, 5, 6]
    assert {each.tries for each in work.instances} == {2}, "the killed try counts, and is the only one"
    assert result.singles["total"].value == 21
    assert len(victims) > 6
    assert alive(victims) == []
    assert crashes(bed, "scheduler") == before + 1


def test_a_database_keeps_what_was_committed_and_its_orphans_are_ended(bed: Bed) -> None:
    with bed.database("shard-0") as connection:
        connection.execute("CREATE TABLE kept AS SELECT 0 AS number")
    busy = bed.database("shard-0")

    def work() -> None:
        # A server process that computes does not notice that its parent is dead, and would block the next start.
        with pytest.raises(Exception, match="closed the connection"):
            busy.execute("SELECT count(*) FROM generate_series(1, 100000000000)")

    thread = threading.Thread(target=work)
    thread.start()
    with bed.database("shard-0") as connection:
        active = "SELECT 1 FROM pg_stat_activity WHERE state = 'active' AND query LIKE '%generate_series%' AND pid = {}"
        until(lambda: connection.execute(active.format(busy.info.backend_pid).encode()).fetchone(), "the query runs")
        connection.execute("INSERT INTO kept VALUES (1)")
        victims = family(bed, "shard-0")
        os.kill(main_process(bed, "shard-0"), signal.SIGKILL)
    thread.join(30)
    bed.substrate.wait_ready("shard-0")
    assert alive(victims) == []
    with bed.database("shard-0") as connection:
        assert connection.execute("SELECT number FROM kept ORDER BY 1").fetchall() == [(0,), (1,)]
        connection.execute("DROP TABLE kept")


@pytest.mark.parametrize("service", ["shard-1", "s3", "director"])
def test_every_verb_of_a_service(bed: Bed, service: str) -> None:
    substrate = bed.substrate
    substrate.pause(service)
    assert status(bed, service) == "paused"
    assert {each.state for each in family(bed, service).values()} == {"T"}
    substrate.unpause(service)
    assert status(bed, service) == "running"
    before, victims = crashes(bed, service), family(bed, service)
    substrate.kill(service)
    substrate.wait_ready(service)
    assert alive(victims) == []
    assert crashes(bed, service) == before + 1
    substrate.stop(service)
    assert status(bed, service) == "stopped"
    assert not family(bed, service)
    substrate.start(service)
    assert status(bed, service) == "running"
    assert crashes(bed, service) == before + 1, "a stop is no crash"


def test_up_mends_what_does_not_run_and_leaves_the_rest_alone(bed: Bed) -> None:
    bed.substrate.stop("shard-2")
    bed.substrate.pause("director")
    scheduler = main_process(bed, "scheduler")
    assert outcome(up(bed.name)) == "mended"
    assert states(bed) == {"running"}
    assert main_process(bed, "scheduler") == scheduler


def test_stop_and_start_keep_the_data(bed: Bed) -> None:
    bed.s3.put_object(Bucket="artifacts", Key="kept", Body=b"kept")
    with bed.database("warehouse") as connection:
        connection.execute("CREATE TABLE kept AS SELECT 1 AS number")
    code, output, errors = ended(airbed("stop", "--name", bed.name, "--json"))
    assert code == 0, errors
    assert json.loads(output)["processes"] > len(bed.substrate.services)
    assert states(bed) == {"stopped"}
    assert not processes.of_bed(bed.spec.mark)
    # The way up is interrupted by a SIGKILL, which the next one does not mind.
    interrupted = up(bed.name)
    until(lambda: family(bed, "api-server"), "the API server is being started", PATIENCE)
    interrupted.kill()
    interrupted.communicate()
    assert outcome(up(bed.name)) == "started"
    assert states(bed) == {"running"}
    assert bed.s3.get_object(Bucket="artifacts", Key="kept")["Body"].read() == b"kept"
    with bed.database("warehouse") as connection:
        assert connection.execute("SELECT number FROM kept").fetchall() == [(1,)]
        connection.execute("DROP TABLE kept")


def test_the_keeper_dies_and_up_brings_everything_back(bed: Bed) -> None:
    old = processes.of_bed(bed.spec.mark)
    os.kill(main_process(bed, processes.KEEPER), signal.SIGKILL)
    until(lambda: not bed.substrate.alive(), "the keeper is gone")
    assert states(bed) == {"unkept"}
    code, _, _ = ended(airbed("status", "--name", bed.name))
    assert code == 3
    assert outcome(up(bed.name)) == "started"
    assert states(bed) == {"running"}
    assert alive(old) == []
    assert run_dag(bed, "lifecycle_slow", conf={"seconds": 0}, timeout=PATIENCE).state == "success"


def test_ctrl_c_ends_up_and_a_waiting_down_takes_the_rest() -> None:
    name = name_of("interrupted")
    files = BedFiles(load_settings(), name)
    starting = up(name)
    until((files.logs / "metadata.log").is_file, "the first service is being started", PATIENCE)
    spec = files.read_spec()
    down = airbed("down", "--name", name, "--json")
    assert down.stderr is not None
    assert "another airbed command is working" in down.stderr.readline()
    starting.send_signal(signal.SIGINT)
    code, _, errors = ended(starting)
    assert code == 130, errors
    assert ended(down)[0] == 0
    assert not files.folder.exists()
    assert not processes.of_bed(spec.mark)
    assert still_taken(spec.ports.values()) == []


def test_down_finds_a_bed_whose_folder_was_deleted(bed: Bed) -> None:
    """The last one: it ends the bed."""
    shutil.rmtree(bed.folder, ignore_errors=True)
    shutil.rmtree(bed.folder, ignore_errors=True)
    assert processes.of_bed(bed.spec.mark)
    code, output, errors = ended(airbed("down", "--name", bed.name, "--json"))
    assert code == 0, errors
    assert json.loads(output)[0]["processes"] > len(bed.substrate.services)
    assert not processes.of_bed(bed.spec.mark)
    assert not bed.folder.exists()
    assert still_taken(bed.spec.ports.values()) == []
    ports = {str(bed.spec.ports[each]) for each in object_store.PORTS}
    assert [each for each in Path("/tmp").glob("seaweedfs-*.sock") if each.stem.rsplit("-", 1)[1] in ports] == []
