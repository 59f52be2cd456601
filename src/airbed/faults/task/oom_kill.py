"""task.oom-kill."""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import Field

from airbed.clients.director_rules import Action
from airbed.faults.taskrules import ChosenInstances


class TaskOomKill(ChosenInstances):
    """SIGKILL when the task's process has more than so much in memory, as at a container's memory limit.

    Looked at every 10 ms by a thread of the process, while the work goes on; its children are not counted. A task that
    has done nothing yet has about 200 MB.
    """

    kind: ClassVar[str] = "task.oom-kill"
    action: ClassVar[Action] = "oom-kill"
    summary: ClassVar[str] = "a task's process gets SIGKILL when it grows"
    example: ClassVar[dict[str, Any]] = {
        "dag_id": "resilient_processing",
        "task_id": "process_item",
        "map_index": 3,
        "megabytes": 500,
    }

    megabytes: float = Field(gt=0, description="MB that the process may have in memory (RSS), all in all")

    def details(self) -> dict[str, Any]:
        """What the action is told."""
        return {**super().details(), "megabytes": self.megabytes}
