"""When a container does its work: asked of each service, as on the embedded substrate, never of the engine."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence

from airbed.endpoints import Endpoints
from airbed.errors import AirbedError, Unavailable
from airbed.spec import BedFiles, BedSpec
from airbed.substrates.base import Progress
from airbed.substrates.compose import logs
from airbed.substrates.compose.containers import Containers
from airbed.substrates.compose.engine import Engine
from airbed.topology import AIRFLOW_SERVICES, DATABASE_SERVICES, PROXIES

Question = Callable[[], bool]
# Seconds between two questions: those to Airflow cost a login, while the machine has enough to do.
_POLL, _AIRFLOW_POLL = 0.1, 0.25
_LOOK = 1.0


def question(service: str, endpoints: Endpoints, *, warm: bool = True) -> Question:
    """The question whether a service does its work; any exception means: not yet."""
    from airbed.clients.postgres import accepts
    from airbed.clients.toxiproxy import ToxiproxyClient
    from airbed.substrates.embedded import airflow, object_store

    if service in DATABASE_SERVICES:
        return lambda: accepts(endpoints.databases[service])
    if service in AIRFLOW_SERVICES:
        return airflow.readiness(service, endpoints, warm=warm)
    if service == "s3":
        return lambda: object_store.ensure_buckets(endpoints.s3)
    if service == "toxiproxy":
        client = ToxiproxyClient(endpoints.toxiproxy or "", timeout=2)
        return lambda: set(PROXIES) <= set(client.proxies())
    return lambda: bool(airflow.get(f"{endpoints.director.url}/health"))


class Readiness:
    """Waits for the services of one bed."""

    def __init__(
        self, engine: Engine, files: BedFiles, spec: BedSpec, endpoints: Endpoints, containers: Containers
    ) -> None:
        self._engine = engine
        self._files = files
        self._spec = spec
        self._endpoints = endpoints
        self._containers = containers

    def wait(self, service: str, timeout: float, *, warm: bool = True, given_up: Question = lambda: False) -> None:
        """Ask until the answer is yes; Unavailable with the end of the log after `timeout` seconds, or when it ends."""
        ask = question(service, self._endpoints, warm=warm)
        deadline = time.monotonic() + timeout
        last, look_again, restarts = "it gave no answer", 0.0, -1
        while True:
            try:
                if ask():
                    self._await_state(service)
                    return
            except Exception as error:
                last = f"{type(error).__name__}: {error}".splitlines()[0]
            if given_up():
                raise Unavailable(f"{service} was not waited for: another part failed")
            now = time.monotonic()
            if now > deadline:
                raise Unavailable(f"{service} was not ready in time ({last}); {self._tail(service)}")
            if now > look_again:
                look_again = now + _LOOK
                found = self._containers.all([service]).get(service)
                restarts = found.restarts if found and restarts < 0 else restarts
                if found and found.restarts - restarts >= 3:
                    raise Unavailable(f"{service} keeps ending; {self._tail(service)}")
            time.sleep(_AIRFLOW_POLL if service in AIRFLOW_SERVICES else _POLL)

    def _await_state(self, service: str) -> None:
        """One that works before its first health check is not shown as starting."""
        while (found := self._containers.all([service]).get(service)) is not None and found.state == "starting":
            time.sleep(_POLL)

    def wait_all(
        self, services: Sequence[str], progress: Progress, timeout: float, *, start: float | None = None
    ) -> dict[str, float]:
        """Wait for many at once; returns the seconds since `start` after which each was ready."""
        since = time.monotonic() if start is None else start
        seconds: dict[str, float] = {}
        problems: list[AirbedError] = []

        def run(service: str) -> None:
            try:
                self.wait(service, timeout, given_up=lambda: bool(problems))
            except AirbedError as error:
                problems.append(error)
                return
            seconds[service] = time.monotonic() - since
            progress(f"{service} ready after {seconds[service]:.1f} s")

        threads = [threading.Thread(target=run, args=(service,), daemon=True) for service in services]
        for thread in threads:
            thread.start()
        for thread in threads:
            while thread.is_alive():
                # A join without limit would keep Ctrl-C waiting.
                thread.join(0.2)
        if problems:
            raise problems[0]
        return seconds

    def _tail(self, service: str) -> str:
        return logs.tail(logs.fetch(self._engine, self._files, self._spec, service))
