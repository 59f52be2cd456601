"""A run's outcomes for people (Rich) and for programs (JSON)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from rich.console import Group
from rich.table import Table
from rich.text import Text

from airbed.runs.model import Instance, MappedTask, Outcome, RunResult

if TYPE_CHECKING:
    from rich.console import RenderableType

_COUNTED: tuple[Outcome, ...] = (
    "success",
    "soft",
    "hard",
    "skipped",
    "removed",
    "upstream_failed",
    "lost",
    "unfinished",
)
_RARE = {"removed", "upstream_failed", "unfinished"}
_STYLE = {"success": "green", "soft": "yellow", "skipped": "dim", "removed": "dim"}


def as_json(result: RunResult, task: str | None = None) -> dict[str, Any]:
    """The run as JSON.

    `{"dag_id", "run_id", "state", "logical_date", "seconds", "max_running", "picked_up", "tasks": {task_id:
    {"expected", "instances", <count of each outcome>, "max_running", "outcomes": [instance]}}, "singles":
    {task_id: instance}}` with instance `{"map_index", "state", "airflow_state", "tries", "error", "seconds", "value"}`.
    `task` narrows tasks and singles to that one.
    """
    return {
        "dag_id": result.dag_id,
        "run_id": result.run_id,
        "state": result.state,
        "logical_date": result.logical_date.isoformat() if result.logical_date else None,
        "seconds": round(result.seconds, 3),
        "max_running": result.max_running,
        "picked_up": result.picked_up,
        "tasks": {name: _task_json(each) for name, each in result.tasks.items() if task in {None, name}},
        "singles": {name: _instance_json(each) for name, each in result.singles.items() if task in {None, name}},
    }


def as_table(result: RunResult, task: str | None = None, limit: int = 50) -> RenderableType:
    """A table with one row a mapped task, then each instance that did not succeed, then the verdict.

    `task` narrows to one task and lists all its instances; `limit` is the most instances listed.
    """
    parts: list[RenderableType] = []
    tasks = [each for each in result.tasks.values() if task in {None, each.task_id}]
    if tasks:
        parts.append(_counts(tasks))
    if task is None:
        rows = [each for each in result.failures() if each.state not in {"removed"}]
    else:
        single = result.singles.get(task)
        rows = [single] if single else [each for mapped in tasks for each in mapped.instances]
    if rows:
        parts.append(_instances(rows[:limit]))
    if len(rows) > limit:
        parts.append(Text(f"... and {len(rows) - limit} more; --json has all of them", style="dim"))
    parts.append(verdict(result))
    return Group(*parts)


def verdict(result: RunResult) -> Text:
    """`s3_daily_processor manual__...: success in 12.3 s although 3 instances failed, at most 8 at once`."""
    failed = len(result.failures())
    return Text.assemble(
        (f"{result.dag_id} ", "bold"),
        f"{result.run_id}: ",
        (result.state, "bold green" if result.ok else "bold red"),
        f" in {result.seconds:.1f} s",
        (
            f" although {failed} {'instance' if failed == 1 else 'instances'} failed" if failed and result.ok else "",
            "yellow",
        ),
        f", at most {result.max_running} at once",
    )


def plain_lines(result: RunResult) -> Iterator[str]:
    """The outcomes as plain lines, for a failing test's output."""
    yield str(verdict(result))
    for task in result.tasks.values():
        counts = ", ".join(f"{task.count(name)} {name}" for name in _COUNTED if task.count(name))
        yield f"  {task.task_id}: {task.expected} expected: {counts or 'no instances'}; {task.max_running} at once"
    for each in result.failures():
        yield f"  {each.name}: {each.state}, {each.tries} tries: {each.error or ''}"


def _counts(tasks: list[MappedTask]) -> Table:
    shown = [name for name in _COUNTED if name not in _RARE or any(task.count(name) for task in tasks)]
    table = Table("mapped task", pad_edge=False, box=None, header_style="bold")
    for heading in ("expected", *shown, "at once", "tries", "seconds"):
        table.add_column(heading.replace("upstream_failed", "upstream"), justify="right", no_wrap=True)
    for task in tasks:
        counts = [_count_text(name, task.count(name)) for name in shown]
        work = sum(each.seconds for each in task.instances)
        table.add_row(
            task.task_id,
            "?" if task.expected is None else str(task.expected),
            *counts,
            str(task.max_running) if task.cap is None else f"{task.max_running}/{task.cap}",
            str(sum(task.tries)),
            f"{work:.1f}",
        )
    return table


def _instances(rows: list[Instance]) -> Table:
    table = Table("instance", "outcome", pad_edge=False, box=None, header_style="bold")
    table.add_column("tries", justify="right")
    table.add_column("seconds", justify="right")
    table.add_column("error", overflow="fold")
    for each in rows:
        style = _STYLE.get(each.state, "red")
        error = Text(each.error or "")
        table.add_row(
            Text(each.name), Text(each.state.replace("_", " "), style), str(each.tries), f"{each.seconds:.1f}", error
        )
    return table


def _count_text(name: str, count: int) -> Text:
    return Text(str(count), _STYLE.get(name, "red") if count else "dim")


def _task_json(task: MappedTask) -> dict[str, Any]:
    return {
        "expected": task.expected,
        "instances": len(task.instances),
        **{name: task.count(name) for name in _COUNTED},
        "max_running": task.max_running,
        "cap": task.cap,
        "outcomes": [_instance_json(each) for each in task.instances],
    }


def _instance_json(each: Instance) -> dict[str, Any]:
    return {
        "map_index": each.map_index,
        "state": each.state,
        "airflow_state": each.airflow_state,
        "tries": each.tries,
        "error": each.error,
        "seconds": round(each.seconds, 3),
        "value": each.value,
    }
