"""Each process fault shows through a real client or a DAG, and is gone after its undo."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from airbed.errors import Unavailable, UsageError
from airbed.faults import registry
from airbed.faults.exchange import talk
from airbed.faults.ledger import Ledger
from airbed.faults.plane import FaultPlane
from airbed.faults.recovery import recover

if TYPE_CHECKING:
    from airbed.bed import Bed

DAG = "process_faults"
WITH_A_WAY = ("shard-0", "warehouse", "s3", "director")
PARTS = ("metadata", "shard-1", "s3", "director", "toxiproxy", "api-server", "scheduler", "triggerer")


@pytest.fixture
def plane(bed: Bed) -> Iterator[FaultPlane]:
    made = FaultPlane(bed)
    yield made
    made.clear()
    assert {each.name: each.state for each in bed.substrate.status() if each.state != "running"} == {}


def proxy_of(service: str) -> str:
    return "s3" if service == "director" else service


@pytest.mark.parametrize("service", WITH_A_WAY)
def test_a_stopped_service_refuses_tasks_until_the_undo(bed: Bed, plane: FaultPlane, service: str) -> None:
    with plane.injected(registry.make("process.stop", {"service": service})):
        assert bed.substrate.state(service) == "stopped"
        assert bed.toxiproxy.proxy(proxy_of(service)).enabled is False
        assert talk(bed, proxy_of(service)).error is not None
    assert bed.substrate.state(service) == "running"
    assert talk(bed, proxy_of(service)).error is None


@pytest.mark.parametrize("service", WITH_A_WAY)
def test_a_paused_service_does_not_answer_until_the_undo(bed: Bed, plane: FaultPlane, service: str) -> None:
    with plane.injected(registry.make("process.pause", {"service": service})):
        assert bed.substrate.state(service) == "paused"
        assert isinstance(talk(bed, proxy_of(service), patience=1).error, TimeoutError)
    assert bed.substrate.state(service) == "running"
    assert talk(bed, proxy_of(service)).error is None


@pytest.mark.parametrize("service", PARTS)
def test_a_killed_service_comes_back_as_another_process(bed: Bed, plane: FaultPlane, service: str) -> None:
    def pid() -> int | None:
        return next(each.pid for each in bed.substrate.status() if each.name == service)

    before = pid()
    plane.inject(registry.make("process.kill", {"service": service}))
    bed.substrate.wait_ready(service, timeout=120)
    # The scheduler and the dag-processor end with a killed metadata database, and are started again too.
    _until(lambda: all(each.state == "running" for each in bed.substrate.status()), timeout=120)
    assert pid() not in (None, before)
    assert Ledger(bed.folder).entries() == []


def test_a_restart_is_over_when_the_service_works(bed: Bed, plane: FaultPlane) -> None:
    with bed.database("shard-2") as connection:
        plane.inject(registry.make("process.restart", {"service": "shard-2"}))
        with pytest.raises(Exception, match=r"terminat|closed"):
            connection.execute("SELECT 1")
    assert talk(bed, "shard-2").error is None


@pytest.mark.parametrize("then", ["stop", "kill", "pause"])
def test_the_undo_works_whatever_became_of_the_service(bed: Bed, plane: FaultPlane, then: str) -> None:
    entry = plane.inject(registry.make("process.pause", {"service": "shard-1"}))
    getattr(bed.substrate, then)("shard-1")
    plane.undo(entry.id)
    assert talk(bed, "shard-1").error is None


def test_what_a_dead_runner_left_is_taken_back(bed: Bed, plane: FaultPlane) -> None:
    entry = FaultPlane(bed, owner="a scenario").inject(registry.make("process.stop", {"service": "shard-1"}))
    entry.owner_pid = 2**22 - 3
    Ledger(bed.folder).update(entry)
    assert [each.entry.id for each in recover(bed)] == [entry.id]
    assert talk(bed, "shard-1").error is None


def test_nonsense_is_refused_in_one_line(bed: Bed, plane: FaultPlane) -> None:
    with pytest.raises(UsageError, match=r"has no service 'shard-9'; it has: metadata, shard-0"):
        plane.inject(registry.make("process.kill", {"service": "shard-9"}))
    stopped = plane.injected(registry.make("process.stop", {"service": "shard-1"}))
    with stopped, pytest.raises(Unavailable, match=r"shard-1 .* is stopped"):
        plane.inject(registry.make("process.kill", {"service": "shard-1"}))
    armed = bed.files.armed
    armed.write_text("a scenario\n")
    try:
        for kind in ("process.stop", "process.pause"):
            with pytest.raises(UsageError, match="a scenario runs"):
                plane.inject(registry.make(kind, {"service": "director"}))
    finally:
        armed.unlink()
    assert Ledger(bed.folder).entries() == []


class Waiting:
    """A run of three instances that wait, each with a child process, until `go`."""

    def __init__(self, bed: Bed, folder: Path, run_dag: Any) -> None:
        self.folder = folder
        self.bed = bed
        self._results: list[Any] = []
        conf = {"go": str(folder / "go")}
        self._thread = threading.Thread(target=lambda: self._results.append(run_dag(DAG, conf=conf)), daemon=True)
        self._thread.start()
        _until(lambda: all((folder / f"child-{number}-1").exists() for number in range(3)), timeout=120)

    def child(self, number: int) -> int:
        return int((self.folder / f"child-{number}-1").read_text())

    def go(self) -> Any:
        (self.folder / "go").touch()
        self._thread.join(300)
        return self._results[0]


@pytest.fixture
def waiting(bed: Bed, tmp_path: Path, run_dag: Any) -> Waiting:
    return Waiting(bed, tmp_path, run_dag)


def test_a_killed_instance_dies_with_its_children_and_alone(bed: Bed, plane: FaultPlane, waiting: Waiting) -> None:
    plane.inject(registry.make("process.kill-task", {"dag_id": DAG, "task_id": "wait", "map_index": 1}))
    assert _state(waiting.child(1)) is None
    assert _state(waiting.child(0)) is not None
    result = waiting.go()
    assert (result.state, result.task("wait").tries) == ("success", [1, 2, 1])
    first = bed.airflow.log(DAG, result.run_id, "wait", 1, 1)
    assert "SIGKILL" in first or "-9" in first


def test_a_paused_instance_stands_still_with_its_children(bed: Bed, plane: FaultPlane, waiting: Waiting) -> None:
    fault = registry.make("process.pause-task", {"dag_id": DAG, "task_id": "wait", "map_index": 2})
    with plane.injected(fault):
        assert _state(waiting.child(2)) == "T"
        (waiting.folder / "go").touch()
        _until(lambda: _ended(bed) == [0, 1], timeout=60)
        assert _state(waiting.child(2)) == "T"
    result = waiting.go()
    assert (result.state, result.task("wait").tries) == ("success", [1, 1, 1])


def test_an_instance_that_does_not_run_is_refused(bed: Bed, plane: FaultPlane, waiting: Waiting) -> None:
    with pytest.raises(UsageError, match=r"wait\[7\] does not run; running map_index: 0, 1, 2"):
        plane.inject(registry.make("process.kill-task", {"dag_id": DAG, "task_id": "wait", "map_index": 7}))
    assert waiting.go().state == "success"
    with pytest.raises(Unavailable, match=r"no instance process_faults\.wait\[0\]"):
        plane.inject(registry.make("process.kill-task", {"dag_id": DAG, "task_id": "wait", "map_index": 0}))


def _ended(bed: Bed) -> list[int]:
    with bed.database("metadata") as connection:
        rows = connection.execute(
            "SELECT map_index FROM task_instance i JOIN dag_run r USING (dag_id, run_id) WHERE task_id = 'wait' AND"
            " i.state = 'success' AND r.id = (SELECT max(id) FROM dag_run WHERE dag_id = %s) ORDER BY 1",
            [DAG],
        ).fetchall()
    return [row[0] for row in rows]


def _state(pid: int) -> str | None:
    """The kernel's letter; None when the process is gone, or ended and not yet waited for."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    letter = stat[stat.rindex(")") + 2]
    return None if letter == "Z" else letter


def _until(condition: Callable[[], bool], timeout: float = 20) -> None:
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)
