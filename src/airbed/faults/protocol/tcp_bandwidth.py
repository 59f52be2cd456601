"""tcp.bandwidth."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from airbed.faults.exchange import LARGEST, Exchange
from airbed.faults.tcp import ToxicFault

if TYPE_CHECKING:
    from airbed.bed import Bed


class TcpBandwidth(ToxicFault):
    """Each connection carries so much a second at most. On new and present ones alike (Toxiproxy's `bandwidth`)."""

    kind: ClassVar[str] = "tcp.bandwidth"
    summary: ClassVar[str] = "a connection to a service carries so many KB a second at most"
    example: ClassVar[dict[str, Any]] = {"service": "s3", "rate_kb": 200}

    rate_kb: int = Field(gt=0, le=1_000_000, description="KB (1000 bytes) a second and connection")

    def toxics(self) -> list[tuple[str, dict[str, int], float]]:
        """One toxic."""
        return [("bandwidth", {"rate": self.rate_kb}, 1)]

    def is_met(self, bed: Bed) -> Exchange | None:
        """What takes half a second at that rate takes at least half of it."""
        size = min(LARGEST, self.rate_kb * 500)
        least = size / (self.rate_kb * 1000) / 2
        went = self.talk(bed, size, patience=4 * least + 2)
        return None if went.seconds >= least else went
