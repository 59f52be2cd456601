"""What a substrate must be able to do: the same verbs, with the same meaning, on every one."""

from __future__ import annotations

from collections.abc import Mapping
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
        """Stop a service; it stays down until `start`, and tasks that connect are refused."""

    def start(self, service: str) -> None:
        """Start a stopped service and wait until it does its work and tasks reach it."""

    def restart(self, service: str) -> None:
        """Stop, then start."""

    def kill(self, service: str) -> None:
        """SIGKILL the whole process tree; the keeper brings the service back."""

    def pause(self, service: str) -> None:
        """Freeze the whole process tree until `unpause`."""

    def unpause(self, service: str) -> None:
        """Let a paused service go on."""

    def start_of(self, pid: int, title: str) -> int | None:
        """When a process of the bed started, in clock ticks since boot; None when it is not the one of that title."""

    def kill_tree(self, pid: int, start: int) -> int:
        """SIGKILL one process, such as a running task, with all its descendants; returns how many that were."""

    def pause_tree(self, pid: int, start: int) -> int:
        """Freeze one process with all its descendants until `unpause_tree`; returns how many that are."""

    def unpause_tree(self, pid: int, start: int) -> int:
        """Let them go on."""

    def set_ways(self) -> None:
        """Open and close the ways of the tasks, as services are stopped and faults say."""

    def with_airflow_settings(self, settings: Mapping[str, str], *, warm: bool = True) -> None:
        """Let Airflow have these settings besides those of the bed; {} takes them back; components are restarted."""

    def wait_ready(self, service: str, timeout: float = 60) -> None:
        """Wait until a service does its work; `timeout` in seconds."""

    def log_file(self, service: str) -> Path:
        """Where the service's output is kept."""
