"""tcp.latency."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from airbed.faults.exchange import Exchange
from airbed.faults.tcp import PROOF_WITHIN, ToxicFault

if TYPE_CHECKING:
    from airbed.bed import Bed


class TcpLatency(ToxicFault):
    """Every piece of data arrives later. On new and present connections alike (Toxiproxy's `latency`)."""

    kind: ClassVar[str] = "tcp.latency"
    summary: ClassVar[str] = "data between tasks and a service arrives later"
    example: ClassVar[dict[str, Any]] = {"service": "warehouse", "latency_ms": 200, "jitter_ms": 50}

    latency_ms: int = Field(gt=0, le=600_000, description="milliseconds that data is held back")
    jitter_ms: int = Field(default=0, ge=0, le=600_000, description="milliseconds more or less, at random")

    def toxics(self) -> list[tuple[str, dict[str, int], float]]:
        """One toxic."""
        return [("latency", {"latency": self.latency_ms, "jitter": self.jitter_ms}, 1)]

    def is_met(self, bed: Bed) -> Exchange | None:
        """A round trip takes at least that long; of a long one the first seconds tell enough."""
        least = min(max(0, self.latency_ms - self.jitter_ms) / 1000, PROOF_WITHIN)
        went = self.talk(bed, patience=least + 1)
        return None if went.seconds >= least else went
