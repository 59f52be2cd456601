"""tcp.slow-close."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from airbed.faults.exchange import Exchange
from airbed.faults.tcp import PROOF_WITHIN, ToxicFault

if TYPE_CHECKING:
    from airbed.bed import Bed


class TcpSlowClose(ToxicFault):
    """The end of a connection arrives late: the client waits for a server that has gone, or the server for the client.

    `upstream` keeps the service's side open after the client left: its connections pile up. On new and present
    connections alike (Toxiproxy's `slow_close`); `undo` leaves open what it was holding back until either side writes.
    """

    kind: ClassVar[str] = "tcp.slow-close"
    summary: ClassVar[str] = "the end of a connection to a service is passed on late"
    example: ClassVar[dict[str, Any]] = {"service": "shard-2", "delay_ms": 3000, "direction": "upstream"}

    delay_ms: int = Field(gt=0, le=3_600_000, description="milliseconds until the end is passed on")

    def toxics(self) -> list[tuple[str, dict[str, int], float]]:
        """One toxic."""
        return [("slow_close", {"delay": self.delay_ms}, 1)]

    def is_met(self, bed: Bed) -> Exchange | None:
        """Downstream: a client sees the service's end late. Upstream no client sees anything."""
        if self.direction == "upstream":
            return None
        least = min(self.delay_ms / 1000, PROOF_WITHIN)
        went = self.hang_up(bed, patience=least + 1)
        return None if went.seconds >= least else went
