"""Differences between what was seen and what a case expects, and the digest of what was seen."""

from __future__ import annotations

from typing import Any

import pytest

from airbed.incidents.digest import digest
from airbed.incidents.expect import differences
from airbed.incidents.expectation import Expect
from airbed.incidents.observe import Seen
from airbed.runs.model import Instance, MappedTask, Outcome, RunResult

STATES: tuple[Outcome, ...] = ("success", "hard", "success")


def instance(index: int, state: Outcome, tries: int = 1, **fields: Any) -> Instance:
    error = f"{index} went wrong" if state in {"hard", "soft"} else None
    return Instance("work", index, state, None, tries, **{"error": error, **fields})


def seen(
    states: tuple[Outcome, ...] = STATES, tries: tuple[int, ...] = (1, 3, 1), run: str = "failed", name: str = "run"
) -> Seen:
    work = MappedTask(
        "work", len(states), tuple(instance(i, s, tries[i], value={"n": [i]}) for i, s in enumerate(states)), 2
    )
    end = Instance("end", -1, "success" if run == "success" else "hard", None, 1, value=7)
    result = RunResult("d", "r", run, 12.0, {"work": work}, {"end": end}, 2)
    return Seen(runs={name: [result]}, states={name: run}, read={("run", name): run})


def told(found: Seen, counted: dict[str, int] | None = None, /, **expect: Any) -> list[str]:
    return [str(each) for each in differences(Expect(**{"run": "failed", **expect}), found, counted or {})]


@pytest.mark.parametrize(
    "work",
    [
        {"outcomes": {"success": [0, 2], "hard": [1]}},
        {"outcomes": {"success": 2, "hard": 1}},
        {"tries": {1: 3}},
        {"tries": {"by_count": {1: 2, 3: 1}}},
        {"errors": {1: "went"}},
        {"errors": "^1 went wrong$"},
        {"seconds": {"at_most": 0}},
        {},
    ],
)
def test_what_is_as_expected_is_no_difference(work: dict[str, Any]) -> None:
    assert told(seen(), tasks={"work": work, "end": "hard"}) == []


@pytest.mark.parametrize(
    ("work", "line"),
    [
        (
            {"outcomes": {"success": [0, 1, 2]}},
            ["outcomes.success: map_indexes [0, 2], expected [0, 1, 2]", "hard [1]"],
        ),
        ({"outcomes": {"success": 3}}, ["outcomes.success: 2 [0, 2], expected 3", "nothing is expected to be"]),
        ({"outcomes": {"success": 2}}, ["outcomes: hard [1], and nothing is expected to be (1 went wrong)"]),
        ({"outcomes": "success"}, ["outcomes: 1 hard, 2 success (1 went wrong), expected all success"]),
        ({"tries": {1: 2}}, ["tries: work[1] was tried 3 times, expected 2"]),
        ({"tries": 1}, ["tries: work[1] was tried 3 times, expected 1"]),
        ({"tries": {"by_count": {1: 3}}}, ["tries: instances by number of tries are {1: 2, 3: 1}, expected {1: 3}"]),
        ({"errors": {1: "refused"}}, ["errors: work[1]: 1 went wrong; expected one like 'refused'"]),
        ({"errors": {2: "refused"}}, ["errors: work[2]: no error text; expected one like 'refused'"]),
        ({"seconds": {0: {"at_least": 5}}}, ["seconds: work[0] worked 0.0 s, expected at least 5"]),
    ],
)
def test_each_difference_names_its_line(work: dict[str, Any], line: list[str]) -> None:
    found = told(seen(), tasks={"work": work})
    assert len(found) == len(line)
    for each, part in zip(found, line, strict=True):
        assert each.startswith("expect.tasks.work.") and part in each


def test_a_run_in_another_state_tells_why() -> None:
    assert told(seen(), run="success") == ["expect.run: failed, expected success (end: hard: no error text)"]
    assert told(seen(), run={"run": "failed"}) == []
    assert told(seen(), run={"other": "failed"}) == ["expect.run.other: the run was not started, expected failed"]


def test_tasks_of_named_runs() -> None:
    both = seen(name="first")
    both.runs |= seen(("success",), (1,), "success", "second").runs
    both.states["second"], both.read["run", "second"] = "success", "success"
    tasks = {"first/work": {"outcomes": {"success": 2, "hard": 1}}, "work": "success"}
    assert told(both, run={"first": "failed", "second": "success"}, tasks=tasks) == []
    assert told(both, run={"first": "failed"}, tasks={"second/wrok": "success"}) == [
        "expect.tasks.second/wrok: there is no such task in the run; it has: end, work"
    ]


@pytest.mark.parametrize(
    ("value", "line"),
    [
        ({"task": "work", "map_index": 1, "path": "n.0", "equals": 1}, None),
        ({"task": "end", "is": {"at_least": 7}}, None),
        ({"task": "end", "matches": "^7$"}, None),
        ({"task": "end", "equals": 8}, "end is 7, expected 8"),
        ({"task": "work", "map_index": 1, "path": "n.3", "equals": 1}, 'work[1] returned {"n": [1]}, which has no n.3'),
        ({"task": "work", "map_index": 9, "equals": 1}, "there is no instance work[9]"),
    ],
)
def test_values(value: dict[str, Any], line: str | None) -> None:
    assert told(seen(), values=[value]) == ([] if line is None else [f"expect.values[0]: {line}"])


def test_a_value_of_null_is_expected_like_any_other() -> None:
    assert told(seen(), values=[{"task": "end", "equals": None}]) == ["expect.values[0]: end is 7, expected null"]


def test_readings() -> None:
    found = seen()
    found.read |= {
        ("rows", 0): [[1, "a"]],
        ("rows", 1): [[1], [2]],
        ("objects", 0): ["k1", "k2"],
        ("rollouts", 0): {"version": "1.2.3", "ready": 4},
        ("rollouts", 1): None,
        ("metrics", 0): {"sum": 3},
        ("metrics", 1): None,
        ("logs", 0): ["x"],
    }
    found.unreadable["rows", 2] = "connection refused"
    rows = [
        {"database": "warehouse", "query": "q", "equals": [[1, "a"]]},
        {"database": "warehouse", "query": "q", "count": {"at_most": 1}},
        {"database": "warehouse", "query": "q", "count": 0},
    ]
    assert told(
        found,
        rows=rows,
        objects=[{"bucket": "b", "prefix": "p/", "count": 3}],
        rollouts=[{"region": "eu", "version": "1.2.3", "ready": 5}, {"region": "us", "version": None}],
        metrics=[{"name": "m", "at_least": 4}, {"name": "n", "equals": 0}],
        logs=[{"task": "work", "matches": "x", "count": 0}],
    ) == [
        "expect.rows[2]: cannot be read: connection refused",
        "expect.rows[1]: 2 rows, expected at most 1",
        "expect.objects[0]: 2 objects under b/p/, expected 3",
        "expect.rollouts[0]: eu has 4 ready, expected 5",
        "expect.metrics[0]: 3 (metric m), expected at least 4",
        "expect.logs[0]: 1 lines like 'x', expected 0",
    ]


def test_effects_and_seconds() -> None:
    assert told(seen(), {"storm": 2}, effects={"storm": {"at_least": 1}}, seconds={"run": 12}) == []
    assert told(seen(), {"storm": 0}, effects={"storm": {"at_least": 1}}, seconds={"run": 11}) == [
        "expect.seconds.run: took 12.0 s, expected at most 11",
        "expect.effects.storm: 0 tries ended badly while it was in force, expected at least 1",
    ]


def test_the_digest_is_by_index_where_the_case_names_victims() -> None:
    named = Expect(run="failed", tasks={"work": {"outcomes": {"success": [0, 2], "hard": [1]}}})
    counted = Expect(run="failed", tasks={"work": {"outcomes": {"success": 2, "hard": 1}}})
    other = seen(("hard", "success", "success"), (3, 1, 1))

    def of(expect: Expect, found: Seen) -> str:
        return digest(expect, found, [], "as expected")

    assert of(named, seen()) == of(named, seen()) != of(named, other)
    assert of(counted, seen()) == of(counted, other)


def test_the_digest_has_tries_where_the_case_speaks_of_them() -> None:
    silent = Expect(run="failed", tasks={"work": {"outcomes": {"success": 2, "hard": 1}}})
    speaking = Expect(run="failed", tasks={"work": {"outcomes": {"success": 2, "hard": 1}, "tries": {1: 3}}})
    more = seen(tries=(1, 4, 1))
    assert digest(silent, seen(), [], "x") == digest(silent, more, [], "x")
    assert digest(speaking, seen(), [], "x") != digest(speaking, more, [], "x")


def test_the_digest_has_verdict_and_broken_invariants() -> None:
    expect = Expect(run="failed")
    assert (
        len({digest(expect, seen(), [], "a"), digest(expect, seen(), [], "b"), digest(expect, seen(), ["lost"], "a")})
        == 3
    )


@pytest.mark.parametrize(
    ("work", "field"),
    [
        ({"tries": {1: 3, 7: 3}}, "tries"),
        ({"errors": {1: "went", 7: "refused"}}, "errors"),
        ({"seconds": {0: {"at_most": 1}, 7: {"at_most": 1}}}, "seconds"),
    ],
)
def test_what_is_said_of_an_instance_that_is_not_there_does_not_hold(work: dict[str, Any], field: str) -> None:
    line = f"expect.tasks.work.{field}: there is no instance with map_index 7; there are 0-2"
    assert told(seen(), tasks={"work": work}) == [line]
