"""A director that is killed in the middle: tasks at its gates wait on, and nothing that was counted is lost."""

from __future__ import annotations

import importlib
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest

from airbed.clients.director import DirectorClient
from airbed.endpoints import Address, DirectorEndpoint
from airbed.errors import Unavailable

PLUGINS = Path(__file__).parents[3] / "infra/airflow/plugins"
PATIENCE_SECONDS = 20


def until(true: Callable[[], bool]) -> None:
    """Return when `true()` is."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@contextmanager
def running(folder: Path, ports: tuple[int, int]) -> Iterator[subprocess.Popen[bytes]]:
    """A director's process over a folder."""
    (folder / "token").write_text("secret")
    options = ("--port", str(ports[0]), "--statsd-port", str(ports[1]), "--token-file", str(folder / "token"))
    process = subprocess.Popen(
        [sys.executable, "-m", "airbed.director", *options, "--state-dir", str(folder / "state")]
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def free_ports() -> tuple[int, int]:
    """One for TCP, one for UDP."""
    with socket.create_server(("127.0.0.1", 0)) as tcp, socket.socket(type=socket.SOCK_DGRAM) as udp:
        udp.bind(("127.0.0.1", 0))
        return tcp.getsockname()[1], udp.getsockname()[1]


def test_a_gate_outlives_its_director(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(PLUGINS))
    tasks = importlib.import_module("airbed_director")
    ports = free_ports()
    url = f"http://127.0.0.1:{ports[0]}"
    client = DirectorClient(
        DirectorEndpoint(url=url, task_url=url, token="secret", statsd=Address(host="127.0.0.1", port=ports[1]))
    )

    def answers() -> bool:
        try:
            return client.gates() is not None
        except Unavailable:
            return False

    def wait_at_the_gate(index: int) -> None:
        fields = {"dag_id": "d", "run_id": "r", "task_id": "t", "map_index": index, "try_number": 1}
        tasks.DirectorClient(url, "secret", SimpleNamespace(**fields)).pass_gate("g")

    def positions() -> list[int]:
        return [each["map_index"] for each in client.gate("g")["arrived"]]

    waiting = [threading.Thread(target=wait_at_the_gate, args=(index,), daemon=True) for index in (4, 2)]
    with client:
        with running(tmp_path, ports) as first:
            until(answers)
            client.add_gate("g", dag_id="d", task_id="t")
            for number, thread in enumerate(waiting, 1):
                thread.start()
                until(lambda number=number: len(positions()) == number)  # type: ignore[misc]
            first.send_signal(signal.SIGKILL)
            first.wait()
        with running(tmp_path, ports):
            until(answers)
            assert positions() == [4, 2]
            client.open_gate("g", 1)
            waiting[0].join(PATIENCE_SECONDS)
            assert [thread.is_alive() for thread in waiting] == [False, True]
            client.open_gate("g")
            waiting[1].join(PATIENCE_SECONDS)
            assert not waiting[1].is_alive()
            assert positions() == [4, 2]
            kinds = [entry["kind"] for entry in client.journal()]
            assert kinds == ["started", "gate-arrived", "gate-arrived", "started", "gate-opened", "gate-opened"]
