"""Faults by hand on a living bed: seen by a real client, shown by status, put back; also after a SIGKILL."""

from __future__ import annotations

import json
import socket
import subprocess
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from helpers import AIRBED, airbed

from airbed.endpoints import Address
from airbed.faults.ledger import Ledger


@pytest.fixture(autouse=True)
def whole_again(bed: Any) -> Iterator[None]:
    """A test that failed half-way leaves the bed to the next one as it was."""
    assert Ledger(bed.folder).entries() == []
    yield
    airbed(bed, "fault", "clear", "--all")


def entries(bed: Any) -> list[Any]:
    return Ledger(bed.folder).entries()


def status(bed: Any, code: int = 0) -> dict[str, Any]:
    """What `airbed status --json` says, the services by name."""
    found: dict[str, Any] = json.loads(airbed(bed, "status", "--json", code=code).stdout)
    found["services"] = {each["name"]: each for each in found["services"]}
    return found


def is_refused(address: Address) -> bool:
    try:
        socket.create_connection((address.host, address.port), timeout=5).close()
    except ConnectionRefusedError:
        return True
    return False


def test_stop_and_start_a_service(bed: Any) -> None:
    at = bed.endpoints.databases["shard-1"].task

    said = airbed(bed, "stop", "shard-1").stdout
    assert (
        said
        == f"shard-1: stopped (f{last(bed)}); put it back with: airbed fault clear f{last(bed)} --name {bed.name}\n"
    )
    assert is_refused(at)
    assert "process.stop service='shard-1'  since " in airbed(bed, "status", code=3).stdout
    assert airbed(bed, "stop", "shard-1").stdout == said  # twice is once
    assert len(entries(bed)) == 1
    assert status(bed, 3)["services"]["shard-1"]["state"] == "stopped"

    assert airbed(bed, "start", "shard-1").stdout == "shard-1: running\n"
    assert not is_refused(at)
    assert (entries(bed), status(bed)["faults"]) == ([], [])


def last(bed: Any) -> int:
    """The highest number that a fault of the bed was given."""
    return int(json.loads((bed.folder / "faults.json").read_text())["last"])


def test_pause_and_unpause_a_service(bed: Any) -> None:
    paused = json.loads(airbed(bed, "pause", "dag-processor", "--json").stdout)

    assert (paused["did"], paused["fault"]) == ("paused", f"f{last(bed)}")
    seen = status(bed, 3)
    assert seen["services"]["dag-processor"]["state"] == "paused"
    assert [(each["kind"], each["parameters"]) for each in seen["faults"]] == [
        ("process.pause", {"service": "dag-processor"})
    ]
    assert json.loads(airbed(bed, "unpause", "dag-processor", "--json").stdout)["fault"] is None
    assert (entries(bed), status(bed)["services"]["dag-processor"]["state"]) == ([], "running")


def test_fault_clear_puts_back_what_was_stopped(bed: Any) -> None:
    airbed(bed, "stop", "triggerer")

    assert airbed(bed, "fault", "clear").stdout == f"f{last(bed)}  process.stop is put back\n"
    assert status(bed)["services"]["triggerer"]["state"] == "running"


@pytest.mark.parametrize("verb", ["kill", "restart"])
def test_kill_and_restart_leave_another_process_and_nothing_to_put_back(bed: Any, verb: str) -> None:
    before = status(bed)["services"]["triggerer"]

    airbed(bed, verb, "triggerer")
    bed.substrate.wait_ready("triggerer")

    after = status(bed)["services"]["triggerer"]
    assert after["pid"] != before["pid"]
    assert after["crashes"] == before["crashes"] + (verb == "kill")
    assert entries(bed) == []


def test_restart_of_a_stopped_service_starts_it(bed: Any) -> None:
    airbed(bed, "stop", "triggerer")
    airbed(bed, "restart", "triggerer")

    assert (entries(bed), status(bed)["services"]["triggerer"]["state"]) == ([], "running")


@pytest.mark.parametrize("verb", ["stop", "start", "pause", "unpause", "kill", "restart"])
def test_an_unknown_service_is_refused(bed: Any, verb: str) -> None:
    refused = subprocess.run([AIRBED, verb, "shard-9", "--name", bed.name], capture_output=True, text=True, check=False)

    assert (refused.returncode, refused.stdout) == (2, "")
    assert "shard-9" in refused.stderr and "shard-1" in refused.stderr
    assert entries(bed) == []


@pytest.fixture
def tasks(bed: Any) -> Any:
    """S3 on the way of the tasks, each request sent once."""
    at = bed.endpoints.s3
    return boto3.client(
        "s3",
        endpoint_url=at.task,
        aws_access_key_id=at.access_key,
        aws_secret_access_key=at.secret_key,
        region_name=at.region,
        config=Config(retries={"total_max_attempts": 1}, s3={"addressing_style": "path"}),
    )


def test_an_s3_error_is_met_by_a_client_of_the_tasks_way_until_it_is_cleared(bed: Any, tasks: Any) -> None:
    bed.s3.put_object(Bucket="raw-data", Key="by-hand/a", Body=b"x")
    bed.s3.put_object(Bucket="raw-data", Key="other/a", Body=b"y")

    airbed(bed, "fault", "add", "s3.error", "--key", "by-hand/*", "--status", "503")
    with pytest.raises(ClientError) as met:
        tasks.get_object(Bucket="raw-data", Key="by-hand/a")
    assert met.value.response["ResponseMetadata"]["HTTPStatusCode"] == 503
    assert tasks.get_object(Bucket="raw-data", Key="other/a")["Body"].read() == b"y"
    assert f"f{last(bed)}  s3.error key='by-hand/*'" in airbed(bed, "fault", "list").stdout

    cleared = json.loads(airbed(bed, "fault", "clear", "--json").stdout)
    assert [(each["kind"], each["fired"]) for each in cleared] == [("s3.error", 1)]
    assert tasks.get_object(Bucket="raw-data", Key="by-hand/a")["Body"].read() == b"x"


def test_what_only_the_director_can_put_back_waits_for_it(bed: Any, tasks: Any) -> None:
    bed.s3.put_object(Bucket="raw-data", Key="stuck/a", Body=b"x")
    airbed(bed, "fault", "add", "s3.error", "--key", "stuck/*", "--status", "503")
    airbed(bed, "fault", "add", "task.kill", "--dag-id", "lifecycle_slow", "--task-id", "work")
    error, kill = (each.id for each in entries(bed))
    airbed(bed, "stop", "director")

    for each in (error, kill):
        (line,) = airbed(bed, "fault", "clear", each, code=3).stderr.splitlines()
        assert f"fault {each} (" in line and "was not undone: " in line and "does not answer" in line
    assert [each.state for each in entries(bed)] == ["stuck", "stuck", "active"]
    assert "stuck\n    not put back: " in airbed(bed, "fault", "list").stdout
    assert [each["state"] for each in status(bed, 3)["faults"]] == ["stuck", "stuck", "active"]

    airbed(bed, "start", "director")
    airbed(bed, "fault", "clear")
    assert entries(bed) == [] and bed.director.rules() == []
    assert tasks.get_object(Bucket="raw-data", Key="stuck/a")["Body"].read() == b"x"


def killed_half_way(bed: Any) -> Any:
    """The entry of a `fault add` that was killed before it could note that its fault is in force."""
    for _ in range(10):
        command = [AIRBED, "fault", "add", "process.stop", "--service", "warehouse", "--name", bed.name]
        adding = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while not entries(bed) and adding.poll() is None:
            pass
        adding.kill()
        adding.wait()
        (entry,) = entries(bed)
        if entry.state == "arming":
            assert (entry.kind, entry.owner_pid) == ("process.stop", adding.pid)
            return entry
        airbed(bed, "fault", "clear")
    raise AssertionError("each of ten was quicker than its kill")


def test_a_killed_fault_add_is_shown_and_cleared(bed: Any) -> None:
    entry = killed_half_way(bed)
    (shown,) = json.loads(airbed(bed, "fault", "list", "--json").stdout)
    assert (shown["id"], shown["left_behind"]) == (entry.id, True)
    assert f"{entry.id}  process.stop service='warehouse'  since " in airbed(bed, "fault", "list").stdout
    assert ", by hand, half applied\n" in airbed(bed, "fault", "list").stdout

    assert airbed(bed, "fault", "clear").stdout == f"{entry.id}  process.stop is put back\n"
    assert entries(bed) == []
    assert status(bed)["services"]["warehouse"]["state"] == "running"
    with bed.database("warehouse") as warehouse:
        assert warehouse.execute("SELECT 1").fetchone() == (1,)


def test_up_puts_back_what_is_broken_by_hand(bed: Any) -> None:
    airbed(bed, "stop", "shard-2")

    done = airbed(bed, "up", "--json")
    assert json.loads(done.stdout)["outcome"] == "mended"
    assert f"put back f{last(bed)}: process.stop service='shard-2'" in done.stderr
    assert (entries(bed), status(bed)["services"]["shard-2"]["state"]) == ([], "running")


def test_run_says_what_is_broken_on_purpose(bed: Any) -> None:
    airbed(bed, "stop", "shard-2")

    said = airbed(bed, "run", "lifecycle_slow", "--conf", '{"seconds": 0}').stderr
    assert f"broken on purpose: f{last(bed)} process.stop service='shard-2'" in said
