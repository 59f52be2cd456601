"""`postgres.lock`: somebody else holds a lock on a table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from airbed.faults import holder
from airbed.faults.model import Plan
from airbed.faults.postgres import PostgresFault, ensure_table_exists

if TYPE_CHECKING:
    from airbed.bed import Bed

Mode = Literal[
    "ROW SHARE",
    "ROW EXCLUSIVE",
    "SHARE UPDATE EXCLUSIVE",
    "SHARE",
    "SHARE ROW EXCLUSIVE",
    "EXCLUSIVE",
    "ACCESS EXCLUSIVE",
]


class Lock(PostgresFault):
    """A transaction of another session that has the table locked and does not end.

    ACCESS EXCLUSIVE keeps everybody waiting, SHARE and above those who write. Clients wait without an error, until
    their own lock_timeout or statement_timeout (55P03, 57014).
    """

    kind: ClassVar[str] = "postgres.lock"
    summary: ClassVar[str] = "another session holds a lock on a table; statements wait for it"
    example: ClassVar[dict[str, Any]] = {"service": "warehouse", "table": "warehouse_events.events"}

    table: str = Field(description="schema.table", min_length=1)
    mode: Mode = Field("ACCESS EXCLUSIVE", description="Postgres' lock mode")

    def check(self, bed: Bed) -> None:
        """Refuse a table that is not there."""
        ensure_table_exists(bed, self.service, self.table)

    def apply(self, bed: Bed, plan: Plan) -> None:
        """Start the holder; it has the lock when this returns."""
        holder.start(bed, plan["key"], "lock", {"service": self.service, "table": self.table, "mode": self.mode})
