"""tcp.reset."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field, model_validator

from airbed.faults.exchange import LARGEST, Exchange
from airbed.faults.tcp import PROOF_WITHIN, ToxicFault

if TYPE_CHECKING:
    from airbed.bed import Bed


class TcpReset(ToxicFault):
    """Connections end with a reset (RST) in the middle of the talk: "connection reset by peer".

    New connections are reset, `after_ms` after their first data or when `after_bytes` have passed. A connection that
    was there before ends at the same moment, but regularly (FIN): Toxiproxy decides the manner when it is made.
    """

    kind: ClassVar[str] = "tcp.reset"
    summary: ClassVar[str] = "connections to a service are reset, after a time or after so many bytes"
    example: ClassVar[dict[str, Any]] = {"service": "s3", "after_bytes": 20000}

    after_ms: int | None = Field(
        default=None, ge=0, le=600_000, description="milliseconds after the first data (default: at once)"
    )
    after_bytes: int | None = Field(
        default=None, gt=0, description="bytes of the direction that still pass; excludes after_ms"
    )

    @model_validator(mode="after")
    def _one_of_both(self) -> TcpReset:
        if self.after_ms is not None and self.after_bytes is not None:
            raise ValueError("after_ms and after_bytes exclude each other: leave one out")
        return self

    def toxics(self) -> list[tuple[str, dict[str, int], float]]:
        """By bytes: `limit_data` ends the connection, a `reset_peer` that hits nobody makes its end a reset."""
        if self.after_bytes is not None:
            return [("limit_data", {"bytes": self.after_bytes}, 1), ("reset_peer", {"timeout": 0}, 0)]
        return [("reset_peer", {"timeout": self.after_ms or 0}, 1)]

    def is_met(self, bed: Bed) -> Exchange | None:
        """A client loses its connection; a limit that no talk of ours reaches is taken as met.

        Until a late reset nothing passes: a client that has no answer after some seconds tells enough.
        """
        size, delay = self.after_bytes or 0, (self.after_ms or 0) / 1000
        patience = delay + 5 if delay <= PROOF_WITHIN else PROOF_WITHIN
        went = self.talk(bed, size + 1 if size else 0, patience=patience)
        return went if went.error is None and size < LARGEST else None
