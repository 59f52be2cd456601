"""The log of one task instance, asked for as a user writes it: `process_file[5]`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from airbed.errors import UsageError

if TYPE_CHECKING:
    from airbed.clients.rows import InstanceRow, RunRow
    from airbed.runs.protocols import RunBed

_NAME = re.compile(r"(?P<task>[\w.~-]+)(\[(?P<index>\d+)\])?")


def parse_instance(name: str) -> tuple[str, int | None]:
    """Task id and map_index (None: not said) of `process_file[5]`; UsageError otherwise."""
    match = _NAME.fullmatch(name.strip())
    if match is None:
        raise UsageError(f"'{name}' is not a task instance: write it as process_file, or 'process_file[5]'")
    return match["task"], int(match["index"]) if match["index"] else None


def task_log(
    bed: RunBed, run_id: str, instance: str, *, dag_id: str | None = None, try_number: int | None = None
) -> tuple[str, str]:
    """The log's text, and one line that says what it is of.

    `try_number` None is the latest try. UsageError for a run, task, instance or try that is not there.
    """
    task_id, index = parse_instance(instance)
    run = _run(bed, run_id, dag_id)
    row = _row(bed.metadata.instances(run.dag_id, run_id), task_id, index, run_id)
    number = try_number if try_number is not None else row.try_number
    if number < 1 or number > row.try_number:
        tried = f"was tried {row.try_number} times" if row.try_number else f"never ran: it is {row.state or 'waiting'}"
        raise UsageError(f"{instance} of run {run_id} has no log of try {number}: it {tried}")
    text = bed.airflow.log(run.dag_id, run_id, task_id, row.map_index, number)
    name = task_id if row.map_index < 0 else f"{task_id}[{row.map_index}]"
    return text, f"{run.dag_id} {run_id} {name}, try {number} of {row.try_number}, {row.state or 'waiting'}"


def _run(bed: RunBed, run_id: str, dag_id: str | None) -> RunRow:
    runs = [each for each in bed.metadata.run_by_id(run_id) if dag_id in {None, each.dag_id}]
    if not runs:
        raise UsageError(f"there is no run '{run_id}'{f' of {dag_id}' if dag_id else ''} on bed '{bed.name}'")
    if len(runs) > 1:
        raise UsageError(
            f"several DAGs have a run '{run_id}': say which with --dag: {', '.join(each.dag_id for each in runs)}"
        )
    return runs[0]


def _row(rows: list[InstanceRow], task_id: str, index: int | None, run_id: str) -> InstanceRow:
    mine = [each for each in rows if each.task_id == task_id]
    if not mine:
        names = ", ".join(dict.fromkeys(each.task_id for each in rows)) or "none"
        raise UsageError(f"run {run_id} has no task '{task_id}'; it has: {names}")
    if index is None:
        if len(mine) > 1:
            raise UsageError(
                f"'{task_id}' is mapped: say which instance, '{task_id}[0]' to '{task_id}[{mine[-1].map_index}]'"
            )
        return mine[0]
    found = next((each for each in mine if each.map_index == index), None)
    if found is None:
        raise UsageError(f"run {run_id} has no '{task_id}[{index}]'; it has {len(mine)} instances")
    return found
