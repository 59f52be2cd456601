"""Hold what was seen against what a case expects: each difference is one line that names the line of the file."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from airbed.incidents.differences import Difference, Kind
from airbed.incidents.expectation import Bound, Expect, RolloutExpect, TaskExpect, Tries, ValueExpect
from airbed.incidents.observe import Seen, plain
from airbed.runs.concurrency import highest
from airbed.runs.model import Instance, RunResult

_FAILED = {"hard", "soft", "lost"}


def differences(expect: Expect, seen: Seen, effects: Mapping[str, int]) -> list[Difference]:
    """Every difference, in the order of the file's fields. `effects`: tries that ended badly, by fault."""
    return [
        *_runs(expect, seen),
        *_tasks(expect, seen),
        *_values(expect, seen),
        *_readings(expect, seen),
        *_seconds(expect, seen),
        *_effects(expect, effects),
    ]


def _differs(where: str, text: str, kind: Kind = "outcomes") -> Difference:
    return Difference(kind, f"expect.{where}", text)


def _runs(expect: Expect, seen: Seen) -> Iterator[Difference]:
    names = [name for kind, name in (*seen.read, *seen.unreadable) if kind == "run"]
    wanted = expect.run if isinstance(expect.run, dict) else dict.fromkeys(map(str, names), expect.run)
    if not names:
        yield _differs("run", "no run was started")
    for name, state in wanted.items():
        where = "run" if len(wanted) == 1 and not isinstance(expect.run, dict) else f"run.{name}"
        if ("run", name) in seen.unreadable:
            yield _differs(where, f"cannot be read: {seen.unreadable['run', name]}")
        elif name not in seen.states:
            yield _differs(where, f"the run was not started, expected {state}")
        elif seen.states[name] != state:
            yield _differs(where, f"{seen.states[name]}, expected {state}{_why(seen.runs[name])}")


def _why(runs: Sequence[RunResult]) -> str:
    failed = [each for run in runs for each in run.failures()]
    return f" ({failed[-1].name}: {failed[-1].state}: {failed[-1].error or 'no error text'})" if failed else ""


def _tasks(expect: Expect, seen: Seen) -> Iterator[Difference]:
    for key, wanted in expect.tasks.items():
        run_name, slash, task = key.rpartition("/")
        name = run_name if slash else next(reversed(seen.runs), None)
        runs = seen.runs.get(name, []) if name is not None else []
        instances = [each for run in runs for each in instances_of(run, task)]
        if not instances and not any(task in run.tasks for run in runs):
            there = sorted({each for run in runs for each in (*run.tasks, *run.singles)})
            yield _differs(f"tasks.{key}", f"there is no such task in the run; it has: {', '.join(there) or 'none'}")
            continue
        if wanted.max_running is not None:
            several = {run.run_id for run in runs}
            most = highest(each for each in seen.attempts if each.task_id == task and each.run_id in several)
            if not wanted.max_running.holds(most):
                yield _differs(f"tasks.{key}.max_running", f"{most} ran at once, expected {wanted.max_running}")
        yield from task_differences(f"tasks.{key}", wanted, instances)


def instances_of(run: RunResult, task: str) -> Sequence[Instance]:
    """All instances of a task, mapped or not."""
    if task in run.tasks:
        return run.tasks[task].instances
    return [run.singles[task]] if task in run.singles else []


def task_differences(where: str, wanted: TaskExpect, instances: Sequence[Instance]) -> Iterator[Difference]:
    """What is otherwise with the instances of one task (apart from how many ran at once)."""
    yield from _outcomes(f"{where}.outcomes", wanted, instances)
    if wanted.tries is not None:
        yield from _tries(f"{where}.tries", wanted.tries, instances)
    yield from _errors(f"{where}.errors", wanted, instances)
    if wanted.seconds is not None:
        by_index = wanted.seconds if isinstance(wanted.seconds, dict) else None
        for each in instances:
            bound = by_index.get(each.map_index) if by_index is not None else wanted.seconds
            if isinstance(bound, Bound) and not bound.holds(each.seconds):
                yield _differs(f"{where}.seconds", f"{each.name} worked {each.seconds:.1f} s, expected {bound}")


def _outcomes(where: str, wanted: TaskExpect, instances: Sequence[Instance]) -> Iterator[Difference]:
    seen: dict[str, list[int]] = {}
    for each in instances:
        seen.setdefault(each.state, []).append(each.map_index)
    if isinstance(wanted.outcomes, str):
        if set(seen) != {wanted.outcomes}:
            yield _differs(where, f"{_by_outcome(seen, instances)}, expected all {wanted.outcomes}")
        return
    if wanted.outcomes is None:
        return
    for name, count in wanted.outcomes.items():
        outcome: str = name
        there = sorted(seen.pop(outcome, []))
        if isinstance(count, list) and there != sorted(count):
            yield _differs(
                f"{where}.{outcome}", f"map_indexes {there}, expected {sorted(count)}{_said(instances, there)}"
            )
        elif isinstance(count, int) and len(there) != count:
            yield _differs(f"{where}.{outcome}", f"{len(there)} {there}, expected {count}{_said(instances, there)}")
    for outcome, there in seen.items():
        yield _differs(where, f"{outcome} {sorted(there)}, and nothing is expected to be{_said(instances, there)}")


def _by_outcome(seen: Mapping[str, list[int]], instances: Sequence[Instance]) -> str:
    counts = ", ".join(f"{len(there)} {outcome}" for outcome, there in sorted(seen.items())) or "no instances"
    return counts + _said(
        instances, [index for outcome, there in seen.items() if outcome != "success" for index in there]
    )


def _said(instances: Sequence[Instance], indexes: Sequence[int]) -> str:
    """The first error text of some instances."""
    error = next((each.error for each in instances if each.map_index in indexes and each.error), None)
    return f" ({error})" if error else ""


def _tries(where: str, wanted: Tries, instances: Sequence[Instance]) -> Iterator[Difference]:
    if wanted.by_count is not None:
        counted = dict(sorted(Counter(each.tries for each in instances).items()))
        if counted != {tries: count for tries, count in sorted(wanted.by_count.items()) if count}:
            yield _differs(where, f"instances by number of tries are {counted}, expected {wanted.by_count}")
        return
    by_index = wanted.by_index or {}
    for each in instances:
        expected = by_index.get(each.map_index, 1) if wanted.every is None else wanted.every
        # One that never ran (skipped, upstream failed) was not tried; that is for `outcomes` to judge.
        if each.tries != expected and (each.tries > 0 or each.map_index in by_index):
            yield _differs(where, f"{each.name} was tried {each.tries} times, expected {expected}")


def _errors(where: str, wanted: TaskExpect, instances: Sequence[Instance]) -> Iterator[Difference]:
    if wanted.errors is None:
        return
    patterns = wanted.errors
    chosen = [
        each
        for each in instances
        if (each.state in _FAILED if isinstance(patterns, str) else each.map_index in patterns)
    ]
    if not chosen:
        yield _differs(where, f"no instance failed, expected one like {patterns!r}")
    for each in chosen:
        pattern = patterns if isinstance(patterns, str) else patterns[each.map_index]
        if not re.search(pattern, each.error or ""):
            yield _differs(where, f"{each.name}: {each.error or 'no error text'}; expected one like {pattern!r}")


def _values(expect: Expect, seen: Seen) -> Iterator[Difference]:
    for index, wanted in enumerate(expect.values):
        where = f"values[{index}]"
        run = seen.one(wanted.run)
        found = [each for each in instances_of(run, wanted.task) if each.map_index == wanted.map_index] if run else []
        if not found:
            name = wanted.task if wanted.map_index < 0 else f"{wanted.task}[{wanted.map_index}]"
            yield _differs(where, f"there is no instance {name}")
            continue
        try:
            value = _at(found[0].value, wanted.path)
        except (KeyError, IndexError, ValueError, TypeError):
            yield _differs(where, f"{found[0].name} returned {_short(found[0].value)}, which has no {wanted.path}")
            continue
        if problem := _value_problem(wanted, value):
            yield _differs(where, f"{found[0].name}{'.' + wanted.path if wanted.path else ''} {problem}")


def _at(value: Any, path: str | None) -> Any:
    for step in path.split(".") if path else []:
        value = value[int(step)] if isinstance(value, list) else value[step]
    return value


def _value_problem(wanted: ValueExpect, value: Any) -> str | None:
    if "equals" in wanted.model_fields_set:
        same = plain(value) == plain(wanted.equals)
        return None if same else f"is {_short(value)}, expected {_short(wanted.equals)}"
    if wanted.matches is not None:
        text = value if isinstance(value, str) else json.dumps(value, default=str)
        return None if re.search(wanted.matches, text) else f"is {_short(value)}, expected one like {wanted.matches!r}"
    if wanted.is_ is not None:
        number = isinstance(value, int | float) and not isinstance(value, bool)
        return None if number and wanted.is_.holds(value) else f"is {_short(value)}, expected {wanted.is_}"
    return None


def _readings(expect: Expect, seen: Seen) -> Iterator[Difference]:
    for (part, index), reason in seen.unreadable.items():
        if part != "run":
            yield _differs(f"{part}[{index}]", f"cannot be read: {reason}")
    for (part, index), value in seen.read.items():
        if part != "run" and isinstance(index, int) and (problem := _reading(expect, part, index, value)):
            yield _differs(f"{part}[{index}]", problem)


def _reading(expect: Expect, part: str, index: int, value: Any) -> str | None:
    """What is wrong with one thing that was read; None when nothing is."""
    if part == "rollouts":
        return _rollout_problem(expect.rollouts[index], value)
    if part == "rows":
        rows = expect.rows[index]
        if rows.count is None:
            same = value == plain(rows.equals)
            return None if same else f"rows are {_short(value)}, expected {_short(rows.equals)}"
        number, bound, what = float(len(value)), rows.count, "rows"
    elif part == "objects":
        objects = expect.objects[index]
        number, bound, what = len(value), objects.count, f"objects under {objects.bucket}/{objects.prefix}"
    elif part == "metrics":
        metric = expect.metrics[index]
        number, bound, what = float((value or {}).get(metric.field) or 0), metric.bound, f"(metric {metric.name})"
    else:
        log = expect.logs[index]
        number, bound, what = len(value), log.count, f"lines like {log.matches!r}"
    return None if bound.holds(number) else f"{number:g} {what}, expected {bound}"


def _rollout_problem(wanted: RolloutExpect, value: Any) -> str | None:
    version, ready = (value["version"], value["ready"]) if value else (None, 0)
    if version != wanted.version:
        return f"{wanted.region} runs version {version}, expected {wanted.version}"
    held = wanted.ready is None or wanted.ready.holds(ready)
    return None if held else f"{wanted.region} has {ready} ready, expected {wanted.ready}"


def _seconds(expect: Expect, seen: Seen) -> Iterator[Difference]:
    for name, bound in expect.seconds.items():
        took = sum(each.seconds for each in seen.runs.get(name, []))
        if not bound.holds(took):
            yield _differs(f"seconds.{name}", f"took {took:.1f} s, expected {bound}")


def _effects(expect: Expect, effects: Mapping[str, int]) -> Iterator[Difference]:
    for name, bound in expect.effects.items():
        if not bound.holds(effects.get(name, 0)):
            text = f"{effects.get(name, 0)} tries ended badly while it was in force, expected {bound}"
            yield _differs(f"effects.{name}", text, "effects")


def _short(value: Any) -> str:
    text = " ".join(json.dumps(value, default=str).split())
    return text if len(text) <= 200 else f"{text[:199]}…"
