"""When a fault comes and how long it stays, as a scenario file says it."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from airbed.incidents.claims import Claim, exactly_one
from airbed.plainyaml import ensure_json


class Arrived(Claim):
    """When `count` instances of a task have arrived. They are held until the fault is in force, unless `hold` is false.

    `map_index` and `items` (a path into the rendered task to its values) choose whose arrival counts; the others go by.
    `of` is how many instances there are, where that is known. `point`: they arrive before their work, or after it.
    `timeout` in seconds from the start of the runs.
    """

    task: str
    dag: str | None = None
    count: int = Field(1, ge=1)
    of: int | None = Field(None, ge=1)
    hold: bool = True
    map_index: list[int] | None = None
    items: dict[str, list[Annotated[Any, AfterValidator(ensure_json)]]] | None = None
    try_number: list[int] | None = None
    point: Literal["before", "after"] = "before"
    timeout: float = Field(60, gt=0, le=600)

    @model_validator(mode="after")
    def _can_fill(self) -> Self:
        if self.of is not None and self.count > self.of:
            raise ValueError(f"count {self.count} can never be reached: there are {self.of} instances")
        if self.map_index is not None and self.count > len(set(self.map_index)) * len(self.try_number or [1]):
            raise ValueError(f"count {self.count} can never be reached: map_index names {len(set(self.map_index))}")
        return self


class InState(Claim):
    """When `count` instances of a task (of these map_indexes) are in an Airflow state.

    `timeout` in seconds from the start of the runs, or of an `until` from when the fault came into force; without one
    it is waited for as long as the runs go.
    """

    task: str
    state: Literal["scheduled", "queued", "running", "success", "failed", "up_for_retry", "up_for_reschedule",
                   "deferred", "skipped", "upstream_failed", "removed"] = Field(alias="is")  # fmt: skip
    run: str | None = None
    map_index: list[int] | None = None
    count: int = Field(1, ge=1)
    timeout: float | None = Field(None, gt=0, le=3600)


class ServiceState(Claim):
    """When a part of the bed is in a state. `timeout` as that of `state`."""

    name: str
    state: Literal["running", "starting", "stopped", "paused", "failed", "unkept"] = Field(alias="is")
    timeout: float | None = Field(None, gt=0, le=3600)


class Hits(Claim):
    """When another fault has hit so often."""

    of: str
    count: int = Field(1, ge=1)


class When(Claim):
    """The moment of a fault: `start`, or conditions that must all have come; a gate opens once the fault is in force.

    `after` names a step: a fault (once it is in force, or with `.ended` once it was taken back), or a run (once it has
    ended, or with `.started` once it was triggered).
    """

    start: bool | None = None
    arrived: Arrived | None = None
    state: InState | None = None
    service: ServiceState | None = None
    hits: Hits | None = None
    after: str | None = None

    @model_validator(mode="after")
    def _moment(self) -> Self:
        if self.start is False or not self.model_fields_set or (self.start and len(self.model_fields_set) > 1):
            raise ValueError("say start, or give one or more of arrived, state, service, hits, after")
        return self


class Until(Claim):
    """How long a fault stays in force: `end`, or exactly one condition. `seconds` of the bed's clock.

    Who is held by `arrived` goes on when the fault is gone; its timeout counts from when the fault came into force.
    """

    end: bool | None = None
    seconds: float | None = Field(default=None, gt=0, le=3600)
    arrived: Arrived | None = None
    hits: int | None = Field(default=None, ge=1)
    after: str | None = None
    state: InState | None = None
    service: ServiceState | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        return exactly_one(self)
