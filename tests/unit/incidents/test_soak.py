"""The soak's rows, its table and its load."""

from __future__ import annotations

import json
import os
from collections import Counter
from pathlib import Path

from airbed.incidents.soak import Row, busy, table


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
