"""The processes of one running task instance."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from airbed.errors import Unavailable, UsageError
from airbed.faults.model import Fault, Level, Plan

if TYPE_CHECKING:
    from airbed.bed import Bed

FOUND_WITHIN = 10.0  # seconds

_RUNNING = (
    "SELECT i.id::text, i.run_id, i.map_index, i.try_number, i.pid FROM task_instance i"
    " JOIN dag_run r ON r.dag_id = i.dag_id AND r.run_id = i.run_id"
    " WHERE i.dag_id = %s AND i.task_id = %s AND i.state = 'running' ORDER BY r.id DESC, i.map_index"
)


class InstanceFault(Fault):
    """A fault of the processes of ONE task instance that runs now.

    In Airflow 3.3.2 with LocalExecutor two processes belong to it: a supervisor, which is a worker of the scheduler,
    and its child, the task runner, in which the task's own code runs. The runner's id is `pid` in the metadata
    database. The fault is about the runner and everything that descends from it; the supervisor lives on, as it does
    when the kernel kills a task for its memory.
    """

    level: ClassVar[Level] = "process"
    undo_order: ClassVar[int] = 10

    dag_id: str = Field(description="the DAG")
    task_id: str = Field(description="the task, with its groups: group.task")
    map_index: int = Field(default=-1, ge=-1, description="from 0; -1: not mapped")
    run_id: str | None = Field(default=None, description="the run (default: the newest in which it runs)")
    try_number: int | None = Field(default=None, ge=1, description="the try, from 1 (default: any)")

    def plan(self, bed: Bed, key: str) -> Plan:
        """The runner that it is about: pid and start, in clock ticks since boot."""
        found = self._find(bed)
        return {"key": key, **found}

    def _find(self, bed: Bed) -> dict[str, Any]:
        """Wait a moment: an instance is `running` just before its runner has its name."""
        deadline = time.monotonic() + FOUND_WITHIN
        while True:
            with bed.database("metadata") as connection:
                rows = connection.execute(_RUNNING.encode(), [self.dag_id, self.task_id]).fetchall()
            rows = [row for row in rows if self.run_id in (None, row[1]) and self.try_number in (None, row[3])]
            mine = [row for row in rows if row[2] == self.map_index]
            if rows and not mine:
                indexes = ", ".join(str(row[2]) for row in rows[:10])
                raise UsageError(
                    f"{self.kind}: {self.task_id}[{self.map_index}] does not run; running map_index: {indexes}"
                )
            for instance, run_id, _, try_number, pid in mine[:1]:
                start = bed.substrate.start_of(int(pid or 0), instance)
                if start is not None:
                    return {"pid": pid, "start": start, "run_id": run_id, "try_number": try_number}
            if time.monotonic() > deadline:
                what = f"{self.dag_id}.{self.task_id}[{self.map_index}]"
                raise Unavailable(f"{self.kind}: no instance {what} of bed '{bed.name}' runs; see: airbed status")
            time.sleep(0.05)
