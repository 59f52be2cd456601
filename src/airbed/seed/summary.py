"""What a seeding function put where: exact numbers that tests assert on."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import date
from typing import Any


@dataclass(frozen=True)
class Summary:
    """The common part.

    `objects` counts S3 objects, `rows` the rows that a reader can read, `size` the bytes of all objects. `note` is one
    line for people: what is odd about the data, or that the pattern needs none.
    """

    pattern: str
    day: date
    seed: int
    objects: int = 0
    rows: int = 0
    size: int = 0
    note: str = ""

    def as_json(self) -> dict[str, Any]:
        """Everything as JSON values; dates as YYYY-MM-DD."""
        return {key: value.isoformat() if isinstance(value, date) else value for key, value in asdict(self).items()}
