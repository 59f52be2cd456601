"""The embedded substrate: a bed as plain processes of this machine."""

from __future__ import annotations

import contextlib
import signal
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from airbed.endpoints import Endpoints
from airbed.errors import Unavailable, UsageError
from airbed.settings import Settings
from airbed.spec import BedFiles, BedSpec
from airbed.substrates import airflowsettings
from airbed.substrates.base import ServiceStatus
from airbed.substrates.embedded import processes, trees
from airbed.substrates.embedded.keeper import Keeper
from airbed.substrates.embedded.ports import still_taken
from airbed.substrates.embedded.program import Program
from airbed.substrates.embedded.startup import Progress, start_all, wait_ready
from airbed.substrates.embedded.status import read_status
from airbed.substrates.embedded.toxiproxy import Ways
from airbed.topology import CORE_SERVICES, KUBERNETES_SERVICES


class EmbeddedSubstrate:
    """The services of one bed as processes under its supervisord."""

    def __init__(self, settings: Settings, files: BedFiles, spec: BedSpec, endpoints: Endpoints) -> None:
        self._settings = settings
        self._files = files
        self._spec = spec
        self._endpoints = endpoints
        self._keeper = Keeper(files, spec, files.read_secrets()["keeper"])
        self._ways = Ways(files, spec, endpoints) if endpoints.toxiproxy else None

    @property
    def services(self) -> tuple[str, ...]:
        """The services of this bed, in the topology's order."""
        core = [each for each in CORE_SERVICES if self._ways or each != "toxiproxy"]
        return (*core, *(KUBERNETES_SERVICES if self._spec.kubernetes else ()))

    def up(self, progress: Progress, timeout: float = 300) -> dict[str, float]:
        """Start the keeper and every service; returns seconds to ready by service.

        Whatever an earlier attempt left running is ended first. Data folders are made where they are missing.
        """
        left = self.sweep()
        if left:
            progress(f"ended {left} processes that an earlier attempt left")
        self._refuse_taken_ports()
        programs = self._programs(progress)
        if self._ways:
            self._ways.write(self.services)
            # With the way to `metadata` closed, for one, Airflow would never be ready. Who brings the bed up takes the
            # faults back afterwards.
            self._ways.forget_faults(True)
        self._keeper.configure(programs, self._environment())
        self._keeper.launch(self._environment())
        seconds = start_all(self._keeper, programs, progress, timeout)
        self._await_states(self.services)
        if self._ways:
            self._ways.forget_faults(False)
        return seconds

    def mend(self, progress: Progress, timeout: float = 60) -> bool:
        """Start, unfreeze and wait for what does not work, with everything else left alone.

        Returns whether anything had to be done. Raises Unavailable when that is not enough: no keeper, or a service
        that keeps ending.
        """
        broken = [each for each in self.status() if each.state != "running"]
        for each in broken:
            progress(f"{each.name} is {each.state}")
            if each.state == "paused":
                self.unpause(each.name)
        names = {each.name for each in broken}
        programs = [replace(each, on_ready=lambda: None) for each in self._programs(progress)]
        start_all(self._keeper, programs, progress if names else lambda line: None, timeout)
        self._await_states(names)
        self.set_ways()
        return bool(names)

    def add(self, services: Sequence[str], progress: Progress, timeout: float = 120) -> dict[str, float]:
        """Start services that the living bed did not have before, such as Kubernetes."""
        programs = self._programs(progress)
        self._keeper.configure(programs, self._environment())
        self._keeper.reload()
        seconds = start_all(self._keeper, [each for each in programs if each.name in services], progress, timeout)
        self._await_states(services)
        self.set_ways()
        return seconds

    def _programs(self, progress: Progress, *, warm: bool = True) -> list[Program]:
        # What knows all parts is imported only when it is needed: `status` has to answer at once.
        from airbed.substrates.embedded import parts

        return parts.programs(self._settings, self._files, self._spec, self._endpoints, progress, warm=warm)

    def _environment(self) -> dict[str, str]:
        from airbed.substrates.embedded import parts

        return parts.common_environment(self._files, self._spec)

    def _refuse_taken_ports(self) -> None:
        purposes = {port: purpose for purpose, port in self._spec.ports.items()}
        for port in still_taken(purposes):
            raise Unavailable(
                f"port {port} of bed '{self._spec.name}' ({purposes[port]}) was taken by another program; end that one,"
                f" or make the bed anew: airbed down --name {self._spec.name}, then airbed up"
            )

    def alive(self) -> bool:
        """Whether the process keeper answers."""
        return self._keeper.answers()

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

    def halt(self, timeout: float = 10) -> int:
        """End all processes, data kept: the databases last and in order, so that their next start need not recover."""
        databases = tuple(self._endpoints.databases)
        ended = processes.sweep(self._spec.mark, without=databases)
        servers = processes.of_bed(self._spec.mark)
        parents = {each.parent for each in servers.values()}
        # A frozen server would not hear.
        processes.signal_all(servers, signal.SIGCONT)
        processes.signal_all([pid for pid in servers if pid in parents], signal.SIGINT)
        deadline = time.monotonic() + timeout
        while processes.of_bed(self._spec.mark) and time.monotonic() < deadline:
            time.sleep(0.02)
        self.sweep()
        return ended + len(servers)

    def status(self) -> list[ServiceStatus]:
        """Every service with its state, pid, age in seconds, crashes and address."""
        return read_status(self._keeper, self._spec, self.services)

    def stop(self, service: str) -> None:
        """Stop a service and end all its processes; it stays down until `start`, and tasks are refused.

        Its proxy is closed after it, so that what it says to its clients when it goes still reaches them.
        """
        self._ensure_known(service)
        self._keeper.ask_to_stop([service])
        # A frozen service would not hear.
        processes.signal_all([pid for pid, each in self._of(service).items() if each.state == "T"], signal.SIGCONT)
        self._keeper.stop(service)
        processes.sweep(self._spec.mark, service)
        self.set_ways()

    def start(self, service: str) -> None:
        """Start a service and wait until it does its work and tasks can reach it."""
        program = self._program(service)
        self._keeper.start(service)
        self._await(program, 120)
        self.set_ways()

    def restart(self, service: str) -> None:
        """Stop, then start."""
        self.stop(service)
        self.start(service)

    def kill(self, service: str) -> None:
        """SIGKILL the process tree of a service, rescanned until nothing is left; the keeper starts it again.

        Until then a task that connects is accepted by the proxy and cut off at once, as behind any load balancer.
        """
        self._ensure_known(service)
        first = self._of(service)
        # The keeper restarts it within the second: only what was there at first, and its children, are meant.
        youngest = max((each.start for each in first.values()), default=0)
        while first:
            # At one stroke: the supervisor of a task that dies first would tell of its end before its own.
            processes.signal_all(first, signal.SIGSTOP)
            processes.signal_all(first, signal.SIGKILL)
            time.sleep(0.01)
            first = {pid: each for pid, each in self._of(service).items() if each.start <= youngest}

    def pause(self, service: str) -> None:
        """Freeze the process tree of a service, rescanned until no process of it runs."""
        self._ensure_known(service)
        self._signal_until(service, signal.SIGSTOP, lambda state: state == "T")

    def unpause(self, service: str) -> None:
        """Let a frozen service go on."""
        self._ensure_known(service)
        self._signal_until(service, signal.SIGCONT, lambda state: state != "T")
        if service == "toxiproxy":
            self.set_ways()

    def state(self, service: str) -> str:
        """The state of one service, as `status` has it."""
        self._ensure_known(service)
        return next(each.state for each in self.status() if each.name == service)

    def task_processes(self) -> dict[int, str]:
        """The command lines of the bed's processes, by pid."""
        return {pid: trees.command_line(pid) for pid in processes.of_bed(self._spec.mark)}

    def start_of(self, pid: int, title: str) -> int | None:
        """When a process of the bed started, for the verbs on its tree; None when it is not there, or not that one."""
        return trees.start_of(self._spec.mark, pid, title)

    def kill_tree(self, pid: int, start: int) -> int:
        """SIGKILL one process of the bed with all its descendants; returns how many processes that were."""
        return trees.kill(self._spec.mark, pid, start)

    def pause_tree(self, pid: int, start: int) -> int:
        """Freeze one process of the bed with all its descendants; returns how many processes that are."""
        return len(trees.freeze(self._spec.mark, pid, start))

    def unpause_tree(self, pid: int, start: int) -> int:
        """Let them go on; those that are gone meanwhile are none."""
        return len(trees.thaw(self._spec.mark, pid, start))

    def set_ways(self) -> None:
        """Open and close the ways of the tasks: closed to a service that is stopped, and where a fault says so.

        A Toxiproxy that does not run does so at its start. Raises Unavailable when one that runs does not do it.
        """
        if self._ways is None:
            return
        with contextlib.suppress(Unavailable):
            # Without a keeper nobody stops or starts a service: what was noted last stands.
            self._ways.write([name for name, row in self._keeper.info().items() if row["statename"] != "STOPPED"])
        if any(each.state != "T" for each in self._of("toxiproxy").values()):
            self._ways.apply()

    def _signal_until(self, service: str, number: int, done: Callable[[str], bool], timeout: float = 10) -> None:
        deadline = time.monotonic() + timeout
        while left := [pid for pid, each in self._of(service).items() if not done(each.state)]:
            if time.monotonic() > deadline:
                raise Unavailable(f"{service} of bed '{self._spec.name}': processes {left} ignore signal {number}")
            processes.signal_all(left, number)
            time.sleep(0.01)

    def _of(self, service: str) -> dict[int, processes.Process]:
        return processes.of_bed(self._spec.mark, service)

    def give_image(self, image: str) -> None:
        """Nothing: no container is ever run, so every image is there."""

    def wait_ready(self, service: str, timeout: float = 60) -> None:
        """Wait until a service does its work, for instance after a kill."""
        self._await(self._program(service), timeout)

    def log_file(self, service: str) -> Path:
        """Where the output of a service goes."""
        self._ensure_known(service)
        return self._keeper.log_file(service)

    def with_airflow_settings(self, settings: Mapping[str, str], *, warm: bool = True) -> None:
        """Let Airflow have these settings besides those of the bed, instead of any given before; {} takes them back.

        Names are `SECTION__KEY`. The components are restarted when something changes, and with them the instances that
        run. `warm=False` restarts the API server in any case and leaves its execution API cold, as after a deployment:
        the first task pays for its start. The settings are kept in bed.json: the next `up` has them too.
        Raises UsageError for a name that is not one.
        """
        airflowsettings.change(self, self._files, self._spec, settings, warm=warm)

    def reconfigure(self, spec: BedSpec, services: Sequence[str], progress: Progress, *, warm: bool = True) -> None:
        """Restart services under changed settings of the bed; `warm`: see `with_airflow_settings`."""
        self._spec = spec
        self._files.write_spec(spec)
        self._keeper.ask_to_stop(services)
        for service in services:
            self.stop(service)
        programs = self._programs(progress, warm=warm)
        self._keeper.configure(programs, self._environment())
        for service in services:
            self._keeper.replace(service)
        start_all(self._keeper, [each for each in programs if each.name in services], progress, 120)
        self._await_states(services)
        self.set_ways()

    def _await(self, program: Program, timeout: float) -> None:
        wait_ready(self._keeper, program, time.monotonic() + timeout)
        self._await_states({program.name})

    def _await_states(self, services: Collection[str], timeout: float = 10) -> None:
        """The keeper calls a service running after a second; one that works before that is not shown as starting."""
        deadline = time.monotonic() + timeout
        while any(row["statename"] == "STARTING" for name, row in self._keeper.info().items() if name in services):
            if time.monotonic() > deadline:
                raise Unavailable(f"of {', '.join(services)} some do not stay up; see {self._keeper.log}")
            time.sleep(0.05)

    def _program(self, service: str) -> Program:
        self._ensure_known(service)
        return next(each for each in self._programs(lambda line: None) if each.name == service)

    def _ensure_known(self, service: str) -> None:
        if service not in self.services:
            raise UsageError(f"bed '{self._spec.name}' has no service '{service}'; it has: {', '.join(self.services)}")
