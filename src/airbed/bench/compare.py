"""Two results files side by side."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Change:
    """One figure then and now (medians); `ratio` is now divided by then, None where then was 0."""

    part: str
    name: str
    subject: str
    detail: str
    unit: str
    then: float
    now: float

    @property
    def ratio(self) -> float | None:
        """Now divided by then."""
        return self.now / self.then if self.then else None


def changes(then: dict[str, Any], now: dict[str, Any]) -> list[Change]:
    """Every figure that both have, in today's order."""
    before = {_key(each): each for each in then["figures"]}
    found = []
    for each in now["figures"]:
        old = before.get(_key(each))
        if old is not None and old["unit"] == each["unit"]:
            found.append(Change(*_key(each), each["unit"], float(old["median"]), float(each["median"])))
    return found


def differences(then: dict[str, Any], now: dict[str, Any]) -> list[str]:
    """What makes the two hard to compare: another machine, another Python, another load; a line each."""
    said = []
    for key, value in now["machine"].items():
        if key not in then["machine"]:
            continue
        old = then["machine"][key]
        if key in ("load", "load_after"):
            if abs(float(old) - float(value)) > 1:
                said.append(f"{key.replace('_', ' ')}: was {old}, is {value}")
        elif old != value:
            said.append(f"{key}: was {old}, is {value}")
    return said


def _key(figure: dict[str, Any]) -> tuple[str, str, str, str]:
    return (figure["part"], figure["name"], figure["subject"], figure.get("detail", ""))
