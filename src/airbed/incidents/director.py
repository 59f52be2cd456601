"""What the director says of a case: its journal, and whether it was the same one all the time."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airbed.errors import AirbedError

if TYPE_CHECKING:
    from airbed.bed import Bed


def last_seq(bed: Bed) -> int:
    """The number of its last journal entry; 0 when it has none."""
    last = bed.director.journal(limit=1)
    return int(last[-1]["seq"]) if last else 0


def entries_after(bed: Bed, seq: int) -> list[dict[str, Any]] | None:
    """What it saw since an entry; None when it does not answer."""
    try:
        return bed.director.journal(after=seq)
    except AirbedError:
        return None


def was_restarted(entries: Sequence[dict[str, Any]] | None) -> bool:
    """Whether its process began anew among these entries: who waited at a gate then was let go."""
    return entries is None or any(each["kind"] == "started" for each in entries)


def write(entries: Sequence[dict[str, Any]], folder: Path) -> None:
    """Write entries as JSON Lines to director.jsonl."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "director.jsonl").write_text("".join(json.dumps(each) + "\n" for each in entries))
