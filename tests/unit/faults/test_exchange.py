"""How a talk with a service ended, told apart: an answer, an error, and none in time."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import pytest

from airbed.faults.exchange import _timed


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
