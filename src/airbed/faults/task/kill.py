"""task.kill."""

from __future__ import annotations

from typing import Any, ClassVar

from airbed.clients.director_rules import Action
from airbed.faults.taskrules import AroundTheWork


class TaskKill(AroundTheWork):
    """SIGKILL of the task's process at an exact point of it, as an OOM killer or a lost node does it."""

    kind: ClassVar[str] = "task.kill"
    action: ClassVar[Action] = "kill"
    summary: ClassVar[str] = "a task's process gets SIGKILL"
    example: ClassVar[dict[str, Any]] = {
        "dag_id": "resilient_processing",
        "task_id": "process_item",
        "map_index": 3,
        "try_number": 1,
    }
