"""task.fail-now."""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import Field

from airbed.clients.director_rules import Action
from airbed.faults.taskrules import AroundTheWork


class TaskFailNow(AroundTheWork):
    """AirflowFailException: the instance fails at once, whatever its retries."""

    kind: ClassVar[str] = "task.fail-now"
    action: ClassVar[Action] = "fail-now"
    summary: ClassVar[str] = "a task fails without a retry"
    example: ClassVar[dict[str, Any]] = {"dag_id": "resilient_processing", "task_id": "process_item", "map_index": 3}

    message: str = Field(default="injected by airbed", min_length=1, description="the text of the exception")

    def details(self) -> dict[str, Any]:
        """What the action is told."""
        return {**super().details(), "message": self.message}
