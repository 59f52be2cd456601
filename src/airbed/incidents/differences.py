"""One way in which what was seen is not what must be."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["outcomes", "effects", "never fired", "never came", "invariant", "control", "step", "time"]


@dataclass(frozen=True)
class Difference:
    """`where` is the line of the file it is about, such as `expect.tasks.work.outcomes`; `text` what is otherwise."""

    kind: Kind
    where: str
    text: str

    def __str__(self) -> str:
        return f"{self.where}: {self.text}"


def differs(where: str, text: str, kind: Kind = "outcomes") -> Difference:
    """A difference of a line of `expect`."""
    return Difference(kind, f"expect.{where}", text)
