"""What the kinds that break chosen task instances have in common: a rule at the director."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, Field, field_validator

from airbed.clients.director_rules import Action
from airbed.errors import UsageError
from airbed.faults.model import Fault, Level, Plan
from airbed.plainyaml import ensure_json

if TYPE_CHECKING:
    from airbed.bed import Bed

MapIndex = Annotated[int, Field(ge=-1)]
Json = Annotated[Any, AfterValidator(ensure_json)]
FromOne = Annotated[int, Field(ge=1)]


class ChosenInstances(Fault):
    """A fault in the process of chosen instances of one task: the bed's listener puts it around their work.

    The DAG is not changed. The task asks the director when it starts, so an instance that already works is not hit.
    """

    level: ClassVar[Level] = "task"
    action: ClassVar[Action]

    dag_id: str = Field(description="the DAG")
    task_id: str = Field(description="the task, with its groups: group.task")
    run_id: str | None = Field(default=None, description="the run (default: every one)")
    map_index: MapIndex | list[MapIndex] | None = Field(
        default=None, description="from 0; -1: not mapped; one or a list (default: every one)"
    )
    try_number: FromOne | list[FromOne] | None = Field(
        default=None, description="the try, from 1; one or a list (default: every one)"
    )
    where: dict[str, Json] | None = Field(
        default=None, description="values of the rendered task by dotted path, such as {op_kwargs.item.id: 3}"
    )
    arrivals: FromOne | list[FromOne] | None = Field(
        default=None, description="which of them in the order they come to the fault, from 1; one or a list"
    )
    times: FromOne | None = Field(default=None, description="firings at most, over all instances (default: no limit)")

    @field_validator("where")
    @classmethod
    def _paths(cls, where: dict[str, Any] | None) -> dict[str, Any] | None:
        if where is not None and not (where and all(all(path.split(".")) for path in where)):
            raise ValueError("must map names and positions joined by dots to values, such as {op_kwargs.item.id: 3}")
        return where

    def details(self) -> dict[str, Any]:
        """What the action is told, by the names of the director's task rules."""
        return {}

    def check(self, bed: Bed) -> None:
        """Refuse a DAG or a task that Airflow does not know, and an instance that cannot be."""
        from airbed.clients.airflow import unknown_dag

        structure = bed.metadata.structure(self.dag_id)
        if structure is None:
            known = bed.metadata.dag_ids()
            if self.dag_id not in known:
                raise unknown_dag(self.dag_id, known)
            return
        tasks = [str(each.get("__var", each).get("task_id")) for each in structure["dag"]["tasks"]]
        if self.task_id not in tasks:
            raise UsageError(f"DAG '{self.dag_id}' has no task '{self.task_id}'; it has: {', '.join(sorted(tasks))}")

    def apply(self, bed: Bed, plan: Plan) -> None:
        """Give the director the rule, under the key of this injection."""
        fields = self.model_dump(include={*ChosenInstances.model_fields}, exclude_none=True)
        bed.director.add_task_rule(**{**fields, **self.details(), "action": self.action, "id": plan["key"]})

    def undo(self, bed: Bed, plan: Plan) -> None:
        """Take the rule back; who has met it already keeps what it did."""
        bed.director.remove(plan["key"])

    def fired(self, bed: Bed, plan: Plan) -> int | None:
        """How many instances had the fault."""
        rule = bed.director.rule(plan["key"])
        return None if rule is None else int(rule["fired"])


class AroundTheWork(ChosenInstances):
    """A fault just before or just after the task's real work."""

    when: Literal["before", "after"] = Field(default="before", description="before or after the task's real work")

    def details(self) -> dict[str, Any]:
        """The side of the work."""
        return {"when": self.when}
