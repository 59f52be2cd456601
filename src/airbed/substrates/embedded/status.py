"""What the services of a bed do now, from the keeper and from /proc."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from airbed.errors import Unavailable
from airbed.spec import BedSpec
from airbed.substrates.base import ServiceStatus
from airbed.substrates.embedded import processes
from airbed.substrates.embedded.keeper import Keeper

_STATES = {
    "RUNNING": "running",
    "STARTING": "starting",
    "BACKOFF": "failed",
    "FATAL": "failed",
    "EXITED": "failed",
}
# The port at which a service is asked for, where it has another name than the service.
_PORTS = {"scheduler": "scheduler-health", "triggerer": "triggerer-health"}
# Their ports are for the keeper's own questions.
_WITHOUT_ADDRESS = ("dag-processor", "kube-controller-manager", "kube-scheduler")


def read_status(keeper: Keeper, spec: BedSpec, services: Sequence[str]) -> list[ServiceStatus]:
    """Each service with its state, pid, age in seconds, crashes and address."""
    crashes = keeper.crashes()
    try:
        info = keeper.info()
    except Unavailable:
        return _without_keeper(spec, services, crashes)
    return [_of(name, info.get(name), crashes.get(name, 0), _address(spec, name)) for name in services]


def _of(name: str, row: Mapping[str, object] | None, crashes: int, address: str) -> ServiceStatus:
    if row is None:
        return ServiceStatus(name, "stopped", None, 0, 0, address)
    state = _STATES.get(str(row["statename"]), "stopped")
    pid = int(str(row["pid"])) or None
    if pid and _frozen(pid):
        state = "paused"
    seconds = float(int(str(row["now"])) - int(str(row["start"]))) if pid else 0.0
    return ServiceStatus(name, state, pid, seconds, crashes, address)


def _without_keeper(spec: BedSpec, services: Sequence[str], crashes: Mapping[str, int]) -> list[ServiceStatus]:
    """When the keeper is dead: what still runs has nobody who would start it again."""
    first: dict[str | None, processes.Process] = {}
    for each in sorted(processes.of_bed(spec.mark).values(), key=lambda each: each.start):
        first.setdefault(each.service, each)
    uptime = time.clock_gettime(time.CLOCK_BOOTTIME)
    ticks = os.sysconf("SC_CLK_TCK")
    return [
        ServiceStatus(
            name,
            "unkept" if name in first else "stopped",
            first[name].pid if name in first else None,
            uptime - first[name].start / ticks if name in first else 0,
            crashes.get(name, 0),
            _address(spec, name),
        )
        for name in services
    ]


def _address(spec: BedSpec, service: str) -> str:
    port = None if service in _WITHOUT_ADDRESS else spec.ports.get(_PORTS.get(service, service))
    return f"127.0.0.1:{port}" if port else ""


def _frozen(pid: int) -> bool:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return stat[stat.rindex(")") + 2] == "T"
