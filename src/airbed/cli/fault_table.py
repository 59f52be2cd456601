"""Injected faults as a table and as JSON; imports nothing slow, because `airbed status` shows it too."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from airbed.cli.common import output
from airbed.faults.ledger import BY_HAND, Ledger
from airbed.faults.recovery import is_held, is_left_behind

if TYPE_CHECKING:
    from airbed.bed import Bed
    from airbed.faults.ledger import Entry


def as_rows(entries: Sequence[Entry]) -> list[dict[str, Any]]:
    """For --json: everything but the undo's own plan, and whether nobody will take the fault back by itself."""
    rows = [{**asdict(each), "left_behind": is_left_behind(each)} for each in entries]
    for row in rows:
        del row["plan"]
    return rows


def print_faults(entries: Sequence[Entry]) -> None:
    """One red line each, and under it why it is stuck."""
    from rich.markup import escape

    for each in entries:
        parameters = f" {each.describe()}" if each.parameters else ""
        output.print(
            f"[red]{each.id}  {each.kind}{escape(parameters)}[/red]"
            f"  since {each.since[:19].replace('T', ' ')} UTC, {escape(_owner(each))}, {_state(each)}",
            soft_wrap=True,
        )
        if each.problem:
            output.print(f"    [red]not put back: {escape(each.problem)}[/red]", soft_wrap=True)


def prove_again(bed: Bed) -> None:
    """Where a scenario could not prove the bed whole again, try again; Unavailable when it still is not."""
    if (bed.folder / "broken").exists() and not Ledger(bed.folder).entries():
        from airbed.incidents.steady import prove

        prove(bed)


def _owner(entry: Entry) -> str:
    if entry.owner == BY_HAND or not is_left_behind(entry):
        return entry.owner
    return f"{entry.owner} (its process {entry.owner_pid} is gone)"


def _state(entry: Entry) -> str:
    if entry.state in ("active", "stuck") or is_held(entry):
        return entry.state
    return {"arming": "half applied", "undoing": "half undone"}[entry.state]
