"""`postgres.statement-killed`: an administrator cancels a statement, or ends its session."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field, field_validator

from airbed.errors import UsageError
from airbed.faults import holder
from airbed.faults.model import Plan
from airbed.faults.postgres import PostgresFault, ask, ensure_table_exists

if TYPE_CHECKING:
    from airbed.bed import Bed

_NOT_CLOSED = ("missing )", "unbalanced parenthesis", "unterminated character set")


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

    statement: str = Field(
        "", description="regular expression as Postgres reads it (\\y: a word's edge), upper and lower case alike"
    )
    table: str | None = Field(None, description="schema.table: keep statements on it waiting until they are killed")
    mode: Literal["cancel", "terminate"] = Field("cancel", description="the statement only, or its whole session")
    times: int = Field(1, ge=1, description="statements to kill; the rest is left alone")

    @field_validator("statement")
    @classmethod
    def _may_be_an_expression(cls, value: str) -> str:
        """What no server is needed for; the rest is asked in `check`."""
        if re.search(r"(?<!\\)(\\\\)*\\b", value):
            raise ValueError(f"'{value}' never matches: \\b is a backspace to Postgres, a word's edge is \\y")
        try:
            re.compile(value)
        except re.error as error:
            # Python's own dialect: only what is not closed is a mistake in both.
            if error.msg.startswith(_NOT_CLOSED):
                raise ValueError(f"'{value}' is no regular expression: {error}") from None
        return value

    def check(self, bed: Bed) -> None:
        """Refuse an expression that the server does not take, and a table that is not there."""
        import psycopg

        try:
            ask(bed, self.service, "SELECT '' ~* %s", [self.statement])
        except psycopg.errors.InvalidRegularExpression as error:
            reason = " ".join(str(error).split()).removeprefix("invalid regular expression: ")
            raise UsageError(
                f"{self.kind}: statement: '{self.statement}' is no regular expression of Postgres: {reason}"
            ) from None
        except psycopg.DataError as error:
            raise UsageError(f"{self.kind}: statement: {' '.join(str(error).split())}") from None
        if self.table is not None:
            ensure_table_exists(bed, self.service, self.table)

    def apply(self, bed: Bed, plan: Plan) -> None:
        """Start the watcher; it watches when this returns."""
        holder.start(bed, plan["key"], "statements", self.model_dump())
