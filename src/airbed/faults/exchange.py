"""A real client's short talk with a service on the way of the tasks: how long it takes, and how it fails."""

from __future__ import annotations

import contextlib
import http.client
import secrets
import socket
import ssl
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from airbed.errors import Unavailable
from airbed.topology import DATABASE_SERVICES

if TYPE_CHECKING:
    from airbed.bed import Bed

# The most that a talk carries on purpose, in bytes: no service refuses it.
LARGEST = 1_000_000
BUCKET = "artifacts"
DIRECTLY_WITHIN = 10.0  # seconds


@dataclass(frozen=True)
class Exchange:
    """How a talk went: `error` is None when the client got its answer."""

    seconds: float
    error: Exception | None


def talk(bed: Bed, service: str, *, up: int = 0, down: int = 0, patience: float = 10) -> Exchange:
    """Connect as a task would, send about `up` bytes, take about `down` bytes of answer; both at most `LARGEST`.

    A database is logged in to, S3 is asked for a bucket (or an object of ours, deleted at once), Kubernetes for its
    version, Airflow's execution API for its health. A talk that has not ended after `patience` seconds counts as failed
    with TimeoutError; its connection is left to end by itself. Raises Unavailable when S3 does not take our object
    on the direct way.
    """
    up, down = min(up, LARGEST), min(down, LARGEST)
    if service in DATABASE_SERVICES:
        return _timed(lambda: _database(bed, service, up, down, patience), patience)
    if service == "s3":
        return _s3(bed, up, down, patience)
    return _timed(lambda: _http(bed, service, up, down, patience), patience)


def hang_up(bed: Bed, service: str, patience: float) -> Exchange:
    """Say something that the service answers by ending the connection, and wait for that end."""

    def until_the_end() -> None:
        with socket.create_connection(task_address(bed, service), timeout=patience) as connection:
            connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
            while connection.recv(65536):
                pass

    return _timed(until_the_end, patience)


def task_address(bed: Bed, service: str) -> tuple[str, int]:
    """Host and port on which tasks reach a service."""
    at = bed.endpoints
    if service in DATABASE_SERVICES:
        address = at.databases[service].task
        return address.host, address.port
    url = {"s3": at.s3.task, "kube-apiserver": at.kubernetes.task, "api-server": at.airflow.execution_url}[service]
    parts = urlsplit(url)
    return str(parts.hostname), int(parts.port or 0)


def _timed(work: Callable[[], None], patience: float) -> Exchange:
    ended: list[Exception | None] = []

    def run() -> None:
        try:
            work()
        except Exception as error:
            ended.append(error)
        else:
            ended.append(None)

    start = time.monotonic()
    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(patience)
    seconds = time.monotonic() - start
    # The client's own patience, if it has one, ends at about the same moment.
    if not ended or (ended[0] is not None and seconds >= patience):
        return Exchange(seconds, TimeoutError(f"no answer within {patience:g} s"))
    return Exchange(seconds, ended[0])


def _database(bed: Bed, service: str, up: int, down: int, patience: float) -> None:
    from airbed.clients.postgres import open_session

    url = bed.endpoints.databases[service].url(task=True)
    with open_session(url, connect_timeout=max(2, int(patience))) as connection:
        connection.execute("SELECT length(%s), repeat('x', %s)", ["x" * up, down]).fetchone()


def _s3(bed: Bed, up: int, down: int, patience: float) -> Exchange:
    """Only the talk itself is timed: making a client takes longer than a small request."""
    from dataclasses import replace

    from airbed.clients.s3 import s3_client
    from airbed.faults.objects import reaching

    endpoint = bed.endpoints.s3
    client = s3_client(replace(endpoint, direct=endpoint.task), attempts=1, read_timeout=patience)
    if not up and not down:
        return _timed(lambda: client.head_bucket(Bucket=BUCKET), patience)
    direct = s3_client(endpoint, attempts=1, read_timeout=DIRECTLY_WITHIN)
    at = {"Bucket": BUCKET, "Key": f"airbed-{secrets.token_hex(6)}"}
    try:
        if down:
            with reaching(bed):
                direct.put_object(**at, Body=b"x" * down)

            def get() -> None:
                client.get_object(**at)["Body"].read()

            return _timed(get, patience)
        return _timed(lambda: client.put_object(**at, Body=b"x" * up), patience)
    finally:
        # How the talk went counts, not whether S3 is there for the cleaning up.
        with contextlib.suppress(Unavailable), reaching(bed):
            direct.delete_object(**at)


def _http(bed: Bed, service: str, up: int, down: int, patience: float) -> None:
    connection, headers = _connection(bed, service, patience)
    kubernetes = service == "kube-apiserver"
    try:
        if up:
            # Refused, but read to its end first.
            path = "/api/v1/namespaces/default/configmaps?dryRun=All" if kubernetes else "/auth/token"
            body = b'{"username": "%s", "password": "none"}' % (b"x" * up)
            connection.request("POST", path, body, {**headers, "Content-Type": "application/json"})
        else:
            large = "/openapi/v2" if kubernetes else "/openapi.json"
            small = "/version" if kubernetes else "/execution/health/ping"
            connection.request("GET", large if down else small, headers=headers)
        answer = connection.getresponse()
        answer.read(down or None)
        if answer.status >= http.client.INTERNAL_SERVER_ERROR:
            raise Unavailable(f"{service} answered {answer.status}")
    finally:
        connection.close()


def _connection(bed: Bed, service: str, patience: float) -> tuple[http.client.HTTPConnection, dict[str, Any]]:
    host, port = task_address(bed, service)
    if service != "kube-apiserver":
        return http.client.HTTPConnection(host, port, timeout=patience), {}
    from airbed.kubernetes.files import read_kubeconfig

    _, authority, token = read_kubeconfig(bed.endpoints.kubernetes.kubeconfig)
    context = ssl.create_default_context(cadata=authority.decode())
    connection = http.client.HTTPSConnection(host, port, timeout=patience, context=context)
    return connection, {"Authorization": f"Bearer {token}"}
