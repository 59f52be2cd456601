"""task.hang."""

from __future__ import annotations

from typing import Any, ClassVar

from airbed.clients.director_rules import Action
from airbed.faults.taskrules import AroundTheWork


class TaskHang(AroundTheWork):
    """The task does not go on until its execution_timeout, until it is killed, or until the fault is undone.

    It keeps its heartbeat, as a real one that waits for something does.
    """

    kind: ClassVar[str] = "task.hang"
    action: ClassVar[Action] = "hang"
    summary: ClassVar[str] = "a task hangs"
    example: ClassVar[dict[str, Any]] = {"dag_id": "resilient_processing", "task_id": "process_item", "map_index": 3}
