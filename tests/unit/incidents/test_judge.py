"""Effects, faults that never came or never fired, invariants, and the verdict's word."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from airbed.clients.rows import Attempt
from airbed.faults import registry
from airbed.faults.ledger import Entry
from airbed.incidents.differences import Difference
from airbed.incidents.effects import effects, remarks
from airbed.incidents.judge import fault_differences, invariant_differences, judge, judge_control
from airbed.incidents.observe import Seen
from airbed.incidents.play import Played
from airbed.incidents.schema import Case
from airbed.incidents.steps import FaultState, RunState
from airbed.incidents.verdict import Verdict, word_of
from airbed.runs.model import Instance, MappedTask, RunResult

START = datetime(2026, 3, 1, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def attempt(index: int, start: float, end: float | None, state: str = "failed", number: int = 1) -> Attempt:
    return Attempt("d", "r", "work", index, number, state, at(start), None if end is None else at(end))


def case(**fields: Any) -> Case:
    faults = [{"id": "down", "fault": "process.stop", "with": {"service": "shard-1"}}]
    return Case.model_validate({"run": {"dag": "d"}, "faults": faults, "expect": {"run": "success"}, **fields})


def state(kind: str = "process.stop", parameters: dict[str, Any] | None = None, **fields: Any) -> FaultState:
    step = case(faults=[{"id": "down", "fault": kind, "with": parameters or {"service": "shard-1"}}]).faults[0]
    entry = Entry("f1", kind, {}, {"key": "airbed-f1"}, "s/c", 1)
    fault = registry.make(kind, step.parameters)
    return FaultState(step, fault, entry=entry, **{"in_force": at(10), "undone": at(20), **fields})


@pytest.mark.parametrize(
    ("tried", "count"),
    [
        (attempt(0, 5, 12), 1),  # fails while it is in force
        (attempt(0, 12, 30), 1),  # begins while it is in force
        (attempt(0, 5, None), 1),  # never ends
        (attempt(0, 5, 9), 0),  # before
        (attempt(0, 21, 30), 0),  # after
        (attempt(0, 5, 12, "success"), 0),
    ],
)
def test_tries_that_end_badly_while_a_fault_is_in_force_are_its_effect(tried: Attempt, count: int) -> None:
    assert effects({"down": state()}, Seen(attempts=[tried])) == {"down": count}


def test_a_try_that_ends_while_the_fault_is_confirmed_is_its_effect() -> None:
    assert effects({"down": state(applied=at(7))}, Seen(attempts=[attempt(0, 5, 9)])) == {"down": 1}


def test_a_fault_that_was_left_out_has_no_effect() -> None:
    left_out = state()
    left_out.fault = None
    assert effects({"down": left_out}, Seen(attempts=[attempt(0, 5, 12)])) == {"down": 0}


def test_a_soft_failure_is_an_effect_too() -> None:
    work = MappedTask("work", 1, (Instance("work", 0, "soft", "success", 1),), 1)
    seen = Seen(
        runs={"run": [RunResult("d", "r", "success", 1.0, {"work": work})]}, attempts=[attempt(0, 5, 12, "success")]
    )
    assert effects({"down": state()}, seen) == {"down": 1}


def test_a_fault_of_tasks_is_held_to_the_tries_that_it_hit() -> None:
    kill = state("task.kill", {"dag_id": "d", "task_id": "work"})
    place = {"dag_id": "d", "run_id": "r", "task_id": "work", "map_index": 1, "try_number": 1}
    fired = {"kind": "fired", "rule": "airbed-f1", **place}
    seen = Seen(attempts=[attempt(0, 11, 12), attempt(1, 11, 12)], director=[fired, {**fired, "rule": "another"}])
    assert effects({"down": kill}, seen) == {"down": 1}


def test_hits_that_the_client_retried_away_are_told() -> None:
    storm = state("s3.error", {"key": "raw/*"}, fired=3)
    director = [
        {"kind": "s3-fired", "rule": "airbed-f1", "invocation": "a"},
        {"kind": "s3-fired", "rule": "airbed-f1", "invocation": "a"},
        {"kind": "s3-fired", "rule": "airbed-f1", "invocation": "b"},
        {"kind": "s3-followed", "invocation": "a", "status": 200, "intact": True},
        {"kind": "s3-followed", "invocation": "b", "status": 503, "intact": True},
    ]
    assert remarks({"storm": storm}, Seen(director=director)) == [
        "storm: of 2 requests hit, 1 succeeded by the client's own retries",
        "storm fired 3 times without effect: no try failed by it",
    ]


def test_faults_that_never_came_and_never_fired() -> None:
    faults = {"a": state(in_force=None), "b": state(fired=0), "c": state(fired=None), "d": state(fired=2)}
    assert [(each.kind, each.where) for each in fault_differences(faults)] == [
        ("never came", "faults.a"),
        ("never fired", "faults.b"),
    ]


def test_a_fault_that_was_left_out_is_not_called_never_fired() -> None:
    left_out = state(fired=0)
    left_out.fault = None
    assert list(fault_differences({"a": left_out})) == []


def test_invariants_must_hold_or_be_broken_as_the_case_says() -> None:
    broken = {"lost": ["an object is gone"], "caps": [], "silent-success": []}
    assert [each.where for each in invariant_differences(case(), broken)] == ["never.lost"]
    assert list(invariant_differences(case(breaks=["lost"]), broken)) == []
    kept = list(invariant_differences(case(breaks=["lost", "silent-success"]), broken))
    assert [str(each) for each in kept] == ["breaks.silent-success: it was kept, and this case is about breaking it"]


def played(**fields: Any) -> Played:
    run = RunState(case().all_runs[0], "d", ["r"], "ended", "success")
    return Played({"run": run}, {"down": state()}, **fields)


def good() -> Seen:
    work = MappedTask("work", 1, (Instance("work", 0, "success", "success", 1),), 1)
    result = RunResult("d", "r", "success", 1.0, {"work": work})
    return Seen({"run": [result]}, {"run": "success"}, read={("run", "run"): "success"})


def test_all_is_well() -> None:
    account = judge(case(), played(), good(), {})
    assert (account.differences, account.doubts) == ([], [])


def test_a_failed_step_is_the_only_difference() -> None:
    account = judge(case(), played(failed_step="down: refused"), Seen(), {"lost": ["x"]})
    assert account.differences == [Difference("step", "faults", "down: refused")]


def test_what_cannot_be_judged_is_not_called_different() -> None:
    account = judge(case(expect={"run": "failed"}), played(inconclusive=["the director died"]), good(), {})
    assert word_of(account.differences, account.doubts) == "inconclusive"


def test_a_run_that_does_not_end_is_told() -> None:
    account = judge(case(), played(late=["run"]), good(), {})
    assert [str(each) for each in account.differences] == ["run.run: did not end in its time (300 s): success"]


def test_the_control_run_must_be_well_in_all_its_parts() -> None:
    bad = good()
    hard = Instance("work", 0, "hard", "failed", 1, "boom")
    bad.runs["run"] = [RunResult("d", "r", "success", 1.0, {"work": MappedTask("work", 1, (hard,), 1)})]
    account = judge_control(None, played(), bad, {"caps": ["2 ran at once"]})
    assert [str(each) for each in account.differences] == [
        "control: run.run: work[0] is hard: boom",
        "control: never.caps: 2 ran at once",
    ]
    assert {each.kind for each in account.differences} == {"control"}


@pytest.mark.parametrize(
    ("differences", "doubts", "word", "code"),
    [
        ([], [], "as expected", 0),
        ([Difference("outcomes", "expect.run", "x")], [], "different", 1),
        ([Difference("outcomes", "expect.run", "x")], ["the director died"], "inconclusive", 3),
    ],
)
def test_the_word_and_its_exit_code(differences: list[Difference], doubts: list[str], word: str, code: int) -> None:
    assert word_of(differences, doubts) == word
    verdict = Verdict(
        "s", "c", word_of(differences, doubts), 1.25, tuple(differences), tuple(doubts), ("n",), "d", Path("f")
    )
    assert verdict.exit_code == code
    lines = list(verdict.lines())
    assert lines[0] == f"s/c: {word} in 1.2 s"
    assert "  note: n" in lines
    assert any("journal, outcomes and logs: f" in line for line in lines) == (not verdict.ok)
