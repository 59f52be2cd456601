"""`airflow.pool`: a pool has fewer slots than a moment ago."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from airbed.errors import UsageError
from airbed.faults.model import Fault, Level, Plan, Target
from airbed.faults.postgres import ask, end_sessions, superuser

if TYPE_CHECKING:
    from airbed.bed import Bed


class PoolShrunk(Fault):
    """The pool gets another number of slots, in the metadata database, as by the UI; 0 lets nothing start any more.

    Instances that run keep their slots. At the end the pool has the slots that it had.
    """

    kind: ClassVar[str] = "airflow.pool"
    level: ClassVar[Level] = "platform"
    summary: ClassVar[str] = "an Airflow pool has fewer (or more) slots"
    example: ClassVar[dict[str, Any]] = {"pool": "db_etl", "slots": 1}

    pool: str = Field(description="the pool's name", min_length=1)
    slots: int = Field(ge=0, description="its slots from now on")

    def target(self) -> Target:
        """The pool."""
        return "pool", self.pool

    def check(self, bed: Bed) -> None:
        """Refuse a pool that is not there."""
        pools = [name for (name,) in ask(bed, "metadata", "SELECT pool FROM slot_pool ORDER BY 1")]
        if self.pool not in pools:
            raise UsageError(f"Airflow has no pool '{self.pool}'; it has: {', '.join(pools)}")

    def plan(self, bed: Bed, key: str) -> Plan:
        """The slots that it has."""
        return {
            "key": key,
            "slots": ask(bed, "metadata", "SELECT slots FROM slot_pool WHERE pool = %s", [self.pool])[0][0],
        }

    def apply(self, bed: Bed, plan: Plan) -> None:
        """Change the slots."""
        self._set(bed, self.slots, plan["key"])

    def undo(self, bed: Bed, plan: Plan) -> None:
        """Give it back the slots that it had."""
        end_sessions(bed, "metadata", plan["key"])
        self._set(bed, plan["slots"], plan["key"])

    def _set(self, bed: Bed, slots: int, name: str) -> None:
        # Not by the API: it may be down for another fault, and it takes the whole pool, description and all.
        with superuser(bed, "metadata", name) as session:
            session.execute("UPDATE slot_pool SET slots = %s WHERE pool = %s", [slots, self.pool])
