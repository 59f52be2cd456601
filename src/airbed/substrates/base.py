"""What a substrate must be able to do: the same verbs, with the same meaning, on every one."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True)
class ServiceStatus:
    """One part of a bed.

    `state` is running, starting, stopped, paused, failed, or unkept (it runs, but nothing would start it again);
    `crashes` counts unexpected ends.
    """

    name: str
    state: str
    pid: int | None
    seconds: float
    crashes: int
    address: str


class Substrate(Protocol):
    """How one bed's services exist."""

    def status(self) -> list[ServiceStatus]:
        """Every service of the bed, in the topology's order."""

    def stop(self, service: str) -> None:
        """Stop a service; it stays down until `start`."""

    def start(self, service: str) -> None:
        """Start a stopped service and wait until it does its work."""

    def restart(self, service: str) -> None:
        """Stop, then start."""

    def kill(self, service: str) -> None:
        """SIGKILL the whole process tree; the keeper brings the service back."""

    def pause(self, service: str) -> None:
        """Freeze the whole process tree until `unpause`."""

    def unpause(self, service: str) -> None:
        """Let a paused service go on."""

    def wait_ready(self, service: str, timeout: float = 60) -> None:
        """Wait until a service does its work; `timeout` in seconds."""

    def log_file(self, service: str) -> Path:
        """Where the service's output is kept."""
