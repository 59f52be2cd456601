"""Hold what was seen against what a case expects: each difference is one line that names the line of the file."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from airbed.incidents.differences import Difference, differs
from airbed.incidents.expect_tasks import task_differences
from airbed.incidents.expectation import Expect, RolloutExpect, ValueExpect
from airbed.incidents.observe import Seen, plain
from airbed.runs.concurrency import highest
from airbed.runs.model import Instance, RunResult


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


def _runs(expect: Expect, seen: Seen) -> Iterator[Difference]:
    names = [name for kind, name in (*seen.read, *seen.unreadable) if kind == "run"]
    wanted = expect.run if isinstance(expect.run, dict) else dict.fromkeys(map(str, names), expect.run)
    if not names:
        yield differs("run", "no run was started")
    for name, state in wanted.items():
        where = "run" if len(wanted) == 1 and not isinstance(expect.run, dict) else f"run.{name}"
        if ("run", name) in seen.unreadable:
            yield differs(where, f"cannot be read: {seen.unreadable['run', name]}")
        elif name not in seen.states:
            yield differs(where, f"the run was not started, expected {state}")
        elif seen.states[name] != state:
            yield differs(where, f"{seen.states[name]}, expected {state}{_why(seen.runs[name])}")


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
            yield differs(f"tasks.{key}", f"there is no such task in the run; it has: {', '.join(there) or 'none'}")
            continue
        if wanted.max_running is not None:
            most = highest(each for each in seen.attempts_of.get(name or "", []) if each.task_id == task)
            if not wanted.max_running.holds(most):
                yield differs(f"tasks.{key}.max_running", f"{most} ran at once, expected {wanted.max_running}")
        yield from task_differences(f"tasks.{key}", wanted, instances)


def instances_of(run: RunResult, task: str) -> Sequence[Instance]:
    """All instances of a task, mapped or not."""
    if task in run.tasks:
        return run.tasks[task].instances
    return [run.singles[task]] if task in run.singles else []


def _values(expect: Expect, seen: Seen) -> Iterator[Difference]:
    for index, wanted in enumerate(expect.values):
        where = f"values[{index}]"
        run = seen.one(wanted.run)
        found = [each for each in instances_of(run, wanted.task) if each.map_index == wanted.map_index] if run else []
        if not found:
            name = wanted.task if wanted.map_index < 0 else f"{wanted.task}[{wanted.map_index}]"
            yield differs(where, f"there is no instance {name}")
            continue
        try:
            value = _at(found[0].value, wanted.path)
        except (KeyError, IndexError, ValueError, TypeError):
            yield differs(where, f"{found[0].name} returned {_short(found[0].value)}, which has no {wanted.path}")
            continue
        if problem := _value_problem(wanted, value):
            yield differs(where, f"{found[0].name}{'.' + wanted.path if wanted.path else ''} {problem}")


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
            yield differs(f"{part}[{index}]", f"cannot be read: {reason}")
    for (part, index), value in seen.read.items():
        if part != "run" and isinstance(index, int) and (problem := _reading(expect, part, index, value)):
            yield differs(f"{part}[{index}]", problem)


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
            yield differs(f"seconds.{name}", f"took {took:.1f} s, expected {bound}")


def _effects(expect: Expect, effects: Mapping[str, int]) -> Iterator[Difference]:
    for name, bound in expect.effects.items():
        if not bound.holds(effects.get(name, 0)):
            text = f"{effects.get(name, 0)} tries ended badly while it was in force, expected {bound}"
            yield differs(f"effects.{name}", text, "effects")


def _short(value: Any) -> str:
    text = " ".join(json.dumps(value, default=str).split())
    return text if len(text) <= 200 else f"{text[:199]}…"
