"""tcp.timeout."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from airbed.faults.exchange import Exchange
from airbed.faults.tcp import ToxicFault

if TYPE_CHECKING:
    from airbed.bed import Bed

# Seconds a client waits for an answer that never comes.
ENOUGH = 1.5


class TcpTimeout(ToxicFault):
    """No data passes, and the connection ends after a while or never; no packet says why.

    On new and present connections alike; `undo` ends those that had it (Toxiproxy's `timeout`).
    """

    kind: ClassVar[str] = "tcp.timeout"
    summary: ClassVar[str] = "connections to a service are accepted and carry nothing"
    example: ClassVar[dict[str, Any]] = {"service": "shard-1", "timeout_ms": 5000}

    timeout_ms: int = Field(
        default=0, ge=0, le=3_600_000, description="milliseconds until the connection is closed; 0: never"
    )

    def toxics(self) -> list[tuple[str, dict[str, int], float]]:
        """One toxic."""
        return [("timeout", {"timeout": self.timeout_ms}, 1)]

    def is_met(self, bed: Bed) -> Exchange | None:
        """A client gets no answer."""
        went = self.talk(bed, patience=ENOUGH)
        return went if went.error is None else None
