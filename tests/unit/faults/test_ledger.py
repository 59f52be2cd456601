"""The ledger of injected faults: ids, persistence, unreadable files."""

from __future__ import annotations

from pathlib import Path

import pytest

from airbed.errors import Unavailable
from airbed.faults.ledger import Entry, Ledger


def entry(entry_id: str) -> Entry:
    return Entry(entry_id, "s3.error", {"status": 503}, {"rule": 7, "more": ["a"]}, "by hand", 1)


def test_entries_survive_in_order_with_ids_never_used_twice(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    first, second = ledger.add(entry), ledger.add(entry)
    ledger.remove(second.id)
    third = ledger.add(entry)
    assert [each.id for each in Ledger(tmp_path).entries()] == [first.id, third.id] == ["f1", "f3"]
    assert Ledger(tmp_path).entries()[0] == first


def test_update_replaces_one_entry(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    first, _ = ledger.add(entry), ledger.add(entry)
    first.state = "active"
    ledger.update(first)
    assert [each.state for each in ledger.entries()] == ["active", "arming"]


def test_the_file_is_private(tmp_path: Path) -> None:
    Ledger(tmp_path).add(entry)
    assert (tmp_path / "faults.json").stat().st_mode & 0o777 == 0o600


def test_an_unreadable_file_is_said_not_overlooked(tmp_path: Path) -> None:
    (tmp_path / "faults.json").write_text("{")
    with pytest.raises(Unavailable, match=r"faults\.json cannot be read"):
        Ledger(tmp_path).entries()
