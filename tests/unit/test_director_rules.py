"""Task rules: what is valid, what matches, how often they fire, what survives a restart."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from airbed.director.rulebook import RuleBook
from airbed.director.rules import TaskRule
from airbed.director.selection import Instance
from airbed.errors import UsageError

BASE: dict[str, Any] = {"dag_id": "d", "task_id": "t", "action": "raise"}


def instance(**changes: Any) -> Instance:
    """The instance d.t[3], first try of run r."""
    fields = {"dag_id": "d", "run_id": "r", "task_id": "t", "map_index": 3, "try_number": 1}
    return Instance.parse({**fields, **changes})


@pytest.fixture
def book(tmp_path: Path) -> RuleBook:
    return RuleBook(tmp_path / "state" / "rules.json")


@pytest.mark.parametrize(
    ("rule", "matches"),
    [
        ({}, True),
        ({"run_id": "r"}, True),
        ({"run_id": "other"}, False),
        ({"map_index": 3}, True),
        ({"map_index": [1, 3]}, True),
        ({"map_index": [1, 2]}, False),
        ({"map_index": -1}, False),
        ({"try_number": 1}, True),
        ({"try_number": [2, 3]}, False),
        ({"dag_id": "e"}, False),
        ({"task_id": "u"}, False),
        ({"map_index": 3, "try_number": 2}, False),
    ],
)
def test_a_rule_matches_its_instances_only(rule: dict[str, Any], matches: bool) -> None:
    assert TaskRule.parse({**BASE, **rule}).matches(instance()) is matches


@pytest.mark.parametrize(
    ("rule", "line"),
    [
        ({"action": "explode"}, "unknown action 'explode'; known: raise, fail-now, kill"),
        ({"action": None}, "unknown action None"),
        ({"when": "during"}, "unknown when 'during'; known: before, after"),
        ({"exception": "RuntimeError"}, "must be 'module:Class'"),
        ({"exception": "builtins:Nope"}, "not an exception class of Python"),
        ({"exception": "builtins:print"}, "not an exception class of Python"),
        ({"action": "kill", "exception": "builtins:OSError"}, "only for action 'raise'"),
        ({"dag_id": ""}, "dag_id: expected a text"),
        ({"map_index": "3"}, "map_index must be a whole number of -1 or more"),
        ({"map_index": []}, "map_index must be"),
        ({"map_index": True}, "map_index must be"),
        ({"try_number": 0}, "try_number must be a whole number of 1 or more"),
        ({"times": 0}, "times must be 1 or more"),
        ({"where": {}}, "where must map a path"),
        ({"where": {"a..b": 1}}, "bad path 'a..b'"),
        ({"maps": 3}, "unknown field 'maps'; known: dag_id"),
        ({"action": "slow"}, "action 'slow' needs seconds"),
        ({"action": "oom-kill"}, "action 'oom-kill' needs megabytes"),
        ({"action": "oom-kill", "megabytes": 9, "when": "after"}, "when must be 'before'"),
        ({"action": "hang", "seconds": 1}, "seconds is only for action 'slow'"),
        ({"arrivals": 0}, "arrivals must be a whole number of 1 or more"),
    ],
)
def test_a_bad_rule_is_one_clear_line(rule: dict[str, Any], line: str) -> None:
    with pytest.raises(UsageError) as caught:
        TaskRule.parse({**BASE, **rule})
    assert line in str(caught.value)
    assert "\n" not in str(caught.value)


def test_times_counts_over_all_instances(book: RuleBook) -> None:
    rule_id = book.add(TaskRule.parse({**BASE, "times": 2}))
    claims = [book.claim(rule_id, instance(map_index=index))[0] is not None for index in range(4)]
    assert claims == [True, True, False, False]
    assert book.matching(instance()) == {}
    rule = book.get(rule_id)
    assert rule is not None
    assert rule["fired"] == 2


def test_arrivals_are_counted_once_in_the_order_they_come(book: RuleBook) -> None:
    rule_id = book.add(TaskRule.parse({**BASE, "arrivals": [2, 3]}))
    claims = [book.claim(rule_id, instance(map_index=index)) for index in (7, 7, 5, 9, 5, 1)]
    assert [position for _, position in claims] == [1, 1, 2, 3, 2, 4]
    assert [rule is not None for rule, _ in claims] == [False, False, True, True, True, False]
    assert [position for _, position in [book.claim(rule_id, instance(map_index=7, try_number=2))]] == [5]


@pytest.mark.parametrize("times", [None, 1])
def test_what_fired_before_a_deferred_try_does_not_fire_when_it_is_resumed(tmp_path: Path, times: int | None) -> None:
    book = RuleBook(tmp_path / "rules.json")
    slow = book.add(TaskRule.parse({**BASE, "action": "slow", "seconds": 1, "times": times}))
    limit = book.add(TaskRule.parse({**BASE, "action": "oom-kill", "megabytes": 500, "times": times}))
    late = book.add(TaskRule.parse({**BASE, "action": "slow", "seconds": 1, "when": "after"}))
    assert [book.claim(each, instance())[0] is not None for each in (slow, limit)] == [True, True]

    again = RuleBook(tmp_path / "rules.json")
    assert list(again.matching(instance(), resumed=True)) == [limit, late]
    assert again.claim(slow, instance(), resumed=True) == (None, None)
    rule, position = again.claim(limit, instance(), resumed=True)
    assert rule is not None
    assert (rule.action, position) == ("oom-kill", None)
    assert again.claim(late, instance(), resumed=True)[0] is not None
    assert [each["fired"] for each in again.all()] == [1, 1, 1]
    if times is None:
        # The next try, and one that was resumed without having met the rule, meet it.
        assert again.claim(slow, instance(try_number=2))[0] is not None
        assert again.claim(slow, instance(map_index=4), resumed=True)[0] is not None


def test_the_same_id_twice_is_one_rule(book: RuleBook) -> None:
    assert book.add(TaskRule.parse(BASE), "airbed-f1") == book.add(TaskRule.parse(BASE), "airbed-f1") == "airbed-f1"
    assert len(book.all()) == 1
    with pytest.raises(UsageError, match="another rule of the id 'airbed-f1'"):
        book.add(TaskRule.parse({**BASE, "times": 1}), "airbed-f1")


def test_a_rule_without_times_fires_for_ever(book: RuleBook) -> None:
    rule_id = book.add(TaskRule.parse(BASE))
    assert all(book.claim(rule_id, instance(try_number=number))[0] for number in range(1, 20))


def test_a_claim_by_another_instance_or_for_a_removed_rule_is_refused(book: RuleBook) -> None:
    rule_id = book.add(TaskRule.parse({**BASE, "map_index": 3}))
    assert book.claim(rule_id, instance(map_index=4)) == (None, None)
    assert book.remove(rule_id)
    assert not book.remove(rule_id)
    assert book.claim(rule_id, instance()) == (None, None)


def test_rules_and_counts_survive_a_restart_and_ids_are_not_reused(tmp_path: Path) -> None:
    file = tmp_path / "rules.json"
    book = RuleBook(file)
    gone = book.add(TaskRule.parse(BASE))
    kept = book.add(TaskRule.parse({**BASE, "action": "kill", "map_index": [1, 3], "times": 2, "where": {"x.y": 3}}))
    book.add(TaskRule.parse({**BASE, "action": "return", "value": {"a": [1]}, "arrivals": 1}), "mine")
    book.claim(kept, instance())
    book.claim("mine", instance())
    book.remove(gone)
    again = RuleBook(file)
    assert again.all() == book.all()
    assert again.add(TaskRule.parse(BASE)) not in (gone, kept)
    assert file.stat().st_mode & 0o777 == 0o600
    assert [each.name for each in tmp_path.iterdir()] == ["rules.json"]


@pytest.mark.parametrize("text", ["", "{", "[]", json.dumps({"last": 1, "rules": [{}]})])
def test_a_broken_state_file_is_named(tmp_path: Path, text: str) -> None:
    file = tmp_path / "rules.json"
    file.write_text(text)
    with pytest.raises(UsageError, match=r"rules\.json is not a file of task rules"):
        RuleBook(file)
