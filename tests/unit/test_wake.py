"""An idle scheduler goes on when something happens: what wakes it, and how long it waits otherwise."""

from __future__ import annotations

import importlib.util
import os
import socket
import threading
import time
from collections.abc import Iterator
from multiprocessing import SimpleQueue
from pathlib import Path
from types import ModuleType

import pytest
import sqlalchemy
from sqlalchemy import event, orm

CONFIG = Path(__file__).parents[2] / "infra/airflow/config"
LONG = 5.0


@pytest.fixture
def waking(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> ModuleType:
    """airbed_wake.py, which is no package's, in an AIRFLOW_HOME of its own."""
    spec = importlib.util.spec_from_file_location("airbed_wake_under_test", CONFIG / "airbed_wake.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setenv("AIRFLOW_HOME", str(tmp_path_factory.mktemp("h")))
    return module


def seconds_of(wait: object, most: float) -> float:
    began = time.monotonic()
    wait(most)  # type: ignore[operator]
    return time.monotonic() - began


def test_a_result_ends_the_wait(waking: ModuleType) -> None:
    results: SimpleQueue[str] = SimpleQueue()
    wait = waking.IdleWait(lambda: [results._reader], lambda: None)
    wait._next = LONG
    threading.Timer(0.05, results.put, ["done"]).start()
    assert seconds_of(wait, LONG) < LONG / 2
    assert wait._next == waking.FIRST_SECONDS


def test_it_waits_twice_as_long_each_time_but_never_longer_than_asked(waking: ModuleType) -> None:
    waited: list[float] = []

    def wait_for(sources: object, timeout: float) -> list[object]:
        waited.append(timeout)
        return []

    wait = waking.IdleWait(list, lambda: None)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(waking.connection, "wait", wait_for)
        for _ in range(7):
            wait(1.0)
    assert waited == pytest.approx([0.05, 0.1, 0.2, 0.4, 0.8, 1.0, 1.0], abs=0.03)


def test_it_rests_four_times_as_long_as_it_worked(waking: ModuleType) -> None:
    results: SimpleQueue[str] = SimpleQueue()
    results.put("done")
    wait = waking.IdleWait(lambda: [results._reader], lambda: None)
    until = time.process_time() + 0.05
    while time.process_time() < until:
        pass
    assert seconds_of(wait, LONG) >= waking.REST * 0.05
    assert seconds_of(wait, LONG) < LONG / 2
    wait._worked -= 60
    assert seconds_of(wait, 0.1) < LONG, "never longer than asked"


class Base(orm.DeclarativeBase):
    pass


class DagRun(Base):
    __tablename__ = "dag_run"
    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    state: orm.Mapped[str]


class Other(Base):
    __tablename__ = "other"
    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)


@pytest.fixture
def session(waking: ModuleType) -> Iterator[orm.Session]:
    """A session whose commits tell of runs."""
    listeners: list[tuple[str, object]] = []
    with pytest.MonkeyPatch.context() as patch:
        listen = event.listen
        patch.setattr(event, "listen", lambda *given: (listeners.append(given[1:]), listen(*given)))
        waking.tell_of_runs()
    engine = sqlalchemy.create_engine("sqlite://")
    Base.metadata.create_all(engine)
    with orm.Session(engine) as made:
        yield made
    for name, listener in listeners:
        event.remove(orm.Session, name, listener)


def heard(bell: socket.socket) -> list[bytes]:
    found = []
    while True:
        try:
            found.append(bell.recv(16))
        except BlockingIOError:
            return found


def test_a_run_that_is_made_or_changed_rings_and_nothing_else_does(waking: ModuleType, session: orm.Session) -> None:
    bell = waking._listen()
    session.add(Other())
    session.commit()
    assert heard(bell) == []
    run = DagRun(state="queued")
    session.add(run)
    session.flush()
    assert heard(bell) == []
    session.commit()
    assert heard(bell) == [b"run"]
    run.state = "success"
    session.commit()
    assert heard(bell) == [b"run"]
    bell.close()


def test_a_scheduler_that_is_not_there_disturbs_no_commit(waking: ModuleType, session: orm.Session) -> None:
    session.add(DagRun(state="queued"))
    session.commit()
    assert session.query(DagRun).count() == 1


def test_the_next_scheduler_takes_the_place_of_a_dead_one(waking: ModuleType) -> None:
    waking._listen().close()
    assert Path(waking._address()).exists()
    bell = waking._listen()
    assert bell is not None
    bell.close()


def test_in_too_long_a_folder_there_is_no_bell(waking: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_HOME", f"{os.environ['AIRFLOW_HOME']}/{'x' * 120}")
    assert waking._listen() is None
