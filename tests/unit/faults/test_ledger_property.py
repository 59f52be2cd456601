"""The ledger against a plain model, and under writers in other threads and processes: nothing lost, no id twice."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from airbed.faults.ledger import Book, Entry, Ledger
from airbed.records import from_json, to_json

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
OBJECTS = st.dictionaries(st.text(), JSON, max_size=3)
ENTRIES = st.builds(
    Entry,
    id=st.integers(1).map(lambda number: f"f{number}"),
    kind=st.text(),
    parameters=OBJECTS,
    plan=OBJECTS,
    owner=st.text(),
    owner_pid=st.integers(1),
    state=st.sampled_from(["arming", "active", "undoing", "stuck"]),
    problem=st.none() | st.text(),
    since=st.text(),
)


@given(st.builds(Book, last=st.integers(0), entries=st.lists(ENTRIES, max_size=4)))
def test_what_is_written_is_read(book: Book) -> None:
    assert from_json(Book, to_json(book)) == book


class AgainstAModel(RuleBasedStateMachine):
    """Adds, updates and removes in any order; each step sees the disk through a ledger of its own."""

    entries = Bundle("entries")

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.expected: dict[str, Entry] = {}
        self.used: set[str] = set()

    def teardown(self) -> None:
        self.folder.cleanup()

    @property
    def ledger(self) -> Ledger:
        return Ledger(Path(self.folder.name))

    @rule(target=entries, parameters=OBJECTS, owner=st.text())
    def add(self, parameters: dict[str, Any], owner: str) -> str:
        entry = self.ledger.add(lambda key: Entry(key, "a.kind", parameters, {"key": key}, owner, 1))
        assert entry.id not in self.used
        self.used.add(entry.id)
        self.expected[entry.id] = entry
        return entry.id

    @rule(key=entries, state=st.sampled_from(["active", "undoing", "stuck"]), problem=st.none() | st.text())
    def update(self, key: str, state: Any, problem: str | None) -> None:
        if key in self.expected:
            entry = self.expected[key]
            entry.state, entry.problem = state, problem
            self.ledger.update(entry)

    @rule(key=consumes(entries))
    def remove(self, key: str) -> None:
        self.ledger.remove(key)
        self.ledger.remove(key)
        self.expected.pop(key, None)

    @rule()
    def refuse(self) -> None:
        """An entry that cannot be made leaves the ledger as it was."""

        def fail(key: str) -> Entry:
            raise ValueError(key)

        try:
            self.ledger.add(fail)
        except ValueError:
            return
        raise AssertionError("the error was swallowed")

    @invariant()
    def agrees(self) -> None:
        assert self.ledger.entries() == list(self.expected.values())


TestAgainstAModel = AgainstAModel.TestCase
TestAgainstAModel.settings = settings(max_examples=25, stateful_step_count=15)


@settings(max_examples=15)
@given(st.lists(st.lists(st.booleans(), min_size=1, max_size=6), min_size=2, max_size=4))
def test_writers_in_threads_lose_nothing(plans: list[list[bool]]) -> None:
    """Each thread adds one entry for each of its items and removes those that are true, while another reads."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        done = threading.Event()

        def work(plan: list[bool]) -> list[str]:
            kept = []
            for take_back in plan:
                entry = Ledger(folder).add(lambda key: Entry(key, "a.kind", {}, {}, "a test", 1))
                if take_back:
                    Ledger(folder).remove(entry.id)
                else:
                    entry.state = "active"
                    Ledger(folder).update(entry)
                    kept.append(entry.id)
            return kept

        def read() -> int:
            reads = 0
            while not done.is_set():
                assert len(Ledger(folder).entries()) <= sum(map(len, plans))
                reads += 1
            return reads

        with ThreadPoolExecutor(len(plans) + 1) as pool:
            reader = pool.submit(read)
            kept = [key for each in [pool.submit(work, plan) for plan in plans] for key in each.result()]
            done.set()
            assert reader.result() > 0
        entries = Ledger(folder).entries()
        assert {each.id for each in entries} == set(kept)
        assert {each.state for each in entries} <= {"active"}
        assert from_json(Book, (folder / "faults.json").read_text()).last == sum(map(len, plans))


WRITER = """
import sys
from pathlib import Path
from airbed.faults.ledger import Entry, Ledger
ledger = Ledger(Path(sys.argv[1]))
for number in range(20):
    entry = ledger.add(lambda key: Entry(key, "a.kind", {"writer": sys.argv[2]}, {}, "a test", 1))
    if number % 2:
        ledger.remove(entry.id)
"""


def test_writers_in_processes_lose_nothing(tmp_path: Path) -> None:
    writers = [subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path), str(number)]) for number in range(4)]
    assert [each.wait(60) for each in writers] == [0] * 4

    entries = Ledger(tmp_path).entries()
    assert sorted(each.parameters["writer"] for each in entries) == sorted("0123" * 10)
    assert len({each.id for each in entries}) == 40
    assert from_json(Book, (tmp_path / "faults.json").read_text()).last == 80
    assert (tmp_path / "faults.json").stat().st_mode & 0o777 == 0o600


def test_a_killed_writer_leaves_a_whole_file_and_no_lock(tmp_path: Path) -> None:
    writer = subprocess.Popen([sys.executable, "-c", WRITER.replace("range(20)", "range(10**9)"), str(tmp_path), "0"])
    while len(Ledger(tmp_path).entries()) < 5:
        assert writer.poll() is None
    writer.kill()
    writer.wait()

    left = len(Ledger(tmp_path).entries())
    Ledger(tmp_path).add(lambda key: Entry(key, "a.kind", {}, {}, "a test", 1))
    assert len(Ledger(tmp_path).entries()) == left + 1
