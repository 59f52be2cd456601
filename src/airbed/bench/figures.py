"""What was measured: values by part, name and subject, their medians and ranges, and the ratios between subjects."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

OURS = "airbed"


@dataclass
class Figure:
    """One measured thing; a value for each time it was measured.

    `subject` is who was measured: airbed, or a peer. `detail` is the service that the value is a share of ("": it is no
    share). `size` is the number of instances, for what is drawn over it.
    """

    part: str
    name: str
    unit: str
    subject: str = OURS
    detail: str = ""
    size: int | None = None
    values: list[float] = field(default_factory=list)

    @property
    def median(self) -> float:
        """The middle value."""
        return statistics.median(self.values)

    @property
    def low(self) -> float:
        """The least value."""
        return min(self.values)

    @property
    def high(self) -> float:
        """The greatest value."""
        return max(self.values)

    def to_json(self) -> dict[str, Any]:
        """All fields, and median, low and high."""
        return {**vars(self), "median": self.median, "low": self.low, "high": self.high}


@dataclass(frozen=True)
class Ratio:
    """Our median divided by a peer's: 0.5 is half of the peer's seconds, or half of its rate."""

    part: str
    name: str
    unit: str
    peer: str
    ratio: float


class Figures:
    """All figures of a session, in the order in which they were first measured."""

    def __init__(self) -> None:
        self._by_key: dict[tuple[str, str, str, str], Figure] = {}

    def add(
        self,
        part: str,
        name: str,
        value: float,
        unit: str,
        *,
        subject: str = OURS,
        detail: str = "",
        size: int | None = None,
    ) -> None:
        """One more value of a figure."""
        key = (part, name, subject, detail)
        self._by_key.setdefault(key, Figure(part, name, unit, subject, detail, size)).values.append(value)

    def add_shares(self, part: str, name: str, shares: dict[str, float], unit: str, *, subject: str = OURS) -> None:
        """One more value of each service's share."""
        for detail, value in shares.items():
            self.add(part, name, value, unit, subject=subject, detail=detail)

    def __iter__(self) -> Iterator[Figure]:
        return iter(self._by_key.values())

    def find(self, part: str, name: str, subject: str = OURS, detail: str = "") -> Figure | None:
        """One figure, None when it was not measured."""
        return self._by_key.get((part, name, subject, detail))

    def ratios(self) -> list[Ratio]:
        """Ours to each peer's, for every figure that both have."""
        found = []
        for each in self:
            ours = self.find(each.part, each.name)
            if each.subject == OURS or each.detail or ours is None or not each.median:
                continue
            found.append(Ratio(each.part, each.name, each.unit, each.subject, ours.median / each.median))
        return found


def line_through(points: Sequence[tuple[float, float]]) -> tuple[float, float] | None:
    """Slope and start of the line with the least squared distance to the points; None for fewer than two places."""
    if len({x for x, _ in points}) < 2:
        return None
    slope, start = statistics.linear_regression([x for x, _ in points], [y for _, y in points])
    return slope, start


def written(value: float, unit: str) -> str:
    """A value with as many digits as mean something: `12.3 s`, `0.281 s`, `933 MB`, `12,345 /s`."""
    size = abs(value)
    digits = 0 if size >= 100 else 1 if size >= 10 else 2 if size >= 1 else 3
    return f"{value:,.{digits}f} {unit}".rstrip()
