"""What the schema alone cannot see: names that lead nowhere, circles, parameters that a kind of fault does not have."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from airbed.errors import UsageError
from airbed.faults import registry
from airbed.faults.model import Fault
from airbed.incidents.expectation import Expect
from airbed.incidents.order import circle, step_and_moment
from airbed.incidents.schema import Case, FaultStep, Given, Run, Scenario
from airbed.topology import BUCKETS, SERVICES

Place = tuple[str | int, ...]
Problem = tuple[Place, str]


def problems_of(scenario: Scenario, file: Path) -> Iterator[Problem]:
    """Every mistake in a scenario whose form is right, with the place of its field."""
    if scenario.name != file.stem:
        yield ("name",), f"'{scenario.name}' is not the file's name: call it {file.stem}"
    yield from _given(scenario.given, ("given",), file)
    for name, case in scenario.cases.items():
        place: Place = ("cases", name)
        if not name.replace("_", "").replace("-", "").isalnum() or name != name.lower():
            yield place, f"'{name}' is not a name of a case: use letters, digits, hyphens, such as as_taught"
        yield from _given(case.given, (*place, "given"), file)
        yield from _case(case, place, file)


def fault_of(step: FaultStep, case: Case, beside: Path) -> Fault:
    """The fault of a step; UsageError for what is wrong. `beside` is the folder of the scenario file."""
    return registry.make(step.fault, parameters_of(step, case, beside))


def parameters_of(step: FaultStep, case: Case, beside: Path) -> dict[str, Any]:
    """The parameters of a step: with the DAG where the case has only one, and with files found beside the scenario."""
    kind = registry.kind(step.fault)
    dags = {run.dag for run in case.all_runs if run.dag}
    parameters = dict(step.parameters)
    for name in kind.paths:
        if isinstance(parameters.get(name), str):
            parameters[name] = str((beside / parameters[name]).resolve())
    dag = next((name for name in ("dag", "dag_id") if name in kind.model_fields), None)
    return parameters if dag is None or len(dags) != 1 else {dag: dags.pop(), **parameters}


def _given(given: Given, place: Place, file: Path) -> Iterator[Problem]:
    from airbed.seed import registry as seeds

    for index, seed in enumerate(given.seed):
        at = (*place, "seed", index)
        try:
            pattern = seeds.find_pattern(seed.pattern)
        except UsageError as error:
            yield (*at, "pattern"), str(error)
            continue
        for option in sorted(set(seed.options) - {*pattern.options, "seed"}):
            yield (*at, option), f"unknown option; the data of {pattern.dag_id} takes: {', '.join(pattern.options)}"
        for option, value in sorted(seed.options.items()):
            if option in pattern.options and (problem := pattern.problem_with(option, value)):
                yield (*at, option), problem
    for index, each in enumerate(given.objects):
        yield from _reference(each.bucket, (*place, "objects", index, "bucket"), set(BUCKETS), "bucket")
    for index, dag in enumerate(given.dags):
        if not (file.parent / dag).is_file():
            yield (*place, "dags", index), f"there is no file {file.parent / dag}"
    for name, slots in given.pools.items():
        if slots < 0:
            yield (*place, "pools", name), f"a pool cannot have {slots} slots: give 0 or more"


def _case(case: Case, place: Place, file: Path) -> Iterator[Problem]:
    runs = {run.id: run for run in case.all_runs}
    faults = {step.name: step for step in case.faults}
    yield from _ids(case, place)
    yield from _runs(case, place, faults)
    for index, step in enumerate(case.faults):
        at = (*place, "faults", index)
        yield from _fault(step, case, at, file)
        yield from _moments(step, at, runs, faults)
    yield from _expect(case.expect, (*place, "expect"), runs, faults)
    if waiting := circle(case):
        at_fault = any(name in faults for name in waiting)
        yield (
            (*place, "faults" if at_fault else "runs"),
            f"steps wait for each other in a circle: {' -> '.join(waiting)}",
        )


def _ids(case: Case, place: Place) -> Iterator[Problem]:
    seen = Counter[str]()
    for index, run in enumerate(case.all_runs):
        seen[run.id] += 1
        if seen[run.id] > 1:
            yield (*place, "runs", index, "id"), f"there is another step '{run.id}': give each an id of its own"
    for index, step in enumerate(case.faults):
        seen[step.name] += 1
        if seen[step.name] > 1:
            yield (*place, "faults", index, "id"), f"there is another step '{step.name}': give each an id of its own"


def _runs(case: Case, place: Place, faults: Mapping[str, FaultStep]) -> Iterator[Problem]:
    steps = {*(run.id for run in case.all_runs), *faults}
    before: list[Run] = []
    for index, run in enumerate(case.all_runs):
        at: Place = (*place, "runs", index) if case.runs else (*place, "run")
        if run.after is not None:
            yield from _reference(run.after, (*at, "after"), steps)
            step, moment = step_and_moment(run.after, steps)
            if moment == "ended" and step in faults and _stays(faults[step]):
                told = f"{step} stays in force until the runs have ended: give it an until, or wait for {step} alone"
                yield (*at, "after"), told
        if run.clear is not None:
            earlier = {each.id for each in before}
            if not earlier:
                yield (*at, "clear"), "there is no run before this one that could be cleared"
            elif run.clear.run is not None:
                yield from _reference(run.clear.run, (*at, "clear", "run"), earlier, "run before this one")
        before.append(run)


def _stays(step: FaultStep) -> bool:
    """Whether a fault is taken back only when all runs have ended."""
    kind = registry.kinds().get(step.fault)
    return bool(step.until.end) and kind is not None and not kind.momentary


def _fault(step: FaultStep, case: Case, place: Place, file: Path) -> Iterator[Problem]:
    from airbed.incidents.load import fault_words

    try:
        kind = registry.kind(step.fault)
    except UsageError as error:
        yield (*place, "fault"), str(error)
        return
    try:
        kind.model_validate(parameters_of(step, case, file.parent))
    except ValidationError as error:
        for where, words in fault_words(kind, error).items():
            yield (*place, "with", *where), f"{step.fault}: {words}"
    for name in kind.paths:
        if isinstance(given := step.parameters.get(name), str) and not (file.parent / given).is_file():
            yield (*place, "with", name), f"there is no file {file.parent / given}"
    if kind.momentary and not step.until.end:
        yield (*place, "until"), f"{step.fault} is over once it was done: it has no until"


def _moments(
    step: FaultStep, place: Place, runs: Mapping[str, Run], faults: Mapping[str, FaultStep]
) -> Iterator[Problem]:
    steps = {*runs, *faults}
    for name, moment in (("when", step.when), ("until", step.until)):
        at = (*place, name)
        if moment.after is not None:
            yield from _reference(moment.after, (*at, "after"), steps)
        if moment.state is not None and moment.state.run is not None:
            yield from _reference(moment.state.run, (*at, "state", "run"), set(runs), "run")
        if moment.service is not None:
            yield from _reference(moment.service.name, (*at, "service", "name"), set(SERVICES), "service")
    if step.when.hits is not None:
        yield from _reference(step.when.hits.of, (*place, "when", "hits", "of"), set(faults), "fault")
    if step.until.after is not None and step.until.after.partition(".")[0] == step.name:
        yield (*place, "until", "after"), "a fault cannot end after itself: name another step"


def _expect(
    expect: Expect, place: Place, runs: Mapping[str, Run], faults: Mapping[str, FaultStep]
) -> Iterator[Problem]:
    names = set(runs)
    if isinstance(expect.run, dict):
        for name in expect.run:
            yield from _reference(name, (*place, "run", name), names, "run")
    for key in expect.tasks:
        if "/" in key:
            yield from _reference(key.partition("/")[0], (*place, "tasks", key), names, "run")
    for name in expect.effects:
        yield from _reference(name, (*place, "effects", name), set(faults), "fault")
    for name in expect.seconds:
        yield from _reference(name, (*place, "seconds", name), names, "run")
    named = [("values", index, each.run) for index, each in enumerate(expect.values)]
    named += [("logs", index, each.run) for index, each in enumerate(expect.logs)]
    for part, index, run in named:
        if run is not None:
            yield from _reference(run, (*place, part, index, "run"), names, "run")
    for index, log in enumerate(expect.logs):
        if log.service is not None:
            yield from _reference(log.service, (*place, "logs", index, "service"), set(SERVICES), "service")


def _reference(name: str, place: Place, known: set[str], what: str = "step") -> Iterator[Problem]:
    base, dot, moment = name.rpartition(".")
    if what == "step" and name not in known and dot and moment in ("started", "ended"):
        name = base
    if name in known:
        return
    near = get_close_matches(name, known, 1)
    hint = f"did you mean {near[0]}?" if near else f"there are: {', '.join(sorted(known)) or 'none'}"
    yield place, f"there is no {what} '{name}'; {hint}"
