"""What a run came to: every instance of every mapped task, accounted for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

Outcome = Literal["success", "soft", "hard", "skipped", "removed", "upstream_failed", "lost", "unfinished"]


@dataclass(frozen=True)
class Instance:
    """One task instance.

    `state` is the outcome: `success`; `soft` (succeeded, and returned a dict whose `status` is `failed`); `hard` (ended
    failed); `skipped`; `removed`; `upstream_failed`; `lost` (expected, but never created, or not finished when the run
    ended); `unfinished` (the run goes on). `map_index` is -1 when the task is not mapped or was never expanded.
    `airflow_state` is the state in the metadata database (None: no row, or not looked at). `tries` is 0 when it never
    ran. `error` is one line. `value` is the return value as stored: JSON, or an object's URL when it was large.
    `seconds` is the work of all tries together.
    """

    task_id: str
    map_index: int
    state: Outcome
    airflow_state: str | None
    tries: int
    error: str | None = None
    value: Any = None
    seconds: float = 0.0
    started: datetime | None = None
    ended: datetime | None = None

    @property
    def name(self) -> str:
        """`process_file[3]`, or the task's id alone."""
        return self.task_id if self.map_index < 0 else f"{self.task_id}[{self.map_index}]"

    @property
    def ok(self) -> bool:
        """Whether nothing went wrong with it: success or skipped."""
        return self.state in {"success", "skipped"}


@dataclass(frozen=True)
class MappedTask:
    """All instances of one mapped task, in map_index order.

    `expected` is how many the upstream lists ask for (None: unknown, as when the upstream failed). `instances[i]` has
    map_index i, except for a task that was never expanded: then there is one with map_index -1, or none for an empty
    list. `max_running` is the highest number of instances seen running at once in this run, over all tries; `cap` the
    smaller of the task's max_active_tis_per_dag and max_active_tis_per_dagrun (None: it has neither).
    """

    task_id: str
    expected: int | None
    instances: tuple[Instance, ...]
    max_running: int
    cap: int | None = None

    def indexes(self, *states: Outcome) -> list[int]:
        """The map_indexes of the instances with one of these outcomes."""
        return [each.map_index for each in self.instances if each.state in states]

    def count(self, *states: Outcome) -> int:
        """How many instances have one of these outcomes."""
        return len(self.indexes(*states))

    @property
    def success(self) -> int:
        """How many succeeded (soft failures not included)."""
        return self.count("success")

    @property
    def soft(self) -> int:
        """How many returned `{"status": "failed", ...}`."""
        return self.count("soft")

    @property
    def hard(self) -> int:
        """How many ended failed."""
        return self.count("hard")

    @property
    def skipped(self) -> int:
        """How many were skipped."""
        return self.count("skipped")

    @property
    def removed(self) -> int:
        """How many were removed: a rerun listed fewer items."""
        return self.count("removed")

    @property
    def upstream_failed(self) -> int:
        """How many did not run because something before them failed."""
        return self.count("upstream_failed")

    @property
    def lost(self) -> int:
        """How many are missing, or were not finished when the run ended."""
        return self.count("lost")

    @property
    def values(self) -> list[Any]:
        """The return values as stored, in map_index order, None where there is none."""
        return [each.value for each in self.instances]

    @property
    def tries(self) -> list[int]:
        """The number of tries of each instance, in map_index order."""
        return [each.tries for each in self.instances]


@dataclass(frozen=True)
class RunResult:
    """One run: `tasks` has its mapped tasks, `singles` its tasks that are not mapped, both by task id.

    `seconds` is the run's time from start to end; `max_running` the highest number of instances of any task that ran at
    once in it. `picked_up` tells that the run was there before and was followed, not started.
    """

    dag_id: str
    run_id: str
    state: str
    seconds: float
    tasks: Mapping[str, MappedTask]
    singles: Mapping[str, Instance] = field(default_factory=dict)
    max_running: int = 0
    logical_date: datetime | None = None
    picked_up: bool = False

    @property
    def ok(self) -> bool:
        """Whether Airflow calls the run a success."""
        return self.state == "success"

    def task(self, task_id: str) -> MappedTask:
        """A mapped task; KeyError that names the mapped tasks there are."""
        if task_id not in self.tasks:
            raise KeyError(
                f"run {self.run_id} has no mapped task '{task_id}'; it has: {', '.join(self.tasks) or 'none'}"
            )
        return self.tasks[task_id]

    def single(self, task_id: str) -> Instance:
        """A task that is not mapped; KeyError that names those there are."""
        if task_id not in self.singles:
            names = ", ".join(self.singles) or "none"
            raise KeyError(f"run {self.run_id} has no unmapped task '{task_id}'; it has: {names}")
        return self.singles[task_id]

    def failures(self) -> list[Instance]:
        """Every instance that neither succeeded nor was skipped: mapped ones first, then the others."""
        mapped = [each for task in self.tasks.values() for each in task.instances]
        return [each for each in (*mapped, *self.singles.values()) if not each.ok]

    def to_json(self) -> dict[str, Any]:
        """The run as JSON: see `airbed.runs.report.as_json`."""
        from airbed.runs.report import as_json

        return as_json(self)
