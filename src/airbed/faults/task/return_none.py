"""task.return-none."""

from __future__ import annotations

from typing import Any, ClassVar

from airbed.clients.director_rules import Action
from airbed.faults.taskrules import AroundTheWork


class TaskReturnNone(AroundTheWork):
    """The task returns None, so there is no XCom of it: instead of its work (before), or after it."""

    kind: ClassVar[str] = "task.return-none"
    action: ClassVar[Action] = "return-none"
    summary: ClassVar[str] = "a task returns nothing"
    example: ClassVar[dict[str, Any]] = {"dag_id": "resilient_processing", "task_id": "process_item", "map_index": 3}
