"""process.restart."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from airbed.faults.services import ServiceFault, bring_back

if TYPE_CHECKING:
    from airbed.bed import Bed
    from airbed.faults.model import Plan


class ProcessRestart(ServiceFault):
    """A service is stopped in order and started again, as by an upgrade; done when it does its work."""

    kind: ClassVar[str] = "process.restart"
    summary: ClassVar[str] = "stop a service in order and start it again"
    example: ClassVar[dict[str, Any]] = {"service": "warehouse"}
    momentary: ClassVar[bool] = True

    def apply(self, bed: Bed, plan: Plan) -> None:
        """Stop, then start and wait."""
        bed.substrate.stop(self.service)
        bring_back(bed, self.service)

    def undo(self, bed: Bed, plan: Plan) -> None:
        """Only of one that was interrupted between stop and start."""
        bring_back(bed, self.service)
