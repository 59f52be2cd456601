"""From what was played and seen to the differences of a case."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from airbed.incidents.differences import Difference
from airbed.incidents.effects import effects, remarks
from airbed.incidents.expect import differences
from airbed.incidents.verdict import Account

if TYPE_CHECKING:
    from airbed.incidents.expectation import Expect
    from airbed.incidents.observe import Seen
    from airbed.incidents.play import Played
    from airbed.incidents.schema import Case
    from airbed.incidents.steps import FaultState


def judge(case: Case, played: Played, seen: Seen, broken: Mapping[str, Sequence[str]]) -> Account:
    """Everything about the play of a case with its faults. `broken`: what was found against each invariant."""
    account = Account(doubts=list(played.inconclusive))
    if played.failed_step is not None:
        account.differences.append(Difference("step", "faults", played.failed_step))
        return account
    if account.doubts:
        return account
    account.differences += [
        *_late(played),
        *differences(case.expect, seen, effects(played.faults, seen)),
        *fault_differences(played.faults),
        *invariant_differences(case, broken),
    ]
    account.notes += remarks(played.faults, seen)
    return account


def judge_control(expect: Expect | None, played: Played, seen: Seen, broken: Mapping[str, Sequence[str]]) -> Account:
    """Everything about the play without faults; `expect` None: every run and every instance is a success."""
    account = Account(doubts=[f"control: {each}" for each in played.inconclusive])
    if played.failed_step is not None:
        account.differences.append(Difference("control", "control", played.failed_step))
        return account
    found = list(differences(expect, seen, {})) if expect is not None else list(_all_well(played, seen))
    found += _late(played)
    found += [Difference("invariant", f"never.{name}", text) for name, texts in broken.items() for text in texts]
    account.differences += [Difference("control", f"control: {each.where}", each.text) for each in found]
    return account


def fault_differences(faults: Mapping[str, FaultState]) -> Iterator[Difference]:
    """Faults whose moment never came, and countable ones that hit nothing."""
    for name, state in faults.items():
        if state.in_force is None:
            yield Difference("never came", f"faults.{name}", "its moment never came: the runs ended before")
        elif state.fault is not None and state.fired == 0:
            yield Difference("never fired", f"faults.{name}", "never fired: it was in force and hit nothing")


def invariant_differences(case: Case, broken: Mapping[str, Sequence[str]]) -> Iterator[Difference]:
    """Invariants that were broken, and those of `breaks` that were not."""
    for name, texts in broken.items():
        if name not in case.breaks:
            yield from (Difference("invariant", f"never.{name}", text) for text in texts)
    for name in case.breaks:
        if not broken.get(name):
            yield Difference("invariant", f"breaks.{name}", "it was kept, and this case is about breaking it")


def _all_well(played: Played, seen: Seen) -> Iterator[Difference]:
    for name in played.runs:
        state = seen.states.get(name)
        if state != "success":
            why = seen.unreadable.get(("run", name), "")
            yield Difference("control", f"run.{name}", f"{state or 'not started'} {why}".strip() + ", expected success")
        for run in seen.runs.get(name, []):
            for each in run.failures():
                yield Difference("control", f"run.{name}", f"{each.name} is {each.state}: {each.error or 'no text'}")


def _late(played: Played) -> Iterator[Difference]:
    for name in played.late:
        run = played.runs[name]
        yield Difference("time", f"run.{name}", f"did not end in its time ({run.run.timeout:g} s): {run.airflow_state}")
