"""What the containers of a bed do now, from one question to the engine."""

from __future__ import annotations

import json
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from airbed.errors import Unavailable
from airbed.spec import BedFiles, BedSpec, write_private
from airbed.substrates.base import ServiceStatus
from airbed.substrates.compose import layout
from airbed.substrates.compose.engine import Engine

_FORM = '{"name":{{json .Name}},"id":{{json .Id}},"state":{{json .State}},"restarts":{{.RestartCount}}}'
_STATES = {
    "running": "running",
    "paused": "paused",
    "restarting": "failed",
    "created": "stopped",
    "exited": "stopped",
    "removing": "stopped",
    "dead": "failed",
}
# What starts is not yet healthy. The health of some depends on others: after a while that says nothing about the start.
_NEW_SECONDS = 15.0
_WITHOUT_ADDRESS = ("dag-processor", "scheduler", "triggerer")


@dataclass(frozen=True)
class Container:
    """One container: its service, what it does (as in `ServiceStatus`), since when, and how often it was restarted."""

    service: str
    identity: str
    state: str
    pid: int | None
    seconds: float
    restarts: int


class Containers:
    """The containers of one bed's services."""

    def __init__(self, engine: Engine, files: BedFiles, spec: BedSpec) -> None:
        self._engine = engine
        self._files = files
        self._spec = spec

    def all(self, services: Sequence[str]) -> dict[str, Container]:
        """Those that exist, by service."""
        names = {layout.container(self._spec.name, each): each for each in services}
        rows = self._engine.inspect("container", *names, form=_FORM)
        found = {row["name"].lstrip("/"): row for row in rows}
        return {service: _container(service, found[name]) for name, service in names.items() if name in found}

    def status(self, services: Sequence[str]) -> list[ServiceStatus]:
        """A row for each service; one without a container is stopped."""
        found = self.all(services)
        killed = self.kills()
        return [_row(self._spec, each, found.get(each), killed.get(each, 0)) for each in services]

    def kills(self) -> dict[str, int]:
        """How often each service was killed by airbed and started again: the engine does not count those."""
        try:
            counts: dict[str, int] = json.loads(self._kills.read_text())
        except (OSError, ValueError):
            return {}
        return counts

    def count_kill(self, service: str) -> None:
        """Count one more."""
        counts = self.kills()
        counts[service] = counts.get(service, 0) + 1
        write_private(self._kills, json.dumps(counts))

    def stopped(self) -> set[str]:
        """The services that were stopped on purpose. One that was killed, or keeps ending, is on its way back."""
        try:
            return set(json.loads(self._stopped.read_text()))
        except (OSError, ValueError):
            return set()

    def note(self, stopped: Collection[str]) -> None:
        """Remember those."""
        write_private(self._stopped, json.dumps(sorted(stopped)))

    @property
    def _stopped(self) -> Path:
        return self._files.folder / "stopped.json"

    @property
    def _kills(self) -> Path:
        return self._files.folder / "kills.json"


def without_engine(spec: BedSpec, services: Sequence[str]) -> list[ServiceStatus]:
    """When the engine does not answer, nothing of the bed runs that anybody could reach."""
    return [_row(spec, each, None, 0) for each in services]


def _container(service: str, row: dict[str, Any]) -> Container:
    state = row["state"]
    alive = state["Status"] in ("running", "paused")
    seconds = max(0.0, time.time() - _seconds(state["StartedAt"])) if alive else 0.0
    health = (state.get("Health") or {}).get("Status")
    found = _STATES.get(state["Status"], "failed")
    if found == "running" and health == "starting" and seconds < _NEW_SECONDS:
        found = "starting"
    return Container(
        service,
        row["id"],
        found,
        (state.get("Pid") or None) if alive else None,
        seconds,
        int(row["restarts"]),
    )


def _row(spec: BedSpec, service: str, found: Container | None, killed: int) -> ServiceStatus:
    port = None if service in _WITHOUT_ADDRESS else spec.ports.get(service)
    address = f"127.0.0.1:{port}" if port else ""
    if found is None:
        return ServiceStatus(service, "stopped", None, 0, killed, address)
    return ServiceStatus(service, found.state, found.pid, found.seconds, found.restarts + killed, address)


def _seconds(text: str) -> float:
    """A time of the engine's, such as 2026-01-02T03:04:05.678901234Z, in seconds since 1970."""
    head, _, rest = text.partition(".")
    try:
        moment = datetime.fromisoformat(head.rstrip("Z")).replace(tzinfo=UTC)
    except ValueError:
        raise Unavailable(f"the engine gave a time that is none: {text}") from None
    digits = rest.rstrip("Z")
    return moment.timestamp() + (float(f"0.{digits}") if digits.isdigit() else 0.0)
