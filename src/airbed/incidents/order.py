"""Which step of a case comes before which."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from airbed.incidents.schema import Case, Run


def cleared_by(runs: Sequence[Run], index: int) -> Run | None:
    """The run that the run at `index` clears: the one it names, or the one before it; None for one that clears none."""
    clear = runs[index].clear
    if clear is None:
        return None
    return next((each for each in reversed(runs[:index]) if clear.run in (None, each.id)), None)


def dag_of(runs: Sequence[Run], index: int) -> str:
    """The DAG of the run at `index`; a clear has that of the run it clears."""
    cleared = cleared_by(runs, index)
    if runs[index].dag is not None or cleared is None:
        return str(runs[index].dag)
    return dag_of(runs, runs.index(cleared))


def step_and_moment(name: str, known: set[str]) -> tuple[str, str | None]:
    """`shard-1-down.ended` as its step and its moment (None: the usual one)."""
    base, dot, moment = name.rpartition(".")
    return (base, moment) if name not in known and dot and moment in ("started", "ended") else (name, None)


def circle(case: Case) -> list[str]:
    """Steps that can never start, because each waits for the next; empty when there are none."""
    known = {*(run.id for run in case.all_runs), *(step.name for step in case.faults)}
    waits: dict[str, set[str]] = {}
    for index, run in enumerate(case.all_runs):
        cleared = cleared_by(case.all_runs, index)
        waits[run.id] = {step_and_moment(run.after, known)[0]} if run.after else set()
        waits[run.id] |= {cleared.id} if cleared is not None else set()
    for step in case.faults:
        needs = [step.when.after and step_and_moment(step.when.after, known)[0], step.when.hits and step.when.hits.of]
        waits[step.name] = {each for each in needs if each}

    def walk(name: str, path: list[str]) -> list[str]:
        if name in path:
            return [*path[path.index(name) :], name]
        for each in sorted(waits.get(name, ())):
            if found := walk(each, [*path, name]):
                return found
        return []

    return next((found for name in waits if (found := walk(name, []))), [])
