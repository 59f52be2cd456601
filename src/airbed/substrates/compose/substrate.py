"""The compose substrate: a bed as containers."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from airbed.endpoints import Endpoints
from airbed.errors import AirbedError, Unavailable, UsageError
from airbed.settings import Settings
from airbed.spec import BedFiles, BedSpec
from airbed.substrates import airflowsettings
from airbed.substrates.base import Progress, ServiceStatus
from airbed.substrates.compose import layout, logs
from airbed.substrates.compose.cluster import PARTS, Cluster
from airbed.substrates.compose.containers import Containers, without_engine
from airbed.substrates.compose.engine import Engine, find
from airbed.topology import CORE_SERVICES

if TYPE_CHECKING:
    from airbed.substrates.compose.project import Project
    from airbed.substrates.compose.ready import Readiness
    from airbed.substrates.compose.ways import ContainerWays

# Tasks run where the LocalExecutor is.
TASKS_IN = "scheduler"
TOXIPROXY = "toxiproxy"


class ComposeSubstrate:
    """The services of one bed as containers of one Compose project."""

    def __init__(self, settings: Settings, files: BedFiles, spec: BedSpec, endpoints: Endpoints) -> None:
        self._settings = settings
        self._files = files
        self._spec = spec
        self._endpoints = endpoints

    # What these need is imported when it is used: `status` has to answer at once.

    @cached_property
    def _engine(self) -> Engine:
        return find(self._settings)

    @cached_property
    def _containers(self) -> Containers:
        return Containers(self._engine, self._files, self._spec)

    @property
    def _cluster(self) -> Cluster:
        return Cluster(self._engine, self._settings, self._files, self._spec, self._endpoints)

    @property
    def _project(self) -> Project:
        from airbed.substrates.compose.project import Project

        return Project(self._engine, self._settings, self._files, self._spec, self._endpoints)

    @property
    def _ready(self) -> Readiness:
        from airbed.substrates.compose.ready import Readiness

        return Readiness(self._engine, self._files, self._spec, self._endpoints, self._containers)

    @property
    def _ways(self) -> ContainerWays:
        from airbed.substrates.compose.ways import ContainerWays

        return ContainerWays(self._files, self._spec, self._endpoints)

    @property
    def services(self) -> tuple[str, ...]:
        """The services of this bed, in the topology's order."""
        return (*CORE_SERVICES, *(PARTS if self._spec.kubernetes else ()))

    def up(self, progress: Progress, timeout: float = 300) -> dict[str, float]:
        """Create or start every container and wait until all do their work; returns seconds to ready by service.

        Volumes that are there keep their data; a cluster that is there is started.
        """
        start = time.monotonic()
        self._project.write()
        self._containers.note(())
        # With the way to `metadata` closed, for one, Airflow would never be ready. Who brings the bed up takes the
        # faults back afterwards.
        self._ways.prepare(self.services, forget=True)
        self._project.up(timeout=timeout)
        progress(f"containers started after {time.monotonic() - start:.1f} s")
        if not self._spec.kubernetes:
            return self._ready.wait_all(CORE_SERVICES, progress, timeout, start=start)
        # Beside Airflow, which is not ready for a while; the network is there.
        with ThreadPoolExecutor(1) as beside:
            cluster = beside.submit(self._up_cluster, progress, start)
            seconds = self._ready.wait_all(CORE_SERVICES, progress, timeout, start=start)
            return seconds | cluster.result()

    def _up_cluster(self, progress: Progress, start: float) -> dict[str, float]:
        self._cluster.up(progress)
        seconds = time.monotonic() - start
        progress(f"the cluster is ready after {seconds:.1f} s")
        return dict.fromkeys(PARTS, seconds)

    def mend(self, progress: Progress, timeout: float = 60) -> bool:
        """Start, unpause and wait for what does not work; returns whether anything had to be done."""
        broken = [each for each in self.status() if each.state != "running"]
        for each in broken:
            progress(f"{each.name} is {each.state}")
            if each.state == "paused":
                self.unpause(each.name)
        names = [each.name for each in broken if each.state != "paused"]
        self._containers.note(())
        known = self._containers.all(CORE_SERVICES)
        for name in names:
            if name in known:
                self._start(name)
        if any(name in CORE_SERVICES and name not in known for name in names):
            self._project.up(timeout=timeout)
        if self._spec.kubernetes and any(name in PARTS for name in names):
            self._cluster.up(progress)
        self._ready.wait_all(CORE_SERVICES, progress if broken else lambda line: None, timeout)
        self.set_ways()
        return bool(broken)

    def add(self, services: Sequence[str], progress: Progress, timeout: float = 120) -> dict[str, float]:
        """Add the kind cluster; Airflow's containers get what they need for it."""
        start = time.monotonic()
        self._project.write()
        seconds = self._up_cluster(progress, start)
        self.set_ways()
        return seconds

    def alive(self) -> bool:
        """Whether the engine answers and knows the bed."""
        try:
            return bool(self._containers.all(CORE_SERVICES))
        except AirbedError:
            return False

    def sweep(self) -> int:
        """End every container at once, data kept; returns how many there were. Their logs are fetched before.

        Called when something went wrong: an engine that does not answer has nothing that could be ended.
        """
        try:
            self._fetch_logs()
            ended = self._project.kill()
            return ended + (self._cluster.halt() if self._spec.kubernetes else 0)
        except Unavailable:
            return 0

    def halt(self, timeout: float = 10) -> int:
        """Stop every container, data kept; returns how many there were."""
        from airbed.substrates.embedded import processes

        self._fetch_logs()
        ended = self._project.stop()
        # What holds a fault in force is a process of this machine.
        processes.sweep(self._spec.mark)
        return ended + (self._cluster.halt() if self._spec.kubernetes else 0)

    def _fetch_logs(self) -> None:
        for service in CORE_SERVICES:
            logs.fetch(self._engine, self._files, self._spec, service)

    def status(self) -> list[ServiceStatus]:
        """Every service with its state, pid, age in seconds, crashes and address; all stopped without an engine."""
        try:
            rows = self._containers.status(CORE_SERVICES)
        except Unavailable:
            return without_engine(self._spec, self.services)
        return rows + (self._cluster.status() if self._spec.kubernetes else [])

    def state(self, service: str) -> str:
        """The state of one service, as `status` has it."""
        self._ensure_known(service)
        if service in PARTS:
            return next(each.state for each in self._cluster.status() if each.name == service)
        return next(each.state for each in self._containers.status([service]))

    def stop(self, service: str) -> None:
        """Stop a service; it stays down until `start`, and tasks are refused.

        Its proxy is closed after it, so that what it says to its clients when it goes still reaches them.
        """
        self._ensure_known(service)
        if service in PARTS:
            self._cluster.stop(service)
        else:
            self._unpause(service)
            self._engine.run("stop", layout.container(self._spec.name, service), timeout=60)
        self._containers.note({*self._containers.stopped(), service})
        self.set_ways()

    def start(self, service: str) -> None:
        """Start a service and wait until it does its work and tasks can reach it."""
        self._ensure_known(service)
        self._containers.note(self._containers.stopped() - {service})
        if service in PARTS:
            self._cluster.start(service)
        else:
            self._start(service)
        self.wait_ready(service, 120)
        self.set_ways()

    def _start(self, service: str) -> None:
        """Start a container; Toxiproxy with what it had before."""
        name = layout.container(self._spec.name, service)
        if service != TOXIPROXY:
            self._engine.run("start", name)
            return
        toxics = self._ways.prepare(self._there())
        self._engine.run("start", name)
        self._ways.restore(toxics)

    def restart(self, service: str) -> None:
        """Stop, then start."""
        self.stop(service)
        self.start(service)

    def kill(self, service: str) -> None:
        """SIGKILL of the container's whole tree; it is started again at once.

        The engine takes a kill for the user's wish and would leave it down.
        """
        self._ensure_known(service)
        if service in PARTS:
            self._cluster.kill(service)
            return
        name = layout.container(self._spec.name, service)
        self._unpause(service)
        self._containers.count_kill(service)
        self._engine.run("kill", "--signal", "KILL", name)
        self._engine.run("wait", name)
        self._start(service)

    def pause(self, service: str) -> None:
        """Freeze a container with all its processes."""
        self._ensure_known(service)
        if service in PARTS:
            self._cluster.pause(service)
        elif self.state(service) == "running":
            self._engine.run("pause", layout.container(self._spec.name, service))

    def unpause(self, service: str) -> None:
        """Let a frozen service go on."""
        self._ensure_known(service)
        if service in PARTS:
            self._cluster.unpause(service)
        else:
            self._unpause(service)
        if service == TOXIPROXY:
            self.set_ways()

    def _unpause(self, service: str) -> None:
        if self.state(service) == "paused":
            self._engine.run("unpause", layout.container(self._spec.name, service))

    def partition(self, service: str) -> None:
        """Take a running service off the network until `rejoin`; Toxiproxy does not find it and cuts clients off."""
        self._ensure_container(service)
        container = layout.container(self._spec.name, service)
        self._engine.run("network", "disconnect", layout.network(self._spec.name), container)

    def rejoin(self, service: str) -> None:
        """Put it back under the names and the address that it had; nothing happens when it is there."""
        self._ensure_container(service)
        network, container = layout.network(self._spec.name), layout.container(self._spec.name, service)
        form = "{{json .NetworkSettings.Networks}}"
        if network in self._engine.inspect("container", container, form=form)[0]:
            return
        address = ["--ip", layout.toxiproxy_address(self._spec)] if service == TOXIPROXY else []
        self._engine.run("network", "connect", "--alias", service, *address, network, container)

    def _ensure_container(self, service: str) -> None:
        self._ensure_known(service)
        if service in PARTS:
            raise UsageError(f"{service} is a process of the node {layout.node(self._spec.name)}, not a container")

    def set_ways(self) -> None:
        """Open and close the ways of the tasks: closed to a service that is stopped, and where a fault says so."""
        found = self._containers.all([TOXIPROXY]).get(TOXIPROXY)
        ways = self._ways
        ways.prepare(self._there())
        if found is not None and found.state == "running":
            ways.apply()

    def _there(self) -> list[str]:
        stopped = self._containers.stopped()
        return [each for each in self.services if each not in stopped]

    # A task with its descendants: processes of the scheduler's container, by the ids that Airflow knows.

    def task_processes(self) -> dict[int, str]:
        """The command lines of the processes in the scheduler's container, by pid; none while it does not run."""
        if self.state(TASKS_IN) != "running":
            return {}
        return {int(pid): command for pid, command in self._tree("list").items()}

    def start_of(self, pid: int, title: str) -> int | None:
        """When a process of the tasks started; None when it is not there, or not the one of that title."""
        found = self._tree("start-of", str(pid), title)
        return None if found is None else int(found)

    def kill_tree(self, pid: int, start: int) -> int:
        """SIGKILL one process with all its descendants; returns how many processes that were."""
        return int(self._tree("kill", str(pid), str(start)))

    def pause_tree(self, pid: int, start: int) -> int:
        """Freeze one process with all its descendants; returns how many processes that are."""
        return int(self._tree("freeze", str(pid), str(start)))

    def unpause_tree(self, pid: int, start: int) -> int:
        """Let them go on; those that are gone meanwhile are none."""
        if self.state(TASKS_IN) != "running":
            return 0
        return int(self._tree("thaw", str(pid), str(start)))

    def _tree(self, *words: str):  # type: ignore[no-untyped-def]
        container = layout.container(self._spec.name, TASKS_IN)
        return json.loads(
            self._engine.run("exec", container, "python", "-S", "-m", "airbed.substrates.compose.tree", *words)
        )

    def give_image(self, image: str) -> None:
        """Let pods of the regions run an image of that name: the engine's, else the one that the pattern deploys."""
        self._cluster.give_image(image)

    def wait_ready(self, service: str, timeout: float = 60) -> None:
        """Wait until a service does its work, for instance after a kill."""
        self._ensure_known(service)
        if service in PARTS:
            self._cluster.wait_ready(service, timeout)
        else:
            self._ready.wait(service, timeout)

    def log_file(self, service: str) -> Path:
        """Where the output of a service is, as of now."""
        self._ensure_known(service)
        if service in PARTS:
            return self._cluster.log_file(service)
        return logs.fetch(self._engine, self._files, self._spec, service)

    def with_airflow_settings(self, settings: Mapping[str, str], *, warm: bool = True) -> None:
        """Let Airflow have these settings besides those of the bed; see `substrates.airflowsettings`."""
        airflowsettings.change(self, self._files, self._spec, settings, warm=warm)

    def reconfigure(self, spec: BedSpec, services: Sequence[str], progress: Progress, *, warm: bool = True) -> None:
        """Make the containers of services anew under changed settings of the bed."""
        self._spec = spec
        self._files.write_spec(spec)
        for service in services:
            self._unpause(service)
        self._fetch_logs()
        self._project.write(warm=warm)
        self._project.recreate(services)
        ready = self._ready
        for service in services:
            ready.wait(service, 120, warm=warm)
        self.set_ways()

    def _ensure_known(self, service: str) -> None:
        if service not in self.services:
            raise UsageError(f"bed '{self._spec.name}' has no service '{service}'; it has: {', '.join(self.services)}")
