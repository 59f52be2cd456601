"""`postgres.deadlock`: a task and another session wait for each other, and Postgres ends the task's transaction."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from airbed.errors import UsageError
from airbed.faults import holder
from airbed.faults.model import Plan
from airbed.faults.postgres import PostgresFault, ensure_table_exists

if TYPE_CHECKING:
    from airbed.bed import Bed


class Deadlock(PostgresFault):
    """Whoever next touches the table gets `ERROR: deadlock detected` (SQLSTATE 40P01) after deadlock_timeout (1 s).

    Any statement will do: it locks the table and then its index, the other session has them in the opposite order. The
    victim is always the client, never the other session. Clients that touch the table within the same 10 ms or so are
    all victims: gates decide who comes alone.
    """

    kind: ClassVar[str] = "postgres.deadlock"
    summary: ClassVar[str] = "the next transactions that touch a table end in a deadlock (40P01)"
    example: ClassVar[dict[str, Any]] = {"service": "warehouse", "table": "warehouse_events.events"}

    table: str = Field(description="schema.table; it must have an index", min_length=1)
    times: int = Field(1, ge=1, description="transactions to end; the rest is left alone")

    def check(self, bed: Bed) -> None:
        """Refuse a table that is not there, or has no index."""
        ensure_table_exists(bed, self.service, self.table)
        if self._index(bed) is None:
            raise UsageError(f"postgres.deadlock: {self.table} has no index, which it needs; name a table with one")

    def apply(self, bed: Bed, plan: Plan) -> None:
        """Start the holder; it has the first lock when this returns."""
        parameters = {"service": self.service, "table": self.table, "times": self.times, "index": self._index(bed)}
        holder.start(bed, plan["key"], "deadlock", parameters)

    def _index(self, bed: Bed) -> str | None:
        from airbed.faults.holder.deadlock import index_of

        return index_of(bed, self.service, self.table)
