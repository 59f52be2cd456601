"""Each TCP fault is met by a real client on the way of the tasks, not by the host, and is gone after its undo."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from botocore.exceptions import BotoCoreError, ClientError

from airbed.errors import Unavailable, UsageError
from airbed.faults import registry
from airbed.faults.exchange import Exchange, hang_up, talk
from airbed.faults.ledger import Ledger
from airbed.faults.plane import FaultPlane

if TYPE_CHECKING:
    from airbed.bed import Bed

SERVICES = ("metadata", "shard-0", "shard-1", "shard-2", "warehouse", "s3", "api-server")


@pytest.fixture
def plane(bed: Bed) -> Iterator[FaultPlane]:
    made = FaultPlane(bed)
    yield made
    made.clear()


def is_as_it_was(bed: Bed, service: str) -> bool:
    proxy = bed.toxiproxy.proxy(service)
    return proxy.enabled and not proxy.toxics and not Ledger(bed.folder).entries() and talk(bed, service).error is None


@pytest.mark.parametrize("service", SERVICES)
def test_latency_delays_tasks_and_not_the_host(bed: Bed, plane: FaultPlane, service: str) -> None:
    with plane.injected(registry.make("tcp.latency", {"service": service, "latency_ms": 400})):
        assert talk(bed, service).seconds >= 0.4
        if service in bed.endpoints.databases:
            _once_below(0.4, lambda: _seconds(lambda: bed.database(service).close()))
    assert is_as_it_was(bed, service)
    _once_below(0.4, lambda: talk(bed, service).seconds)


def test_latency_meets_a_connection_that_was_there(bed: Bed, plane: FaultPlane) -> None:
    with psycopg.connect(bed.endpoints.databases["shard-0"].url(task=True), autocommit=True) as connection:
        with plane.injected(registry.make("tcp.latency", {"service": "shard-0", "latency_ms": 300, "jitter_ms": 100})):
            assert _seconds(lambda: connection.execute("SELECT 1")) >= 0.2
        _once_below(0.2, lambda: _seconds(lambda: connection.execute("SELECT 1")))


@pytest.mark.parametrize("direction", ["downstream", "upstream"])
@pytest.mark.parametrize("service", ["warehouse", "s3", "api-server"])
def test_bandwidth_makes_large_transfers_slow(bed: Bed, plane: FaultPlane, service: str, direction: str) -> None:
    def carry() -> Exchange:
        up, down = (100_000, 0) if direction == "upstream" else (0, 100_000)
        return talk(bed, service, up=up, down=down)

    carry()  # an answer that is made at its first request
    _once_below(0.5, lambda: carry().seconds)
    with plane.injected(registry.make("tcp.bandwidth", {"service": service, "rate_kb": 100, "direction": direction})):
        went = carry()
        assert went.error is None
        assert went.seconds >= 0.7
    assert is_as_it_was(bed, service)


@pytest.mark.parametrize("service", SERVICES)
def test_timeout_leaves_clients_without_an_answer(bed: Bed, plane: FaultPlane, service: str) -> None:
    with plane.injected(registry.make("tcp.timeout", {"service": service})):
        assert isinstance(talk(bed, service, patience=1).error, TimeoutError)
    assert is_as_it_was(bed, service)


def test_timeout_closes_the_connection_after_its_time(bed: Bed, plane: FaultPlane) -> None:
    with plane.injected(registry.make("tcp.timeout", {"service": "shard-1", "timeout_ms": 300})):
        went = talk(bed, "shard-1")
    assert "server closed the connection unexpectedly" in str(went.error)
    assert went.seconds >= 0.3


@pytest.mark.parametrize("parameters", [{}, {"after_ms": 100}, {"after_bytes": 20_000}])
def test_reset_is_seen_as_a_reset(bed: Bed, plane: FaultPlane, parameters: dict[str, int]) -> None:
    def large() -> Exchange:
        return talk(bed, "api-server", down=200_000)

    assert large().error is None
    with plane.injected(registry.make("tcp.reset", {"service": "api-server", **parameters})):
        assert isinstance(large().error, ConnectionResetError)
        assert (talk(bed, "api-server").error is None) == ("after_bytes" in parameters)
    assert is_as_it_was(bed, "api-server")


def test_reset_reaches_libpq_in_its_own_words(bed: Bed, plane: FaultPlane) -> None:
    with plane.injected(registry.make("tcp.reset", {"service": "shard-2"})):
        assert "server closed the connection unexpectedly" in str(talk(bed, "shard-2").error)
    assert is_as_it_was(bed, "shard-2")


def test_reset_reaches_boto3(bed: Bed, plane: FaultPlane) -> None:
    with plane.injected(registry.make("tcp.reset", {"service": "s3"})):
        error = talk(bed, "s3").error
    assert isinstance(error, BotoCoreError)
    assert "onnection" in str(error)


def test_cut_ends_a_transfer_too_early(bed: Bed, plane: FaultPlane) -> None:
    with plane.injected(registry.make("tcp.cut", {"service": "s3", "after_bytes": 30_000})):
        assert talk(bed, "s3").error is None
        error = talk(bed, "s3", down=100_000).error
        assert isinstance(error, (BotoCoreError, ClientError))
        assert "IncompleteRead" in str(error)
    assert is_as_it_was(bed, "s3")
    assert talk(bed, "s3", down=100_000).error is None


def test_slow_close_keeps_the_client_waiting_for_the_end(bed: Bed, plane: FaultPlane) -> None:
    _once_below(0.5, lambda: hang_up(bed, "shard-0", 5).seconds)
    with plane.injected(registry.make("tcp.slow-close", {"service": "shard-0", "delay_ms": 800})):
        went = hang_up(bed, "shard-0", 5)
        assert went.error is None
        assert went.seconds >= 0.8
    _once_below(0.5, lambda: hang_up(bed, "shard-0", 5).seconds)
    assert is_as_it_was(bed, "shard-0")


def test_slow_close_upstream_piles_up_sessions_of_clients_that_left(bed: Bed, plane: FaultPlane) -> None:
    def sessions() -> int:
        with bed.database("shard-0") as connection:
            row = connection.execute("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'left'").fetchone()
        return int(row[0]) if row else 0

    def visit() -> None:
        """As a client that is killed: the connection ends without the protocol's farewell."""
        connection = psycopg.connect(bed.endpoints.databases["shard-0"].url(task=True), application_name="left")
        with socket.socket(fileno=os.dup(connection.fileno())) as line:
            line.shutdown(socket.SHUT_RDWR)

    visit()
    _until(lambda: sessions() == 0)
    fault = registry.make("tcp.slow-close", {"service": "shard-0", "delay_ms": 60_000, "direction": "upstream"})
    with plane.injected(fault):
        visit()
        visit()
        with pytest.raises(AssertionError):
            _until(lambda: sessions() < 2, timeout=1)
    _until(lambda: sessions() == 0)
    assert is_as_it_was(bed, "shard-0")


@pytest.mark.parametrize("service", SERVICES)
def test_down_refuses_and_ends_what_was_there(bed: Bed, plane: FaultPlane, service: str) -> None:
    with plane.injected(registry.make("tcp.down", {"service": service})):
        assert isinstance(hang_up(bed, service, 2).error, ConnectionRefusedError)
        assert bed.substrate.state(service) == "running"
    assert is_as_it_was(bed, service)


def test_two_faults_of_one_way_are_taken_back_one_by_one(bed: Bed, plane: FaultPlane) -> None:
    down = plane.inject(registry.make("tcp.down", {"service": "shard-1"}))
    again = plane.inject(registry.make("tcp.down", {"service": "shard-1"}))
    late = plane.inject(registry.make("tcp.latency", {"service": "shard-1", "latency_ms": 100}), confirm=False)
    plane.undo(down.id)
    assert bed.toxiproxy.proxy("shard-1").enabled is False
    plane.undo(again.id)
    assert bed.toxiproxy.proxy("shard-1").enabled is True
    assert talk(bed, "shard-1").seconds >= 0.1
    plane.undo(late.id)
    assert is_as_it_was(bed, "shard-1")


def test_faults_outlive_a_kill_of_toxiproxy(bed: Bed, plane: FaultPlane) -> None:
    plane.inject(registry.make("tcp.latency", {"service": "shard-0", "latency_ms": 300}))
    plane.inject(registry.make("tcp.down", {"service": "shard-1"}))
    bed.substrate.kill("toxiproxy")
    bed.substrate.wait_ready("toxiproxy")
    _until(lambda: bed.toxiproxy.proxy("shard-0").enabled)
    assert talk(bed, "shard-0").seconds >= 0.3
    assert isinstance(hang_up(bed, "shard-1", 2).error, ConnectionRefusedError)
    plane.clear()
    assert is_as_it_was(bed, "shard-0")
    assert is_as_it_was(bed, "shard-1")


@pytest.mark.parametrize("broken", ["stop", "pause", "kill"])
def test_they_are_taken_back_while_toxiproxy_is_down(bed: Bed, plane: FaultPlane, broken: str) -> None:
    entry = plane.inject(registry.make("tcp.latency", {"service": "shard-0", "latency_ms": 300}))
    getattr(bed.substrate, broken)("toxiproxy")
    plane.undo(entry.id)
    if broken == "stop":
        bed.substrate.start("toxiproxy")
    bed.substrate.wait_ready("toxiproxy")
    assert is_as_it_was(bed, "shard-0")


def test_what_cannot_be_is_refused_in_one_line(bed: Bed, plane: FaultPlane) -> None:
    with pytest.raises(UsageError, match="exclude each other"):
        registry.make("tcp.reset", {"service": "s3", "after_ms": 1, "after_bytes": 1})
    if not bed.spec.kubernetes:
        with pytest.raises(Unavailable, match="has no kube-apiserver"):
            plane.inject(registry.make("tcp.down", {"service": "kube-apiserver"}))
    assert Ledger(bed.folder).entries() == []


@pytest.mark.kubernetes
def test_the_regions_meet_them(bed: Bed, plane: FaultPlane) -> None:
    from kubernetes import client

    core = client.VersionApi(bed.kubernetes("prod-use1"))
    core.get_code()
    with plane.injected(registry.make("tcp.latency", {"service": "kube-apiserver", "latency_ms": 400})):
        assert _seconds(core.get_code) >= 0.4
    with (
        plane.injected(registry.make("tcp.down", {"service": "kube-apiserver"})),
        pytest.raises(Exception, match="refused"),
    ):
        client.VersionApi(bed.kubernetes("prod-use1")).get_code(_request_timeout=5)
    assert is_as_it_was(bed, "kube-apiserver")
    core.get_code()


def _seconds(work: Callable[[], Any]) -> float:
    start = time.monotonic()
    work()
    return time.monotonic() - start


def _once_below(bound: float, measure: Callable[[], float]) -> None:
    """A fault delays every time; a busy machine does not: hold `measure` to `bound` seconds by its best of ten."""
    assert any(measure() < bound for _ in range(10))


def _until(condition: Callable[[], bool], timeout: float = 20) -> None:
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)
