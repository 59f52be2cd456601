"""`postgres.statement-killed`: an administrator cancels a statement, or ends its session."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field, field_validator

from airbed.faults import holder
from airbed.faults.model import Plan
from airbed.faults.postgres import PostgresFault, ensure_table_exists

if TYPE_CHECKING:
    from airbed.bed import Bed


class StatementKilled(PostgresFault):
    """Statements of the tasks' role are cancelled (`canceling statement due to user request`, SQLSTATE 57014).

    Mode `terminate` ends the session instead (57P01, `terminating connection due to administrator command`). The
    statements are looked for every 10 ms; give `table` to meet quick ones too: the table is locked until the last of
    them has been killed.
    """

    kind: ClassVar[str] = "postgres.statement-killed"
    summary: ClassVar[str] = "statements that match are cancelled (57014) or their sessions ended (57P01)"
    example: ClassVar[dict[str, Any]] = {
        "service": "warehouse",
        "statement": "^copy events",
        "table": "warehouse_events.events",
    }

    statement: str = Field("", description="regular expression for the statement, upper and lower case alike")
    table: str | None = Field(None, description="schema.table: keep statements on it waiting until they are killed")
    mode: Literal["cancel", "terminate"] = Field("cancel", description="the statement only, or its whole session")
    times: int = Field(1, ge=1, description="statements to kill; the rest is left alone")

    @field_validator("statement")
    @classmethod
    def _is_an_expression(cls, value: str) -> str:
        try:
            re.compile(value)
        except re.error as error:
            raise ValueError(f"'{value}' is no regular expression: {error}") from None
        return value

    def check(self, bed: Bed) -> None:
        """Refuse a table that is not there."""
        if self.table is None:
            super().check(bed)
        else:
            ensure_table_exists(bed, self.service, self.table)

    def apply(self, bed: Bed, plan: Plan) -> None:
        """Start the watcher; it watches when this returns."""
        holder.start(bed, plan["key"], "statements", self.model_dump())
