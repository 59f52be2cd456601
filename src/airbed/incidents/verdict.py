"""The verdict on a case: as expected, different, or inconclusive."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from airbed.incidents.differences import Difference

Word = Literal["as expected", "different", "inconclusive"]
EXIT_CODES: dict[Word, int] = {"as expected": 0, "different": 1, "inconclusive": 3}


@dataclass(frozen=True)
class Verdict:
    """What one case came to.

    `differences` say why it is different, `doubts` why it is inconclusive, `notes` what else is worth knowing (a fault
    that hit without effect). `digest` is the same for every play with the same outcomes. `seconds` include the control
    run.
    """

    scenario: str
    case: str
    word: Word
    seconds: float
    differences: tuple[Difference, ...] = ()
    doubts: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    digest: str = ""
    folder: Path | None = None

    @property
    def ok(self) -> bool:
        """Whether it is as expected."""
        return self.word == "as expected"

    @property
    def exit_code(self) -> int:
        """0, 1 or 3."""
        return EXIT_CODES[self.word]

    @property
    def name(self) -> str:
        """`shard-down/as_taught`."""
        return f"{self.scenario}/{self.case}"

    def lines(self) -> Iterator[str]:
        """The verdict for people: one line, then one for each difference, doubt and note."""
        yield f"{self.name}: {self.word} in {self.seconds:.1f} s"
        for each in (*self.differences, *self.doubts):
            yield f"  {each}"
        for note in self.notes:
            yield f"  note: {note}"
        if self.folder is not None and not self.ok:
            yield f"  journal, outcomes and logs: {self.folder}"

    def to_json(self) -> dict[str, Any]:
        """All fields; each difference as `{"kind", "where", "text"}`."""
        return {
            "scenario": self.scenario,
            "case": self.case,
            "verdict": self.word,
            "seconds": round(self.seconds, 1),
            "differences": [{"kind": each.kind, "where": each.where, "text": each.text} for each in self.differences],
            "doubts": list(self.doubts),
            "notes": list(self.notes),
            "digest": self.digest,
            "folder": str(self.folder) if self.folder else None,
        }


def word_of(differences: Sequence[Difference], doubts: Sequence[str]) -> Word:
    """The verdict's word: what cannot be judged is not called different."""
    if doubts:
        return "inconclusive"
    return "different" if differences else "as expected"


@dataclass
class Account:
    """What is gathered for a verdict on the way."""

    differences: list[Difference] = field(default_factory=list)
    doubts: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
