"""task.slow."""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import Field

from airbed.clients.director_rules import Action
from airbed.faults.taskrules import AroundTheWork


class TaskSlow(AroundTheWork):
    """The task takes so much longer."""

    kind: ClassVar[str] = "task.slow"
    action: ClassVar[Action] = "slow"
    summary: ClassVar[str] = "a task takes longer"
    example: ClassVar[dict[str, Any]] = {
        "dag_id": "resilient_processing",
        "task_id": "process_item",
        "map_index": 3,
        "seconds": 5,
    }

    seconds: float = Field(gt=0, le=86_400, description="seconds that are added")

    def details(self) -> dict[str, Any]:
        """What the action is told."""
        return {**super().details(), "seconds": self.seconds}
