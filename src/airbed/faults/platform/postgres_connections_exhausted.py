"""`postgres.connections-exhausted`: somebody else holds all connections of a database."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from airbed.faults import holder
from airbed.faults.model import Plan
from airbed.faults.postgres import PostgresFault

if TYPE_CHECKING:
    from airbed.bed import Bed


class ConnectionsExhausted(PostgresFault):
    """Real connections, held by a process of the bed under the role of the tasks.

    A new client meets what it meets in production: `FATAL: remaining connection slots are reserved for roles with the
    SUPERUSER attribute` (SQLSTATE 53300). Connections that clients have stay, and are taken as soon as they are closed.
    Those reserved for superusers (3) are left alone: by one of them the fault is undone.
    """

    kind: ClassVar[str] = "postgres.connections-exhausted"
    summary: ClassVar[str] = "all connections of a database are in use; new ones are refused (53300)"
    example: ClassVar[dict[str, Any]] = {"service": "shard-1"}

    leave: int = Field(0, ge=0, le=50, description="connections that clients can still have, at one time")

    def apply(self, bed: Bed, plan: Plan) -> None:
        """Start the holder; it holds them all when this returns."""
        holder.start(bed, plan["key"], "connections", {"service": self.service, "leave": self.leave})

    def fired(self, bed: Bed, plan: Plan) -> int | None:
        """How many logins the server has refused, the holder's own left out; None where some may still get in."""
        if self.leave:
            return None
        refused = self.log_lines(bed, plan, "remaining connection slots are reserved", "too many clients already")
        return max(0, refused - int(holder.told(bed, plan["key"]).get("refused", 0)))
