"""How the benchmark follows runs, stops and failures; Airflow, beds and peers are stand-ins."""

from __future__ import annotations

import sqlite3
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from airbed.bench import fanout, session
from airbed.bench.choice import HARD_WORK, Choice, Size
from airbed.bench.fanout import Mapped, Served
from airbed.bench.figures import Figures
from airbed.bench.results import Stop
from airbed.bench.watch import SqliteWatch
from airbed.bench.workload import DAG_ID, MAPPED
from airbed.endpoints import AirflowEndpoint
from airbed.errors import Unavailable, UsageError
from airbed.settings import Settings


def quiet(line: str) -> None:
    pass


class Airflow:
    """An API server and its database, whose runs end as `states` say, one after the other."""

    def __init__(self, *states: str, unknown: int = 0) -> None:
        self.states = list(states)
        self.unknown = unknown
        self.confs: list[dict[str, Any]] = []

    def unpause(self, dag_id: str) -> None:
        if self.unknown:
            self.unknown -= 1
            raise UsageError("404")

    def trigger(self, dag_id: str, conf: dict[str, Any]) -> str:
        self.confs.append(conf)
        self.began = datetime.now(UTC).timestamp()
        return f"run-{len(self.confs)}"

    def state(self, run_id: str) -> str | None:
        state = self.states[len(self.confs) - 1]
        if state == "unread":
            self.states[len(self.confs) - 1] = "success"
            return None
        return state

    def done(self, run_id: str) -> int:
        return 3

    def json(self, method: str, path: str, *, params: dict[str, Any] | None = None) -> Any:
        if params is None:
            return {"end_date": self.time(20)}
        return {
            "task_instances": [{params["order_by"].lstrip("-"): self.time(15 if "end" in params["order_by"] else 5)}]
        }

    def time(self, after: float) -> str:
        return datetime.fromtimestamp(self.began + after, UTC).isoformat().replace("+00:00", "Z")


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(fanout, "POLL", 0.01)

    def make(airflow: Airflow) -> Served:
        served = Served("standalone", AirflowEndpoint("http://127.0.0.1:9", "admin", ""), dict, airflow)
        served.airflow = served.rest = airflow  # type: ignore[assignment]
        return served

    return make


def test_seconds_are_airflows_own_and_the_rate_is_of_the_mapped_instances(serve: Any) -> None:
    figures, airflow = Figures(), Airflow("success", "unread", unknown=2)
    assert fanout.measure(serve(airflow), [Size(100)], 60, figures, quiet) == []
    assert airflow.confs == [{"instances": 10, "cpu_ms": 0}, {"instances": 100, "cpu_ms": 0}]
    done = figures.find("fanout", "100 no-ops, to done", "standalone")
    rate = figures.find("fanout", "100 no-ops, rate", "standalone")
    assert done is not None
    assert rate is not None
    assert (done.median, done.size) == (pytest.approx(20, abs=0.5), 100)
    assert rate.median == pytest.approx(10, abs=0.1)
    first = figures.find("fanout", "10 no-ops, first run, to done", "standalone")
    assert first is not None
    assert first.size is None


def test_after_a_run_that_does_not_end_well_there_is_no_larger_one(serve: Any) -> None:
    figures, airflow = Figures(), Airflow("success", "failed", "success")
    (stop,) = fanout.measure(serve(airflow), [Size(100), Size(500)], 60, figures, quiet)
    assert stop == Stop("standalone", "100 no-ops", "it ended as failed; 3 of 100 instances had succeeded")
    assert len(airflow.confs) == 2
    assert figures.find("fanout", "100 no-ops, to done", "standalone") is None


def test_a_first_run_that_fails_is_said_and_the_others_are_measured(serve: Any) -> None:
    figures = Figures()
    (stop,) = fanout.measure(serve(Airflow("failed", "success")), [Size(100)], 60, figures, quiet)
    assert stop.name == "10 no-ops, first run"
    assert figures.find("fanout", "100 no-ops, to done", "standalone") is not None


def test_a_run_that_takes_too_long_is_a_stop(serve: Any) -> None:
    (stop,) = fanout.measure(serve(Airflow("running")), [Size(100)], 0.05, Figures(), quiet)
    assert stop == Stop(
        "standalone", "10 no-ops, first run", "it did not end within 0 s; 3 of 10 instances had succeeded"
    )


def test_a_dag_that_never_appears_is_unavailable(serve: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fanout, "KNOWN_WITHIN", 0.01)
    with pytest.raises(Unavailable, match="standalone did not find the DAG"):
        fanout.measure(serve(Airflow(unknown=1000)), [], 60, Figures(), quiet)


def test_work_is_not_drawn_among_the_no_ops() -> None:
    figures = Figures()
    fanout.add(figures, "airbed", HARD_WORK, HARD_WORK.name, Mapped(10, 10, {"task": 12.0, "scheduler": 3.0}, 900))
    done = figures.find("fanout", "100 x 100 ms of CPU, to done")
    each = figures.find("fanout", "100 x 100 ms of CPU, CPU of each")
    task = figures.find("fanout", "100 x 100 ms of CPU, CPU of each", detail="task")
    assert done is not None
    assert each is not None
    assert task is not None
    assert (done.size, each.median, task.median) == (None, pytest.approx(150), pytest.approx(120))


# -- a session


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was brought up and taken down, in order. A bed is one whose processes are nowhere."""
    events: list[str] = []
    there: set[str] = set()
    endpoints = SimpleNamespace(airflow=AirflowEndpoint("http://127.0.0.1:9", "admin", ""))

    def up(settings: Settings, request: Any, progress: Any) -> Any:
        assert not there, "one at a time"
        there.add(request.name)
        events.append("up with Kubernetes" if request.kubernetes else "up")
        bed = SimpleNamespace(
            name=request.name,
            spec=SimpleNamespace(mark="no-such-mark", substrate="embedded"),
            metadata=None,
            endpoints=endpoints,
            files=SimpleNamespace(scenario_dags=settings.state),
        )
        return bed, SimpleNamespace(seconds=7.0, services={"metadata": 1.0})

    def down(settings: Settings, name: str, progress: Any) -> Any:
        there.remove(name)
        events.append("down")
        return SimpleNamespace(seconds=1.5)

    @contextmanager
    def standalone(settings: Settings, progress: Any) -> Any:
        assert not there, "one at a time"
        events.append("standalone")
        yield Served("standalone", endpoints.airflow, dict, Airflow()), 20.0

    monkeypatch.setattr(session, "up", up)
    monkeypatch.setattr(session, "down", down)
    monkeypatch.setattr(session, "every_name", lambda settings: sorted(there))
    monkeypatch.setattr(session, "standalone", standalone)
    monkeypatch.setattr(session.timeline, "of_bed", lambda *_: [])
    return events


def measure(tmp_path: Path, *parts: str, **more: Any) -> Any:
    return session.measure(Settings(tmp_path, tmp_path), "bench", Choice(parts, **more), quiet)


def test_bed_and_peer_take_turns(machine: list[str], tmp_path: Path) -> None:
    found = measure(tmp_path, "up", peers=("standalone",), rounds=2)
    assert machine == ["up", "down", "standalone"] * 2
    figure = found.figures.find("up", session.HEALTHY)
    assert figure is not None
    assert figure.values == [7.0, 7.0]
    assert {(each.peer, each.ratio) for each in found.figures.ratios()} == {("standalone", 0.35)}
    assert found.missing == []


def test_what_is_not_available_does_not_cost_the_rest(
    machine: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> None:
        raise Unavailable("S3 is\n gone")

    monkeypatch.setattr(session.plane, "measure_s3", broken)
    found = measure(tmp_path, "s3-proxy", "up", "kubernetes")
    assert found.missing == ["s3-proxy: S3 is gone"]
    assert machine == ["up", "down", "up with Kubernetes", "down"]
    assert found.figures.find("up", "down, proven empty").median == 1.5


def test_kubernetes_alone_needs_no_other_bed(machine: list[str], tmp_path: Path) -> None:
    measure(tmp_path, "kubernetes")
    assert machine == ["up with Kubernetes", "down"]


def test_a_peer_is_not_asked_again_for_what_it_stopped_at(
    machine: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, list[int]]] = []

    def of_run(served: Served, sizes: Any, limit: float, figures: Figures, progress: Any) -> list[Stop]:
        asked.append((served.subject, [each.instances for each in sizes]))
        stops = served.subject == "standalone" and Size(500) in sizes
        return [Stop("standalone", "500 no-ops", "it did not end within 180 s")] if stops else []

    monkeypatch.setattr(session.fanout, "measure", of_run)
    sizes = (Size(100), Size(500), Size(1000))
    found = measure(tmp_path, "fanout", peers=("standalone",), rounds=2, sizes=sizes)
    whole = [100, 500, 1000]
    assert asked == [("airbed", whole), ("standalone", whole), ("airbed", whole), ("standalone", [100])]
    assert len(found.stops) == 1


def test_a_bed_that_stops_is_something_missing(
    machine: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stop = Stop("airbed", "100 no-ops", "it ended as failed")
    monkeypatch.setattr(session.fanout, "measure", lambda *_: [stop])
    found = measure(tmp_path, "fanout")
    assert (found.missing, found.stops) == (["fanout: 100 no-ops: it ended as failed"], [])
    assert machine == ["up", "down"]


def test_sqlite_is_read_while_another_process_writes(tmp_path: Path) -> None:
    file = tmp_path / "airflow.db"
    look = SqliteWatch(file)
    assert (look.state("r"), look.done("r")) == (None, 0)
    with closing(sqlite3.connect(file, isolation_level=None)) as writer:
        writer.execute("PRAGMA journal_mode=WAL")
        writer.execute("CREATE TABLE dag_run (dag_id, run_id, state)")
        writer.execute("CREATE TABLE task_instance (dag_id, run_id, task_id, state)")
        writer.execute("INSERT INTO dag_run VALUES (?, 'r', 'running')", [DAG_ID])
        rows = [(DAG_ID, "r", task, state) for task in (MAPPED, "numbers") for state in ("success", "running")]
        writer.executemany("INSERT INTO task_instance VALUES (?, ?, ?, ?)", rows)
        writer.execute("BEGIN IMMEDIATE")
        writer.execute("UPDATE dag_run SET state = 'success'")
        assert (look.state("r"), look.done("r")) == ("running", 1)
        writer.execute("COMMIT")
        assert look.state("r") == "success"
