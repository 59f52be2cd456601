"""A scenario's own statements: which of them began stands in the ledger before they run, so that each is undone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from airbed.errors import Unavailable
from airbed.faults.ledger import Ledger
from airbed.faults.model import Plan

if TYPE_CHECKING:
    from airbed.bed import Bed

Statement = tuple[str, str, str | None]  # database, statement, and the statement that undoes it


def run_statements(bed: Bed, plan: Plan, statements: Sequence[Statement]) -> None:
    """Run them in their order; Unavailable with the database's words for the first that is refused.

    `plan["sql"]` counts how many have begun, and how many are done.
    """
    import psycopg

    for number, (database, statement, _) in enumerate(statements):
        _note(bed, plan, begun=number + 1, done=number)
        try:
            with bed.database(database) as connection:
                connection.execute(statement.encode())
        except psycopg.Error as error:
            reason = " ".join(str(error).split())
            raise Unavailable(f"given.sql: {database} refuses {statement!r}: {reason}") from None
        _note(bed, plan, begun=number + 1, done=number + 1)


def undo_statements(bed: Bed, plan: Plan, statements: Sequence[Statement]) -> None:
    """Run the undo of each that has begun, the last first, and each once, also when this is done again after an error.

    Of the one that was refused or cut off it is not known whether there is anything to undo: that may be refused.
    """
    import psycopg

    began = plan.get("sql") or {"begun": 0, "done": 0}
    done = began["done"]
    for number in reversed(range(began["begun"])):
        database, _, undo = statements[number]
        if undo is not None:
            try:
                with bed.database(database) as connection:
                    connection.execute(undo.encode())
            except psycopg.OperationalError:
                raise
            except psycopg.Error:
                if number < done:
                    raise
        _note(bed, plan, begun=number, done=min(done, number))


def _note(bed: Bed, plan: Plan, *, begun: int, done: int) -> None:
    """Write how far the statements are into the plan, on the disk too: this process may be killed at any moment."""
    plan["sql"] = {"begun": begun, "done": done}
    ledger = Ledger(bed.folder)
    for entry in ledger.entries():
        if plan["key"] == f"airbed-{entry.id}":
            entry.plan = plan
            ledger.update(entry)
