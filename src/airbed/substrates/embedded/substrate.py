"""The embedded substrate: a bed as plain processes of this machine."""

from __future__ import annotations

import shutil
import signal
import time
from collections.abc import Sequence
from pathlib import Path

from airbed.endpoints import Endpoints
from airbed.errors import Unavailable, UsageError
from airbed.settings import Settings
from airbed.spec import BedFiles, BedSpec
from airbed.substrates.base import ServiceStatus
from airbed.substrates.embedded import layout, parts, processes
from airbed.substrates.embedded.keeper import Keeper
from airbed.substrates.embedded.ports import is_free
from airbed.substrates.embedded.program import Program
from airbed.substrates.embedded.startup import Progress, start_all, wait_ready
from airbed.topology import CORE_SERVICES, KUBERNETES_SERVICES


class EmbeddedSubstrate:
    """The services of one bed as processes under its supervisord."""

    def __init__(self, settings: Settings, files: BedFiles, spec: BedSpec, endpoints: Endpoints) -> None:
        self._settings = settings
        self._files = files
        self._spec = spec
        self._endpoints = endpoints
        self._keeper = Keeper(files, spec, layout.read_secrets(files)["keeper"])

    @property
    def services(self) -> tuple[str, ...]:
        """The services of this bed, in the topology's order."""
        return (*CORE_SERVICES, *(KUBERNETES_SERVICES if self._spec.kubernetes else ()))

    def up(self, progress: Progress, timeout: float = 180) -> dict[str, float]:
        """Start the keeper and every service; returns seconds to ready by service.

        Whatever an earlier attempt left running is ended first. Data folders are made where they are missing.
        """
        left = self.sweep()
        if left:
            progress(f"ended {left} processes that an earlier attempt left")
        self._refuse_taken_ports()
        programs = self._programs(progress)
        self._keeper.configure(programs, parts.common_environment(self._files, self._spec))
        self._keeper.launch(parts.common_environment(self._files, self._spec))
        return start_all(self._keeper, programs, progress, timeout)

    def add(self, services: Sequence[str], progress: Progress, timeout: float = 120) -> dict[str, float]:
        """Start services that the living bed did not have before, such as Kubernetes."""
        programs = self._programs(progress)
        self._keeper.configure(programs, parts.common_environment(self._files, self._spec))
        self._keeper.reload()
        return start_all(self._keeper, [each for each in programs if each.name in services], progress, timeout)

    def _programs(self, progress: Progress) -> list[Program]:
        return parts.programs(self._settings, self._files, self._spec, self._endpoints, progress)

    def _refuse_taken_ports(self) -> None:
        for purpose, port in self._spec.ports.items():
            if not is_free(port):
                raise Unavailable(
                    f"port {port} of bed '{self._spec.name}' ({purpose}) was taken by another program; end that one,"
                    f" or make the bed anew: airbed down --name {self._spec.name}, then airbed up"
                )

    def alive(self) -> bool:
        """Whether the keeper answers and every service runs."""
        return self._keeper.answers() and all(each.state == "running" for each in self.status())

    def sweep(self) -> int:
        """End every process of the bed; returns how many there were."""
        return self.sweep_mark(self._spec.mark, self._spec.name)

    @staticmethod
    def sweep_mark(mark: str, name: str) -> int:
        """End every process that carries a bed's mark; needs nothing else of the bed."""
        try:
            return processes.sweep(mark)
        except TimeoutError as error:
            raise Unavailable(f"bed '{name}': {error}; they may wait for a disk: try again") from None

    def halt(self) -> int:
        """End all processes, data kept: databases are told to stop first, so that their data is consistent."""
        if self._keeper.answers():
            for service in self.services:
                if self._is_database(service) and self._keeper.info()[service]["statename"] == "RUNNING":
                    self._keeper.call("signalProcess", service, "INT")
        return self.sweep()

    def _is_database(self, service: str) -> bool:
        return service in self._endpoints.databases

    def delete(self) -> None:
        """Delete the bed's folder; the processes must be gone."""
        shutil.rmtree(self._files.folder)

    def status(self) -> list[ServiceStatus]:
        """Every service with its state, pid, age in seconds, crashes and address."""
        try:
            info = self._keeper.info()
        except Unavailable:
            return [ServiceStatus(name, "stopped", None, 0, 0, self._address(name)) for name in self.services]
        crashes = self._keeper.crashes()
        return [self._status_of(name, info.get(name), crashes.get(name, 0)) for name in self.services]

    def _status_of(self, name: str, row: dict[str, object] | None, crashes: int) -> ServiceStatus:
        states = {
            "RUNNING": "running",
            "STARTING": "starting",
            "BACKOFF": "failed",
            "FATAL": "failed",
            "EXITED": "failed",
        }
        if row is None:
            return ServiceStatus(name, "stopped", None, 0, 0, self._address(name))
        state = states.get(str(row["statename"]), "stopped")
        pid = int(str(row["pid"])) or None
        if pid and _frozen(pid):
            state = "paused"
        seconds = float(int(str(row["now"])) - int(str(row["start"]))) if pid else 0.0
        return ServiceStatus(name, state, pid, seconds, crashes, self._address(name))

    def _address(self, service: str) -> str:
        purposes = {
            "s3": "s3",
            "director": "director",
            "api-server": "api-server",
            "scheduler": "scheduler-health",
            "triggerer": "triggerer-health",
            "kube-apiserver": "kube-apiserver",
            "etcd": "etcd",
            "kwok": "kwok",
        }
        purpose = service if self._is_database(service) else purposes.get(service)
        return f"{layout.LOOPBACK}:{self._spec.ports[purpose]}" if purpose else ""

    def stop(self, service: str) -> None:
        """Stop a service and end all its processes; it stays down until `start`."""
        self._ensure_known(service)
        self._keeper.stop(service)
        processes.sweep(self._spec.mark, service)

    def start(self, service: str) -> None:
        """Start a service and wait until it does its work."""
        program = self._program(service)
        self._keeper.start(service)
        self._await(program, 60)

    def restart(self, service: str) -> None:
        """Stop, then start."""
        self.stop(service)
        self.start(service)

    def kill(self, service: str) -> None:
        """SIGKILL the process tree of a service, rescanned until nothing is left; the keeper starts it again."""
        self._ensure_known(service)
        first = processes.of_bed(self._spec.mark, service)
        # The keeper restarts it within the second: only what was there at first, and its children, are meant.
        youngest = max((each.start for each in first.values()), default=0)
        while first:
            processes.signal_all(first, signal.SIGKILL)
            time.sleep(0.01)
            first = {
                pid: each for pid, each in processes.of_bed(self._spec.mark, service).items() if each.start <= youngest
            }

    def pause(self, service: str) -> None:
        """Freeze the process tree of a service, rescanned until no process of it runs."""
        self._ensure_known(service)
        while running := [pid for pid, each in processes.of_bed(self._spec.mark, service).items() if each.state != "T"]:
            processes.signal_all(set(running), signal.SIGSTOP)
            time.sleep(0.01)

    def unpause(self, service: str) -> None:
        """Let a frozen service go on."""
        self._ensure_known(service)
        while frozen := [pid for pid, each in processes.of_bed(self._spec.mark, service).items() if each.state == "T"]:
            processes.signal_all(set(frozen), signal.SIGCONT)
            time.sleep(0.01)

    def wait_ready(self, service: str, timeout: float = 60) -> None:
        """Wait until a service does its work, for instance after a kill."""
        self._await(self._program(service), timeout)

    def log_file(self, service: str) -> Path:
        """Where the output of a service goes."""
        self._ensure_known(service)
        return self._keeper.log_file(service)

    def reconfigure(self, spec: BedSpec, services: Sequence[str], progress: Progress) -> None:
        """Restart services under changed settings of the bed."""
        self._spec = spec
        self._files.write_spec(spec)
        for service in services:
            self.stop(service)
        programs = self._programs(progress)
        self._keeper.configure(programs, parts.common_environment(self._files, self._spec))
        for service in services:
            self._keeper.replace(service)
        start_all(self._keeper, [each for each in programs if each.name in services], progress, 60)

    def _await(self, program: Program, timeout: float) -> None:
        wait_ready(self._keeper, program, time.monotonic() + timeout)

    def _program(self, service: str) -> Program:
        self._ensure_known(service)
        return next(each for each in self._programs(lambda line: None) if each.name == service)

    def _ensure_known(self, service: str) -> None:
        if service not in self.services:
            raise UsageError(f"bed '{self._spec.name}' has no service '{service}'; it has: {', '.join(self.services)}")


def _frozen(pid: int) -> bool:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return stat[stat.rindex(")") + 2] == "T"
