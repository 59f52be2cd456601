"""process.kill."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from airbed.faults.services import ServiceFault

if TYPE_CHECKING:
    from airbed.bed import Bed
    from airbed.faults.model import Plan


class ProcessKill(ServiceFault):
    """SIGKILL of a service with its whole process tree, at once; the keeper starts it again within a second or two.

    Until it is back, clients on the way of the tasks are cut off. `bed.substrate.wait_ready(service)` waits for it.
    """

    kind: ClassVar[str] = "process.kill"
    summary: ClassVar[str] = "SIGKILL a service with all its processes; the keeper starts it again"
    example: ClassVar[dict[str, Any]] = {"service": "scheduler"}
    momentary: ClassVar[bool] = True

    def apply(self, bed: Bed, plan: Plan) -> None:
        """Kill, until nothing of it is left."""
        bed.substrate.kill(self.service)
