"""Which instances of a task are meant."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from airbed.director import fields as read


@dataclass(frozen=True)
class Instance:
    """One try of one task instance; `map_index` is -1 for an unmapped task, `try_number` starts at 1."""

    dag_id: str
    run_id: str
    task_id: str
    map_index: int
    try_number: int

    @classmethod
    def parse(cls, body: object) -> Instance:
        """Read it from a JSON object; UsageError names the field that is missing or wrong."""
        fields = read.as_object(body, "task instance")
        return cls(
            dag_id=read.text(fields, "dag_id"),
            run_id=read.text(fields, "run_id"),
            task_id=read.text(fields, "task_id"),
            map_index=read.integer(fields, "map_index"),
            try_number=read.integer(fields, "try_number"),
        )


@dataclass(frozen=True)
class Selection:
    """Instances of one task; `run_id`, `map_index` and `try_number` of None mean every one."""

    dag_id: str
    task_id: str
    run_id: str | None = None
    map_index: tuple[int, ...] | None = None
    try_number: tuple[int, ...] | None = None

    @classmethod
    def parse(cls, fields: Mapping[str, Any], what: str) -> Selection:
        """Read it from among the fields of a JSON object; `what` names that in errors."""
        return cls(
            dag_id=read.text(fields, "dag_id"),
            task_id=read.text(fields, "task_id"),
            run_id=read.optional_text(fields, "run_id"),
            map_index=read.integers(fields, "map_index", -1, what),
            try_number=read.integers(fields, "try_number", 1, what),
        )

    def matches(self, instance: Instance) -> bool:
        """Whether an instance is meant."""
        return (
            self.dag_id == instance.dag_id
            and self.task_id == instance.task_id
            and self.run_id in (None, instance.run_id)
            and (self.map_index is None or instance.map_index in self.map_index)
            and (self.try_number is None or instance.try_number in self.try_number)
        )
