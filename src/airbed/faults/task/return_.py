"""task.return."""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import Field

from airbed.clients.director_rules import Action
from airbed.faults.taskrules import AroundTheWork, Json


class TaskReturn(AroundTheWork):
    """The task returns a value of yours: instead of its work (before), or instead of its work's value (after)."""

    kind: ClassVar[str] = "task.return"
    action: ClassVar[Action] = "return"
    summary: ClassVar[str] = "a task returns another value"
    example: ClassVar[dict[str, Any]] = {
        "dag_id": "resilient_processing",
        "task_id": "process_item",
        "map_index": 3,
        "value": {"status": "ok"},
    }

    value: Json = Field(description="what is returned, any JSON value")

    def details(self) -> dict[str, Any]:
        """What the action is told."""
        return {**super().details(), "value": self.value}
