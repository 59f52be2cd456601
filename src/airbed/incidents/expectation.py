# ruff: noqa: RUF012 (pydantic gives each instance a copy of a default)
"""What must come out of a case, as a scenario file says it."""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from airbed.incidents.claims import AtMost, Bound, Claim, Part, Regex, Tries, one_of
from airbed.runs.model import Outcome

# Looked at after every case; `silent-success` and `orphan-objects` only where a file names them.
Invariant = Literal[
    "duplicates",
    "lost",
    "caps",
    "orphan-processes",
    "leaked-secrets",
    "personal-data",
    "silent-success",
    "orphan-objects",
]
RunState = Literal["success", "failed", "running", "queued"]


class TaskExpect(Claim):
    """What became of a task's instances.

    `outcomes`: by outcome the exact map_indexes or how many; what is not named must not be. One word: all of them.
    `errors`: a regular expression by map_index, or one for every failed instance. `max_running`: at once, at most.
    `seconds`: of work, all tries together: of each instance, or by map_index.
    """

    outcomes: dict[Outcome, list[int] | int] | Outcome | None = None
    tries: Tries | None = None
    errors: dict[int, Regex] | Regex | None = None
    max_running: AtMost | None = None
    seconds: dict[int, Bound] | Bound | None = None

    @field_validator("seconds", mode="before")
    @classmethod
    def _by_index(cls, value: Any) -> Any:
        """A mapping of numbers is by map_index; anything else is one bound for all."""
        by_index = isinstance(value, dict) and all(isinstance(key, int) for key in value)
        return value if value is None or by_index else Bound.model_validate(value)


class ValueExpect(Claim):
    """A task's return value, or what lies at a dotted `path` in it. `equals`, `matches` (of its text), or a bound."""

    null_means = frozenset({"equals"})

    task: str
    run: str | None = None
    map_index: int = -1
    path: str | None = None
    equals: Any = None
    matches: Regex | None = None
    is_: Bound | None = Field(None, alias="is")

    @model_validator(mode="after")
    def _one(self) -> Self:
        return one_of(self, ("equals", "matches", "is_"))


class RowsExpect(Claim):
    """What a query gives: `equals` all rows as lists, or `count` of them."""

    database: Literal["metadata", "shard-0", "shard-1", "shard-2", "warehouse"]
    query: str
    equals: list[list[Any]] | None = None
    count: Bound | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        return one_of(self, ("equals", "count"))


class ObjectsExpect(Claim):
    """How many objects a bucket has under a prefix; a plain number is exact. `matches`: of the text of each."""

    bucket: str
    prefix: str = ""
    key: Regex | None = None
    count: Bound = Bound(at_least=1)
    matches: Regex | None = None


class RolloutExpect(Claim):
    """A region's Deployment: its version, and how many replicas are ready. `version` null: there is none."""

    null_means = frozenset({"version"})

    region: str
    name: str = "web"
    version: str | None
    ready: Bound | None = None


class MetricExpect(Claim):
    """A StatsD metric since the case began. `field`: sum for counters, else count, last, max, mean, p50, p90, p99."""

    name: str
    field: Literal["sum", "count", "last", "min", "max", "mean", "p50", "p90", "p99"] = "sum"
    equals: float | None = None
    at_least: float | None = None
    at_most: float | None = None

    @property
    def bound(self) -> Bound:
        """The bound that it must keep."""
        said = {name: getattr(self, name) for name in ("equals", "at_least", "at_most")}
        return Bound(**{name: number for name, number in said.items() if number is not None})

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if self.equals is self.at_least is self.at_most is None:
            raise ValueError("give equals, at_least or at_most")
        return self


class LogExpect(Claim):
    """Lines of a task's log (all tries unless `try_number`), or of a service's since the case began."""

    task: str | None = None
    service: str | None = None
    run: str | None = None
    map_index: int = -1
    try_number: int | None = None
    matches: Regex
    count: Bound = Bound(at_least=1)

    @model_validator(mode="after")
    def _one(self) -> Self:
        return one_of(self, ("task", "service"))


class Expect(Part):
    """What must come out; what is not named is not looked at.

    `run` is the state of the run, or of each named run; a backfill's is failed when one of its days failed. A key of
    `tasks` is a task id, or `run-id/task-id` where there are several runs (default: the last). `effects`: tries that
    failed while a fault was in force, by fault. `seconds`: how long runs took, by run.
    """

    run: RunState | dict[str, RunState]
    tasks: dict[str, TaskExpect] = {}
    values: list[ValueExpect] = []
    rows: list[RowsExpect] = []
    objects: list[ObjectsExpect] = []
    rollouts: list[RolloutExpect] = []
    metrics: list[MetricExpect] = []
    logs: list[LogExpect] = []
    effects: dict[str, Bound] = {}
    seconds: dict[str, AtMost] = {}
    never: list[Invariant] = []

    @field_validator("tasks", mode="before")
    @classmethod
    def _one_word(cls, value: Any) -> Any:
        """`task: success` is short for `task: {outcomes: success}`."""
        if not isinstance(value, dict):
            return value
        return {name: {"outcomes": each} if isinstance(each, str) else each for name, each in value.items()}
