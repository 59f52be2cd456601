"""How a talk with a service ended, told apart: an answer, an error, and none in time."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from airbed.clients.s3 import s3_client
from airbed.endpoints import S3Endpoint
from airbed.errors import Unavailable
from airbed.faults import tcp
from airbed.faults.exchange import Exchange, _timed, talk
from airbed.faults.registry import make


@pytest.fixture
def silent() -> Iterator[tuple[str, int]]:
    """An address that accepts and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()


def test_a_client_that_loses_patience_at_the_same_moment_is_a_timeout(silent: tuple[str, int]) -> None:
    class ClientsOwnTimeoutError(Exception):
        pass

    def ask() -> None:
        with socket.create_connection(silent, timeout=0.05) as connection:
            try:
                connection.recv(1)
            except TimeoutError:
                raise ClientsOwnTimeoutError from None

    for _ in range(10):
        assert isinstance(_timed(ask, 0.05).error, TimeoutError)


def test_no_answer_is_a_timeout_though_the_client_waits_on() -> None:
    forever = threading.Event()
    assert isinstance(_timed(lambda: forever.wait(5) and None, 0.05).error, TimeoutError)
    forever.set()


def test_an_early_error_is_what_it_is_and_an_answer_is_none() -> None:
    def refused() -> None:
        raise ConnectionRefusedError

    assert isinstance(_timed(refused, 5).error, ConnectionRefusedError)
    assert _timed(lambda: None, 5).error is None


@pytest.mark.parametrize("size", [{"up": 10}, {"down": 10}])
def test_an_s3_that_is_down_is_one_line_or_a_failed_talk(size: dict[str, int]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        url = f"http://127.0.0.1:{closed.getsockname()[1]}"
    s3 = S3Endpoint(direct=url, task=url, access_key="a", secret_key="s")
    bed: Any = SimpleNamespace(name="unit", endpoints=SimpleNamespace(s3=s3, databases={}), s3=s3_client(s3))
    if "down" in size:
        with pytest.raises(Unavailable, match=r"S3 of bed 'unit': Could not connect .*; see: airbed status"):
            talk(bed, "s3", **size)
    else:
        assert talk(bed, "s3", **size).error is not None


@pytest.mark.parametrize(
    ("kind", "parameters", "went"),
    [
        ("tcp.latency", {"latency_ms": 600_000}, Exchange(3, TimeoutError())),
        ("tcp.reset", {"after_ms": 600_000}, Exchange(2, TimeoutError())),
        ("tcp.slow-close", {"delay_ms": 600_000}, Exchange(3, TimeoutError())),
    ],
)
def test_a_fault_that_makes_clients_wait_long_is_proven_in_seconds(
    kind: str, parameters: dict[str, int], went: Exchange, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited = []

    def failing(*_: Any, patience: float, **__: Any) -> Exchange:
        waited.append(patience)
        return went

    monkeypatch.setattr(tcp, "talk", failing)
    monkeypatch.setattr(tcp, "hang_up", lambda bed, service, patience: failing(patience=patience))
    fault: Any = make(kind, {"service": "shard-1", **parameters})
    assert fault.is_met(None) is None
    assert waited[0] <= 3
    monkeypatch.setattr(tcp, "talk", lambda *_, **__: Exchange(0.1, None))
    monkeypatch.setattr(tcp, "hang_up", lambda *_, **__: Exchange(0.1, None))
    assert fault.is_met(None) is not None
