"""The fixture `faults`: break a part of the bed in a test; everything is put back at the test's end."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from airbed.bed import Bed
    from airbed.faults.ledger import Entry


class Faults:
    """The faults of one test. A kind and its parameters are those of `airbed fault kinds`."""

    def __init__(self, bed: Bed, owner: str) -> None:
        from airbed.faults.plane import FaultPlane

        self.owner = owner
        self._plane = FaultPlane(bed, owner)

    def inject(self, kind: str, /, **parameters: Any) -> Entry:
        """Bring a fault into force until the end of the test; it is there for a real client when this returns."""
        from airbed.faults.registry import make

        return self._plane.inject(make(kind, parameters))

    @contextmanager
    def injected(self, kind: str, /, **parameters: Any) -> Iterator[Entry]:
        """A fault in force for the time of a `with` block."""
        from airbed.faults.registry import make

        with self._plane.injected(make(kind, parameters)) as entry:
            yield entry

    def undo(self, entry: Entry) -> int | None:
        """Take a fault back before the end of the test; returns how often it hit (None: not countable)."""
        return self._plane.undo(entry.id).fired

    def fired(self, entry: Entry) -> int | None:
        """How often a fault has hit something so far; None when that cannot be counted."""
        return self._plane.fired(entry)

    def active(self) -> list[Entry]:
        """The faults of this test that are in force, oldest first."""
        return [each for each in self._plane.active() if each.owner == self.owner]

    def clear(self) -> None:
        """Take all faults of this test back."""
        self._plane.clear(owner=self.owner)


@pytest.fixture
def faults(request: pytest.FixtureRequest, bed: Bed) -> Iterator[Faults]:
    """Break parts of the bed: `faults.inject("s3.error", key="raw/*")`. Undone at the end, also of a failing test."""
    made = Faults(bed, f"test {request.node.nodeid}")
    yield made
    made.clear()
