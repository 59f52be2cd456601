"""The plays of a soak: what each was, where they are noted, and the table that they make."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median
from typing import Any


@dataclass(frozen=True)
class Play:
    """One play of a case: the verdict's word and digest, its seconds, whether beside busy processes."""

    incident: str
    case: str
    number: int
    word: str
    digest: str
    seconds: float
    loaded: bool
    trouble: str = ""


@dataclass
class Row:
    """One case. `words` and `digests` by how often they came; seconds of each play, the first with its control run."""

    incident: str
    case: str
    words: Counter[str] = field(default_factory=Counter)
    digests: Counter[str] = field(default_factory=Counter)
    quiet: list[float] = field(default_factory=list)
    loaded: list[float] = field(default_factory=list)
    first_trouble: str = ""

    @property
    def ok(self) -> bool:
        """Whether every play came out the same, as expected."""
        return set(self.words) == {"as expected"} and len(self.digests) == 1

    def add(self, play: Play) -> None:
        """Count one more play."""
        self.words[play.word] += 1
        self.digests[play.digest] += 1
        (self.loaded if play.loaded else self.quiet).append(play.seconds)
        self.first_trouble = self.first_trouble or play.trouble

    def as_json(self) -> dict[str, Any]:
        """All fields, and `ok`."""
        counted = {"words": dict(self.words), "digests": dict(self.digests)}
        return {"ok": self.ok, **vars(self), **counted}


def rows_of(plays: Iterable[Play]) -> list[Row]:
    """A row for each case, in the order of their first plays."""
    rows: dict[tuple[str, str], Row] = {}
    for play in plays:
        rows.setdefault((play.incident, play.case), Row(play.incident, play.case)).add(play)
    return list(rows.values())


class Notes:
    """The plays that have ended, a line of JSON each, in a file."""

    def __init__(self, file: Path, *, resume: bool) -> None:
        self._file = file
        file.parent.mkdir(parents=True, exist_ok=True)
        if not resume:
            file.unlink(missing_ok=True)

    def read(self) -> list[Play]:
        """All of them; a line that was cut by a kill is left out."""
        found = []
        for line in self._file.read_text().splitlines() if self._file.exists() else []:
            try:
                found.append(Play(**json.loads(line)))
            except (ValueError, TypeError):
                continue
        return found

    def add(self, play: Play) -> None:
        """Note one more."""
        with self._file.open("a") as file:
            file.write(json.dumps(asdict(play)) + "\n")


def table(rows: Sequence[Row]) -> Iterator[str]:
    """The rows as lines of equal columns."""
    width = max((len(f"{row.incident}/{row.case}") for row in rows), default=0) + 2
    yield f"{'incident':<{width}}{'plays':>6}{'as expected':>13}{'digests':>9}{'s quiet':>9}{'s loaded':>10}"
    for row in rows:
        plays, digests = sum(row.words.values()), len(row.digests)
        quiet, loaded = (f"{median(each):.1f}" if each else "-" for each in (row.quiet, row.loaded))
        name = f"{row.incident}/{row.case}"
        yield f"{name:<{width}}{plays:>6}{row.words['as expected']:>13}{digests:>9}{quiet:>9}{loaded:>10}"
