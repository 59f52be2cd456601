"""What is injected into a bed right now, on the disk before it happens: faults.json in the bed's folder."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, TypeVar

from airbed.errors import Unavailable
from airbed.records import from_json, to_json
from airbed.spec import write_private

Result = TypeVar("Result")
BY_HAND = "by hand"


@dataclass
class Entry:
    """One injected fault. `plan` is what its undo needs.

    `state` is `arming` until it was applied, `active`, `undoing`, or `stuck` when its undo failed (`problem` says why).
    `owner` is the scenario that injected it, or `by hand`; `owner_pid` the process that did, `owner_start` what tells
    it from a later one of that number (None: not noted).
    """

    id: str
    kind: str
    parameters: dict[str, Any]
    plan: dict[str, Any]
    owner: str
    owner_pid: int
    state: Literal["arming", "active", "undoing", "stuck"] = "arming"
    problem: str | None = None
    owner_start: str | None = None
    since: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="milliseconds"))

    def describe(self) -> str:
        """The parameters in one line: `key='raw/*', status=503`."""
        return ", ".join(f"{name}={value!r}" for name, value in self.parameters.items())


@dataclass
class Book:
    """The file as a whole; `last` is the highest number an id was made of, so that none is used twice."""

    last: int = 0
    entries: list[Entry] = field(default_factory=list)


class Ledger:
    """The injected faults of one bed; every change is on the disk when the call returns."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "faults.json"
        self._lock_file = folder / ".faults.lock"

    def entries(self) -> list[Entry]:
        """All entries, oldest first."""
        return self._read().entries

    def add(self, make: Callable[[str], Entry]) -> Entry:
        """Add the entry that `make` returns for a fresh id."""

        def change(book: Book) -> Entry:
            book.last += 1
            entry = make(f"f{book.last}")
            book.entries.append(entry)
            return entry

        return self._change(change)

    def update(self, entry: Entry) -> bool:
        """Replace the entry of the same id; False when there is none (any more)."""

        def change(book: Book) -> bool:
            book.entries = [entry if each.id == entry.id else each for each in book.entries]
            return entry in book.entries

        return self._change(change)

    def remove(self, entry_id: str) -> None:
        """Forget an entry; nothing happens when there is none."""

        def change(book: Book) -> None:
            book.entries = [each for each in book.entries if each.id != entry_id]

        self._change(change)

    def _change(self, change: Callable[[Book], Result]) -> Result:
        # Whoever only reads, such as `airbed status`, does not pay for this import.
        from filelock import FileLock

        with FileLock(self._lock_file, mode=0o600):
            book = self._read()
            result = change(book)
            write_private(self._file, to_json(book))
            return result

    def _read(self) -> Book:
        if not self._file.exists():
            return Book()
        try:
            return from_json(Book, self._file.read_bytes())
        except ValueError as error:
            raise Unavailable(
                f"{self._file} cannot be read ({error}): what is injected is not known; make the bed anew: airbed down"
            ) from None
