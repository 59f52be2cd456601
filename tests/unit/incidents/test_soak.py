"""The soak's rows, its table and its load."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from airbed.incidents import soak as module
from airbed.incidents.soak import busy, main, soak
from airbed.incidents.soak_plays import Notes, Play, Row, rows_of, table


def row(**words: int) -> Row:
    counted = Counter({name.replace("_", " "): count for name, count in words.items()})
    return Row("storm", "as_taught", counted, Counter({"d1": sum(words.values())}), [10.0, 12.0], [20.0])


def test_a_case_is_well_when_every_play_came_out_the_same() -> None:
    assert row(as_expected=3).ok
    assert not row(as_expected=2, different=1).ok
    two = row(as_expected=3)
    two.digests["d2"] += 1
    assert not two.ok


def test_rows_are_json() -> None:
    (told,) = json.loads(json.dumps([row(as_expected=2, different=1).as_json()]))
    assert told["words"] == {"as expected": 2, "different": 1} and told["ok"] is False
    assert told["quiet"] == [10.0, 12.0]


def test_the_table() -> None:
    head, line = table([row(as_expected=2, different=1)])
    assert head.split() == ["incident", "plays", "as", "expected", "digests", "s", "quiet", "s", "loaded"]
    assert line.split() == ["storm/as_taught", "3", "2", "1", "11.0", "20.0"]
    assert len(head) == len(line)


def test_busy_processes_end_with_the_block() -> None:
    with busy(1):
        children = _children()
        assert len(children) == 1
    assert not _children()


def _children() -> list[str]:
    return Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()


def play(number: int, **more: Any) -> Play:
    return Play(
        **{"incident": "storm", "case": "correct", "number": number, "word": "as expected", "digest": "d", **more},
        seconds=1.5,
        loaded=number % 2 == 0,
    )


def test_notes_outlive_a_kill_in_the_middle_of_a_line(tmp_path: Path) -> None:
    notes = Notes(tmp_path / "out" / "plays.jsonl", resume=True)
    assert notes.read() == []
    notes.add(play(1))
    notes.add(play(2, word="different", trouble="rows: 3 instead of 2"))
    with (tmp_path / "out" / "plays.jsonl").open("a") as file:
        file.write('{"incident": "sto')
    assert Notes(tmp_path / "out" / "plays.jsonl", resume=True).read() == notes.read()
    (row,) = rows_of(notes.read())
    assert (row.words["as expected"], row.words["different"], row.quiet, row.loaded) == (1, 1, [1.5], [1.5])
    assert row.first_trouble == "rows: 3 instead of 2" and not row.ok
    assert Notes(tmp_path / "out" / "plays.jsonl", resume=False).read() == []


def test_a_resumed_soak_plays_what_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def run_case(bed: Any, scenario: Any, case: str, base: Path, *, control: bool, folder: Path) -> Any:
        asked.append((case, folder.name, control))
        return SimpleNamespace(ok=True, word="as expected", digest="d", seconds=1.0)

    monkeypatch.setattr(module, "run_case", run_case)
    storm: Any = SimpleNamespace(name="storm", cases={"as_taught": None, "correct": None})
    bed: Any = None
    made = list(soak(bed, [(storm, Path("storm.yaml"))], [1, 2], 0, tmp_path, [play(1), play(2, case="as_taught")]))
    assert asked == [("as_taught", "01", True), ("correct", "02", False)]
    assert [(each.case, each.number, each.loaded) for each in made] == [("as_taught", 1, False), ("correct", 2, True)]


def test_the_rounds_of_a_soak_on_several_beds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The odd ones first, on two; then the even ones, on one more: every one once, by a process for each bed."""
    happened: list[Any] = []
    storm: Any = SimpleNamespace(name="storm", cases={"correct": None}, needs=[])
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(module, "load", lambda file: storm)
    monkeypatch.setattr(module, "files_in", lambda folder: {"storm": Path("storm.yaml")})

    @contextmanager
    def bed(living: str | None, name: str, scenarios: Any) -> Iterator[Any]:
        happened.append(f"{name} up")
        yield SimpleNamespace(name=name)
        happened.append(f"{name} down")

    class Player:
        def __init__(self, command: list[str]) -> None:
            asked = dict(pairwise(command))
            happened.append((asked["--name"], asked["--only"], asked["--busy"]))
            notes = Notes(Path(asked["--out"]) / "plays.jsonl", resume=True)
            for number in asked["--only"].split(","):
                notes.add(play(int(number)))

        def wait(self) -> None:
            pass

        terminate = wait

    monkeypatch.setattr(module, "_bed", bed)
    monkeypatch.setattr(module.subprocess, "Popen", Player)
    assert main(["--times", "7", "--beds", "2", "--out", str(tmp_path / "out")]) == 0
    one, two, three = (f"soak-incidents-{place}" for place in (1, 2, 3))
    odd = [f"{one} up", f"{two} up", (one, "1,5", "0"), (two, "3,7", "0"), f"{two} down", f"{one} down"]
    even = [(one, "2", "0"), (two, "4", "0"), (three, "6", "0")]
    ups, downs = [f"{name} up" for name in (one, two, three)], [f"{name} down" for name in (three, two, one)]
    assert happened == [*odd, *ups, *even, *downs]


def test_a_named_bed_is_one() -> None:
    assert main(["--name", "mine", "--beds", "2"]) == 2
