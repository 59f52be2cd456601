"""tcp.cut."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from airbed.faults.exchange import LARGEST, Exchange
from airbed.faults.tcp import ToxicFault

if TYPE_CHECKING:
    from airbed.bed import Bed


class TcpCut(ToxicFault):
    """A connection ends regularly (FIN) when so many bytes have passed: the client sees the end too early.

    Counted for each connection, from the moment of the fault on those that were there (Toxiproxy's `limit_data`).
    """

    kind: ClassVar[str] = "tcp.cut"
    summary: ClassVar[str] = "connections to a service end after so many bytes"
    example: ClassVar[dict[str, Any]] = {"service": "s3", "after_bytes": 10000}

    after_bytes: int = Field(ge=0, description="bytes of the direction that still pass")

    def toxics(self) -> list[tuple[str, dict[str, int], float]]:
        """One toxic."""
        return [("limit_data", {"bytes": self.after_bytes}, 1)]

    def is_met(self, bed: Bed) -> Exchange | None:
        """A client loses its connection; a limit that no talk of ours reaches is taken as met."""
        went = self.talk(bed, self.after_bytes + 1)
        return went if went.error is None and self.after_bytes < LARGEST else None
