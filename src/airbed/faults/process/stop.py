"""process.stop."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from airbed.errors import Unavailable
from airbed.faults.exchange import hang_up
from airbed.faults.services import ServiceFault, bring_back, refuse_while_armed
from airbed.topology import PROXIES

if TYPE_CHECKING:
    from airbed.bed import Bed
    from airbed.faults.model import Plan


class ProcessStop(ServiceFault):
    """A service is stopped in order and stays down; tasks that connect are refused."""

    kind: ClassVar[str] = "process.stop"
    summary: ClassVar[str] = "stop a service; it stays down until the fault is cleared"
    example: ClassVar[dict[str, Any]] = {"service": "shard-1"}

    def check(self, bed: Bed) -> None:
        """Not the director of a running scenario."""
        refuse_while_armed(bed, self.service)
        super().check(bed)

    def apply(self, bed: Bed, plan: Plan) -> None:
        """Stop it, and close its way."""
        bed.substrate.stop(self.service)

    def confirm(self, bed: Bed, plan: Plan) -> None:
        """It is down, and a client on the way of the tasks is refused."""
        state = bed.substrate.state(self.service)
        if state != "stopped":
            raise Unavailable(f"{self.service} was stopped and is {state}")
        for proxy, way in PROXIES.items():
            if self.service in way and bed.spec.tcp_faults:
                error = hang_up(bed, proxy, 2).error
                if not isinstance(error, ConnectionRefusedError):
                    raise Unavailable(f"{self.service} is stopped and {proxy} is not refused on the way of the tasks")

    def undo(self, bed: Bed, plan: Plan) -> None:
        """Start it and wait until tasks reach it."""
        bring_back(bed, self.service)
