"""Gate counting under races: whatever the order of arrivals, repeats, openings and restarts."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from airbed.director.gates import Gate, GateBook
from airbed.director.journal import Journal
from airbed.director.selection import Instance

GATE = {"name": "g", "dag_id": "d", "task_id": "t"}
INDEXES = st.integers(0, 7)


def instance(map_index: int) -> Instance:
    """d.t[map_index] of run r, first try."""
    return Instance("d", "r", "t", map_index, 1)


class GateMachine(RuleBasedStateMachine):
    """One gate against a plain list of who arrived first, with a restart of the director at any moment."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.journal = Journal(Path(self.folder.name) / "journal.jsonl")
        self.book = GateBook(Path(self.folder.name) / "gates.json", self.journal)
        self.book.add(Gate.parse(GATE))
        self.order: list[int] = []
        self.let_through: int | None = 0

    def teardown(self) -> None:
        """Leave nothing behind."""
        self.folder.cleanup()

    @rule(index=INDEXES)
    def arrive(self, index: int) -> None:
        """A task arrives, or asks again."""
        self.book.arrive("g", instance(index))
        if index not in self.order:
            self.order.append(index)

    @rule(count=st.none() | st.integers(1, 9))
    def open(self, count: int | None) -> None:
        """The gate is opened, some more or for all."""
        self.book.open("g", count)
        if self.let_through is not None:
            self.let_through = None if count is None else max(self.let_through, count)

    @precondition(lambda self: self.order)
    @rule()
    def restart(self) -> None:
        """The director is killed and starts again."""
        self.journal = Journal(Path(self.folder.name) / "journal.jsonl")
        self.book = GateBook(Path(self.folder.name) / "gates.json", self.journal)

    @invariant()
    def positions_and_passing_are_as_they_should_be(self) -> None:
        """Each is counted once, in its order, and exactly the first ones may go on."""
        (gate,) = self.book.all()
        assert [each.map_index for each in gate.arrived] == self.order
        free = len(self.order) if self.let_through is None else self.let_through
        assert [index for index in self.order if gate.passes(instance(index))] == self.order[:free]
        noted = [entry["position"] for entry in self.journal.entries(kind="gate-arrived")]
        assert noted == list(range(1, len(self.order) + 1))


GateMachine.TestCase.settings = settings(max_examples=40, stateful_step_count=20, deadline=None)
TestGateMachine = GateMachine.TestCase


@given(arrivals=st.lists(INDEXES, min_size=1, max_size=30), openings=st.lists(st.integers(1, 8), max_size=4))
@settings(max_examples=60, deadline=None)
def test_waiters_that_race_are_let_through_exactly(arrivals: list[int], openings: list[int]) -> None:
    async def race(folder: Path) -> None:
        book = GateBook(folder / "gates.json", Journal())
        book.add(Gate.parse(GATE))
        through: list[int] = []

        async def task(index: int) -> None:
            book.arrive("g", instance(index))
            await asyncio.sleep(0)
            while not await book.wait("g", instance(index), 0.5):
                pass
            through.append(index)

        tasks = [asyncio.create_task(task(index)) for index in arrivals]
        for count in openings:
            book.open("g", count)
            await asyncio.sleep(0)
        for _ in range(20):
            await asyncio.sleep(0)
        order = list(dict.fromkeys(arrivals))
        allowed = order[: max(openings, default=0)]
        assert sorted(through) == sorted(index for index in arrivals if index in allowed)
        book.open("g")
        await asyncio.gather(*tasks)
        assert sorted(through) == sorted(arrivals)

    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(race(Path(folder)))
