"""Scenarios for Python: what the pytest plugin and tests call."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from airbed.incidents.journal import Say
from airbed.incidents.load import load
from airbed.incidents.session import Session

if TYPE_CHECKING:
    from airbed.bed import Bed
    from airbed.incidents.verdict import Verdict


def run_file(
    bed: Bed,
    path: Path | str,
    *,
    case: str | None = None,
    without: str | None = None,
    control: bool = True,
    out: Path | None = None,
    on_progress: Say = lambda line: None,
) -> list[Verdict]:
    """Play the cases of a scenario file (or one of them) on a bed, and return their verdicts.

    `without` leaves a fault out of the cases that have it, `control` false the plays without faults; `out` is the
    folder for journals, outcomes and logs. The bed is cleared before each play. Raises UsageError for a file, a case or
    a fault that is wrong, before anything is started.
    """
    file = Path(path).resolve()
    session = Session([(load(file), file)], cases=[case] if case else None, without=without, control=control)
    return list(session.play(bed, out, repeat=1, keep_going=True, say=on_progress))
