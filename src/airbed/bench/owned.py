"""Which processes of this machine are whose: by the mark in their environment, or by the container they are in."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from airbed.errors import Unavailable
from airbed.substrates.embedded import processes
from airbed.substrates.registry import EMBEDDED

if TYPE_CHECKING:
    from airbed.bed import Bed

Owned = Callable[[], Mapping[int, str]]
"""Gives the processes that there are now: their service by pid."""

# What `airflow standalone` starts, as in its command line or its title.
COMPONENTS = {
    "api-server": "api-server",
    "api_server": "api-server",
    "scheduler": "scheduler",
    "dag-processor": "dag-processor",
    "triggerer": "triggerer",
}
# Where processes are looked for.
PROC = Path("/proc")
# What the engine puts before a container's own process: it would count as one that forks the scheduler.
_INIT = "docker-init"
_CONTAINER = re.compile(r"[0-9a-f]{64}")


def of_bed(bed: Bed) -> Owned:
    """The processes of a bed, on either substrate; those of a node of Kubernetes are one service."""
    if bed.spec.substrate == EMBEDDED:
        return of_mark(bed.spec.mark)
    from airbed.substrates.compose import layout
    from airbed.substrates.compose.containers import Containers
    from airbed.substrates.compose.engine import find

    engine = find(bed.settings)
    found = Containers(engine, bed.files, bed.spec).all(bed.substrate.services)
    containers = {each.identity: service for service, each in found.items()}
    node = engine.inspect("container", layout.node(bed.name), form='{"id":{{json .Id}}}')
    owned = of_containers({**containers, **{row["id"]: "node" for row in node}})
    if not owned():
        raise Unavailable("no process of the containers is to be seen here: is the engine in a virtual machine?")
    return owned


def of_mark(mark: str) -> Owned:
    """The processes with this mark in their environment. Those that do not tell their service are `other`."""
    return functools.partial(_marked, mark)


def of_containers(services: Mapping[str, str]) -> Owned:
    """The processes of these containers of an engine on this machine: the service by the container's id."""
    return functools.partial(_contained, services)


def _contained(services: Mapping[str, str]) -> dict[int, str]:
    found = {}
    for process in PROC.iterdir():
        if not process.name.isdigit():
            continue
        try:
            container = _CONTAINER.search((process / "cgroup").read_text())
            service = services.get(container[0]) if container else None
            if service and (process / "comm").read_text().strip() != _INIT:
                found[int(process.name)] = service
        except OSError:
            continue
    return found


def _marked(mark: str) -> dict[int, str]:
    """The service of each process; of `airflow standalone`'s children the component, which their own inherit."""
    there = processes.of_bed(mark)
    found: dict[int, str] = {}

    def service(pid: int) -> str:
        if pid not in found:
            each = there[pid]
            above = service(each.parent) if each.parent in there else "other"
            own = each.service or above
            if own == "standalone":
                own = above if above in COMPONENTS.values() else _component(processes.command_of(pid)) or own
            found[pid] = own
        return found[pid]

    for pid in there:
        service(pid)
    return found


def _component(command: str) -> str | None:
    return next((name for word in command.split() for key, name in COMPONENTS.items() if word == key), None)
