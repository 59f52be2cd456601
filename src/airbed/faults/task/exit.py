"""task.exit."""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import Field

from airbed.clients.director_rules import Action
from airbed.faults.taskrules import AroundTheWork


class TaskExit(AroundTheWork):
    """The task's process ends by itself with an exit code, without any exception (os._exit)."""

    kind: ClassVar[str] = "task.exit"
    action: ClassVar[Action] = "exit"
    summary: ClassVar[str] = "a task's process ends with an exit code"
    example: ClassVar[dict[str, Any]] = {
        "dag_id": "resilient_processing",
        "task_id": "process_item",
        "map_index": 3,
        "try_number": 1,
        "code": 3,
    }

    code: int = Field(default=1, ge=0, le=255, description="the exit code")

    def details(self) -> dict[str, Any]:
        """What the action is told."""
        return {**super().details(), "code": self.code}
