"""What faults of a bed's parts share: which parts there are, and how one is brought back for certain."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from airbed.errors import Unavailable, UsageError
from airbed.faults.model import Fault, Level
from airbed.faults.tcp import prove_way
from airbed.topology import PROXIES

if TYPE_CHECKING:
    from airbed.bed import Bed


class ServiceFault(Fault):
    """A fault of one part of the bed: a database, S3, the director, Toxiproxy, an Airflow or a Kubernetes component."""

    level: ClassVar[Level] = "process"
    # Before all others: what they use to be taken back may be this very part.
    undo_order: ClassVar[int] = 10

    service: str = Field(description="a service, as `airbed status` names it")

    def check(self, bed: Bed) -> None:
        """The service must be one of the bed, and run."""
        ensure_runs(bed, self.service)


def ensure_runs(bed: Bed, service: str) -> None:
    """Raise UsageError for a service that the bed does not have, Unavailable for one that does not run."""
    states = {each.name: each.state for each in bed.substrate.status()}
    if service not in states:
        raise UsageError(f"bed '{bed.name}' has no service '{service}'; it has: {', '.join(states)}")
    if states[service] not in ("running", "starting"):
        raise Unavailable(f"{service} of bed '{bed.name}' is {states[service]}: it must run to be broken")


def refuse_while_armed(bed: Bed, service: str) -> None:
    """Raise UsageError when a scenario runs and the service is the one that it speaks to."""
    if service == "director" and bed.files.armed.is_file():
        raise UsageError(
            f"a scenario runs on bed '{bed.name}' and holds its tasks by the director: it can be killed or restarted"
            " now, and stopped or paused only afterwards"
        )


def bring_back(bed: Bed, service: str, timeout: float = 90) -> None:
    """Make a service do its work again, whatever was done to it, and prove that tasks reach it.

    Without a keeper nothing can be started: the next `airbed up` starts every service, and this one with them.
    Raises Unavailable when it is not ready within `timeout` seconds.
    """
    deadline = time.monotonic() + timeout
    bed.substrate.unpause(service)
    if not bed.substrate.alive():
        return
    bed.substrate.start(service)
    while bed.substrate.state(service) != "running":
        if time.monotonic() > deadline:
            raise Unavailable(f"{service} of bed '{bed.name}' is {bed.substrate.state(service)}, not running")
        time.sleep(0.05)
    if bed.spec.tcp_faults:
        for proxy, way in PROXIES.items():
            if service in way or service == "toxiproxy":
                prove_way(bed, proxy)
