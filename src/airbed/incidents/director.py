"""What the director says of a case: its journal, and whether it was the same one all the time."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from airbed.errors import AirbedError

if TYPE_CHECKING:
    from airbed.bed import Bed


def director_seq(bed: Bed) -> int:
    """The number of its last journal entry; 0 when it has none."""
    last = bed.director.journal(limit=1)
    return int(last[-1]["seq"]) if last else 0


def director_restarted(bed: Bed, since: datetime) -> bool:
    """Whether its process was started after a moment: gates and counts of before may be lost."""
    try:
        entries = bed.director.journal()
    except AirbedError:
        return True
    return any(each["kind"] == "started" and each["time"] > since.timestamp() for each in entries)


def write_director_journal(bed: Bed, after: int, folder: Path) -> None:
    """Write what it saw since an entry as JSON Lines to director.jsonl; nothing when it does not answer."""
    try:
        entries = bed.director.journal(after=after)
    except AirbedError:
        return
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "director.jsonl").write_text("".join(json.dumps(each) + "\n" for each in entries))
