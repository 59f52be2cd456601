"""task.raise."""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import Field, field_validator

from airbed.clients.director_rules import Action
from airbed.director.exceptions import DEFAULT_EXCEPTION, check_exception
from airbed.faults.taskrules import AroundTheWork


class TaskRaise(AroundTheWork):
    """An exception of any class, where the task's own code would raise one: its retries go on as for a real one."""

    kind: ClassVar[str] = "task.raise"
    action: ClassVar[Action] = "raise"
    summary: ClassVar[str] = "a task raises an exception"
    example: ClassVar[dict[str, Any]] = {
        "dag_id": "resilient_processing",
        "task_id": "process_item",
        "map_index": 3,
        "exception": "builtins:OSError",
    }

    exception: str = Field(
        default=DEFAULT_EXCEPTION, description="the class, as module:Class; with one argument: message"
    )
    message: str = Field(default="injected by airbed", min_length=1, description="the text of the exception")

    @field_validator("exception")
    @classmethod
    def _is_a_class(cls, path: str) -> str:
        check_exception(path)
        return path

    def details(self) -> dict[str, Any]:
        """What the action is told."""
        return {**super().details(), "exception": self.exception, "message": self.message}
