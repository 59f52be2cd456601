"""Take back what a runner that was killed, or somebody by hand, left injected."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from airbed.errors import AirbedError
from airbed.faults.ledger import BY_HAND, Entry, Ledger
from airbed.faults.owner import lives

if TYPE_CHECKING:
    from airbed.bed import Bed
    from airbed.faults.plane import Undone


def is_held(entry: Entry) -> bool:
    """Whether a process that lives holds a fault, and will take it back or is about to finish adding it.

    One whose undo failed is held by nobody: its process has tried, and goes on to something else.
    """
    return (
        entry.state != "stuck"
        and lives(entry.owner_pid, entry.owner_start)
        and (entry.owner != BY_HAND or entry.state in ("arming", "undoing"))
    )


def is_left_behind(entry: Entry) -> bool:
    """Whether nobody will take a fault back by itself: its runner is gone, or somebody's command ended half-way.

    A fault that was added by hand and is in force is no leftover: it stays until somebody clears it.
    """
    return not is_held(entry) and not (entry.owner == BY_HAND and entry.state == "active")


def recover(bed: Bed, *, by_hand: bool = False) -> list[Undone]:
    """Take back what was left behind, and with `by_hand` also what was added by hand; never what a living runner holds.

    Unavailable when some of it cannot be taken back.
    """
    entries = Ledger(bed.folder).entries()
    wanted = [each.id for each in entries if is_left_behind(each) or (by_hand and not is_held(each))]
    if not wanted:
        return []
    from airbed.faults.plane import FaultPlane

    return FaultPlane(bed).clear(only=wanted)


def recover_what_can_be(bed: Bed, say: Callable[[str], None]) -> None:
    """Take back everything that no living runner holds, by hand or left behind; what does not work is said only."""
    try:
        undone = recover(bed, by_hand=True)
    except AirbedError as error:
        say(str(error))
        return
    for each in undone:
        say(f"put back {each.entry.id}: {each.entry.kind} {each.entry.describe()}".rstrip())
