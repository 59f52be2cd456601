"""What a substrate must be able to do: the same verbs, with the same meaning, on every one."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from airbed.endpoints import Endpoints
    from airbed.request import Request
    from airbed.settings import Settings
    from airbed.spec import BedFiles, BedSpec

Progress = Callable[[str], None]


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


@dataclass(frozen=True)
class Removed:
    """What the removal of a bed's parts ended: how many there were, and its ports, free and not."""

    ended: int
    free: int
    taken: list[int]


class Beds(Protocol):
    """How beds of one substrate are made and removed: the functions of `airbed.substrates.<name>.beds`."""

    def ensure_possible(self, settings: Settings, request: Request) -> None:
        """Raise UsageError or Unavailable when a bed as asked for cannot be: before anything is started."""

    def prepare(self, settings: Settings, request: Request, progress: Progress) -> None:
        """Make what the bed needs of what all beds share, such as the overlay of a project's requirements."""

    def has_kubernetes(self, settings: Settings) -> bool:
        """Whether a bed could have Kubernetes at once."""

    def can_have_kubernetes(self, settings: Settings) -> tuple[bool, str]:
        """Whether `build_kubernetes` has a chance, and one line that says with what, or what is missing."""

    def build_kubernetes(self, settings: Settings, progress: Progress) -> None:
        """Make what Kubernetes needs and all beds share; at once when it is there."""

    def can_break_tcp(self, settings: Settings, progress: Progress) -> bool:
        """Whether the bed's tasks reach every service through Toxiproxy, which is made when it is missing."""

    def make_folders(self, files: BedFiles) -> None:
        """The bed's folders."""

    def allocate_ports(self, settings: Settings, spec: BedSpec) -> dict[str, int]:
        """Free ports for every part of a bed; the caller holds the lock on all beds."""

    def make_endpoints(self, spec: BedSpec, files: BedFiles) -> Endpoints:
        """Addresses and fresh credentials of a new bed."""

    def open_bed(self, settings: Settings, files: BedFiles, spec: BedSpec, endpoints: Endpoints) -> Substrate:
        """The verbs on one bed."""

    def marks_of(self, files: BedFiles) -> set[str]:
        """The marks of what lives and belongs to a bed's folder, whatever became of the folder."""

    def strays(self, settings: Settings) -> set[str]:
        """The names of beds of which something lives, whether their folder exists or not."""

    def remove(self, files: BedFiles, marks: Collection[str], ports: Mapping[str, int], progress: Progress) -> Removed:
        """End everything with one of these marks, and look again that nothing is left; the folder stays."""


class Substrate(Protocol):
    """How one bed's services exist."""

    @property
    def services(self) -> tuple[str, ...]:
        """The services of this bed, in the topology's order."""

    def up(self, progress: Progress, timeout: float = 300) -> dict[str, float]:
        """Start every service and wait until all do their work; returns seconds to ready by service."""

    def mend(self, progress: Progress, timeout: float = 60) -> bool:
        """Start, unfreeze and wait for what does not work, with everything else left alone; whether anything was.

        Raises Unavailable when that is not enough.
        """

    def add(self, services: Sequence[str], progress: Progress, timeout: float = 120) -> dict[str, float]:
        """Start services that the living bed did not have before, such as Kubernetes."""

    def alive(self) -> bool:
        """Whether whoever keeps the services answers."""

    def sweep(self) -> int:
        """End everything of the bed at once; returns how much there was. Logs and data stay where they can."""

    def halt(self, timeout: float = 10) -> int:
        """End everything in order, data kept; returns how much there was."""

    def status(self) -> list[ServiceStatus]:
        """Every service of the bed, in the topology's order."""

    def state(self, service: str) -> str:
        """The state of one service, as `status` has it."""

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

    def task_processes(self) -> dict[int, str]:
        """The command lines of the processes among which tasks run, by pid."""

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

    def reconfigure(self, spec: BedSpec, services: Sequence[str], progress: Progress, *, warm: bool = True) -> None:
        """Restart services under changed settings of the bed; `warm`: see `with_airflow_settings`."""

    def give_image(self, image: str) -> None:
        """Let pods of the regions run an image of that name: the engine's, where there is one, else a stand-in."""

    def wait_ready(self, service: str, timeout: float = 60) -> None:
        """Wait until a service does its work; `timeout` in seconds."""

    def log_file(self, service: str) -> Path:
        """Where the service's output is kept."""
