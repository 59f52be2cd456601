"""The director's journal: order, bounds, and what survives a kill."""

from __future__ import annotations

from pathlib import Path

from airbed.director.journal import Journal


def test_entries_and_their_numbers_survive_a_kill(tmp_path: Path) -> None:
    file = tmp_path / "journal.jsonl"
    journal = Journal(file)
    journal.add("asked", task_id="t")
    journal.add("fired", rule="r1")
    with file.open("a") as half:
        half.write('{"seq": 3, "ki')
    again = Journal(file)
    assert again.entries() == journal.entries()
    again.add("started", pid=1)
    assert [entry["seq"] for entry in Journal(file).entries()] == [1, 2, 3]
    assert file.stat().st_mode & 0o777 == 0o600


def test_numbers_go_on_after_a_clear_and_a_restart(tmp_path: Path) -> None:
    file = tmp_path / "journal.jsonl"
    journal = Journal(file)
    for _ in range(3):
        journal.add("fired", rule="r1")
    journal.clear()
    again = Journal(file)
    assert again.entries() == []
    again.add("fired", rule="r2")
    assert [entry["seq"] for entry in again.entries()] == [4]


def test_the_file_is_bounded(tmp_path: Path) -> None:
    file = tmp_path / "journal.jsonl"
    journal = Journal(file, limit=5)
    for number in range(200):
        journal.add("fired" if number % 2 else "asked", number=number)
    assert len(file.read_text().splitlines()) <= 21
    assert Journal(file, limit=5).entries() == journal.entries()
    assert [entry["number"] for entry in journal.entries(after=198)] == [198, 199]
