# ruff: noqa: RUF012 (pydantic gives each instance a copy of a default)
"""A scenario file: what is given, what is run, which faults come when, what must come out."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from airbed.incidents.claims import Part
from airbed.incidents.expectation import Expect, Invariant
from airbed.incidents.moments import Until, When
from airbed.runs.trigger import parse_moment

Name = r"[a-z0-9][a-z0-9_-]*"
Database = Literal["metadata", "shard-0", "shard-1", "shard-2", "warehouse"]
ONLY = "case"  # the name of the case of a file that has no `cases`
OF_A_CASE = ("run", "runs", "faults", "expect", "breaks", "timeout")  # what stands at the top of such a file


class Seed(BaseModel):
    """A pattern's sample data of a day; every further key is an option of that pattern (`airbed seed --help`)."""

    model_config = ConfigDict(extra="allow", frozen=True)

    pattern: str
    day: date

    @property
    def options(self) -> dict[str, Any]:
        """The options besides pattern and day."""
        return dict(self.model_extra or {})


class Sql(Part):
    """A statement for a database, as its superuser, before the runs.

    `undo` is run at the end of the case, the last statement's first, and also when what is given fails half-way.
    """

    database: Database
    statement: str
    undo: str | None = None


class Object(Part):
    """An object that is put before the runs."""

    bucket: str
    key: str
    text: str = ""


class BedSettings(Part):
    """The bed's settings for the time of a case. `warm` false: the execution API is restarted and not asked once."""

    warm: bool = True
    airflow: dict[str, str] = Field(
        default={}, description="Airflow settings by their variable: SCHEDULER__MAX_TIS_PER_QUERY"
    )


class Given(Part):
    """Data and settings before the runs. `dags` are DAG files, relative to the scenario file."""

    seed: list[Seed] = []
    sql: list[Sql] = []
    objects: list[Object] = []
    pools: dict[str, int] = {}
    variables: dict[str, str] = {}
    bed: BedSettings = BedSettings()
    dags: list[str] = []

    def with_more(self, other: Given) -> Given:
        """This, and the other's on top: lists one after the other, names replaced."""
        return Given(
            seed=[*self.seed, *other.seed],
            sql=[*self.sql, *other.sql],
            objects=[*self.objects, *other.objects],
            pools={**self.pools, **other.pools},
            variables={**self.variables, **other.variables},
            bed=other.bed if "bed" in other.model_fields_set else self.bed,
            dags=list(dict.fromkeys([*self.dags, *other.dags])),
        )


class Backfill(Part):
    """A backfill over the logical dates of the days `from` to `to`, both whole, in the DAG's time zone."""

    first: date = Field(alias="from")
    last: date = Field(alias="to")
    max_active_runs: int | None = Field(None, ge=1)
    reprocess: Literal["none", "failed", "completed"] = "none"


class Clear(Part):
    """Set instances of an earlier run back, so that they run again. No `run`: the one before in the list.

    It waits until that run has ended, also where `after` would come sooner. What came of that run until then is what
    `expect` says of it; what comes after is of this run.
    """

    run: str | None = None
    tasks: list[str] | None = None
    map_indexes: list[int] | None = None
    only_failed: bool = False
    downstream: bool = False


class Run(Part):
    """One run of a DAG, one backfill, or one clear of an earlier run.

    `after` is the step that comes before it (None: at the start). `timeout` in seconds. `watch_for`: look for so many
    seconds (fewer than `timeout`), whatever the run's state is then, and end it; for runs that must not end by
    themselves.
    """

    id: str = Field("run", pattern=rf"^{Name}$")
    dag: str | None = None
    day: date | None = None
    logical_date: datetime | None = None
    conf: dict[str, Any] = {}
    backfill: Backfill | None = None
    clear: Clear | None = None
    after: str | None = None
    timeout: float = Field(300, gt=0, le=3600)
    watch_for: float | None = Field(None, gt=0, le=3600)

    @field_validator("logical_date")
    @classmethod
    def _aware(cls, moment: datetime | None) -> datetime | None:
        """One without a time zone is of UTC, as on the command line: Airflow takes none."""
        return None if moment is None else parse_moment(moment)

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        kinds = [name for name in ("day", "logical_date", "backfill", "clear") if getattr(self, name) is not None]
        if len(kinds) > 1:
            raise ValueError(f"give one of day, logical_date, backfill, clear, not {' and '.join(kinds)}")
        if self.clear is None and self.dag is None:
            raise ValueError("dag is missing: which DAG is run?")
        if self.watch_for is not None and self.watch_for >= self.timeout:
            raise ValueError(
                f"watch_for {self.watch_for:g} is never over within timeout {self.timeout:g}: raise timeout"
            )
        if self.backfill is not None and self.backfill.first > self.backfill.last:
            raise ValueError("backfill.from is after backfill.to: swap them")
        return self


class FaultStep(Part):
    """One fault: its kind (`airbed fault kinds`), its parameters, its moment, its end. `id` None: the kind."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    id: str | None = Field(None, pattern=r"^[a-z0-9][a-z0-9_.-]*$")
    fault: str
    parameters: dict[str, Any] = Field({}, alias="with")
    when: When = When(start=True)
    until: Until = Until(end=True)

    @property
    def name(self) -> str:
        """What other steps and `expect` call it."""
        return self.id or self.fault

    @field_validator("when", "until", mode="before")
    @classmethod
    def _word(cls, value: Any) -> Any:
        return {value: True} if isinstance(value, str) else value


class Case(Part):
    """One play of a scenario. `breaks` names the invariants that this wrong behaviour must break.

    `timeout` is for the whole case, in seconds. `control`: whether it is played without faults too, and what comes out
    then (default: every run and instance a success).
    """

    given: Given = Given()
    run: Run | None = None
    runs: list[Run] = []
    faults: list[FaultStep] = []
    expect: Expect
    breaks: list[Invariant] = []
    control: bool | Expect | None = None
    timeout: float = Field(540, gt=0, le=7200)

    @model_validator(mode="after")
    def _has_runs(self) -> Self:
        if bool(self.runs) == (self.run is not None):
            raise ValueError("give run, or a list runs" if not self.runs else "give run or runs, not both")
        return self

    @property
    def all_runs(self) -> list[Run]:
        """The runs in their order."""
        return self.runs or ([self.run] if self.run is not None else [])


class Scenario(Part):
    """One incident: what is seen, why, what helps, and the cases that prove it. `name` is the file's name."""

    name: str = Field(pattern=rf"^{Name}$")
    symptom: str
    cause: str = ""
    fix: str = ""
    sources: list[str] = []
    needs: list[Literal["kubernetes"]] = []
    given: Given = Given()
    cases: dict[str, Case] = Field(min_length=1)
    control: bool | Expect = True

    @model_validator(mode="before")
    @classmethod
    def _single(cls, data: Any) -> Any:
        """A file without `cases` has one, whose fields stand at the top."""
        if not isinstance(data, Mapping) or "cases" in data or not any(name in data for name in OF_A_CASE):
            return data
        rest = {name: value for name, value in data.items() if name not in OF_A_CASE}
        return {**rest, "cases": {ONLY: {name: data[name] for name in OF_A_CASE if name in data}}}

    def given_of(self, case: str) -> Given:
        """What is given for a case."""
        return self.given.with_more(self.cases[case].given)

    def control_of(self, case: str) -> bool | Expect:
        """Whether a case has a control run, and what must come out of it."""
        own = self.cases[case].control
        return self.control if own is None else own
