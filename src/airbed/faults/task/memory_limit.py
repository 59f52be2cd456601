"""task.memory-limit."""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import Field

from airbed.clients.director_rules import Action
from airbed.faults.taskrules import ChosenInstances


class TaskMemoryLimit(ChosenInstances):
    """The task's work gets MemoryError when it asks for more than so much (RLIMIT_AS of its process while it works)."""

    kind: ClassVar[str] = "task.memory-limit"
    action: ClassVar[Action] = "memory-limit"
    summary: ClassVar[str] = "a task's work gets MemoryError"
    example: ClassVar[dict[str, Any]] = {
        "dag_id": "resilient_processing",
        "task_id": "process_item",
        "map_index": 3,
        "megabytes": 64,
    }

    megabytes: float = Field(ge=0, description="MB of address space above what the process has when the work begins")

    def details(self) -> dict[str, Any]:
        """What the action is told."""
        return {**super().details(), "megabytes": self.megabytes}
