"""process.pause."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from airbed.errors import Unavailable
from airbed.faults.services import ServiceFault, bring_back, refuse_while_armed

if TYPE_CHECKING:
    from airbed.bed import Bed
    from airbed.faults.model import Plan


class ProcessPause(ServiceFault):
    """A service with its whole process tree is frozen (SIGSTOP): connections are accepted and nobody answers."""

    kind: ClassVar[str] = "process.pause"
    summary: ClassVar[str] = "freeze a service with all its processes"
    example: ClassVar[dict[str, Any]] = {"service": "s3"}

    def check(self, bed: Bed) -> None:
        """Not the director of a running scenario."""
        refuse_while_armed(bed, self.service)
        super().check(bed)

    def apply(self, bed: Bed, plan: Plan) -> None:
        """Freeze it, until none of its processes runs."""
        bed.substrate.pause(self.service)

    def confirm(self, bed: Bed, plan: Plan) -> None:
        """All of it stands still."""
        state = bed.substrate.state(self.service)
        if state != "paused":
            raise Unavailable(f"{self.service} was paused and is {state}")

    def undo(self, bed: Bed, plan: Plan) -> None:
        """Let it go on, and wait until it does its work."""
        bring_back(bed, self.service)
