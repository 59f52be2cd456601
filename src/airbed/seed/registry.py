"""Every pattern's sample data, by DAG id and by short name."""

from __future__ import annotations

import difflib
import inspect
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from typing import Any, Protocol

import psycopg

from airbed.errors import UsageError
from airbed.runs.trigger import parse_day
from airbed.seed import region_artifacts, s3_daily, shards
from airbed.seed.summary import Summary

DEFAULT_SEED = 1


class Clients(Protocol):
    """What seeding needs of a bed; `airbed.bed.Bed` has it."""

    @property
    def s3(self) -> Any:
        """A boto3 S3 client."""

    def database(self, service: str) -> psycopg.Connection[Any]:
        """A new superuser's connection to a database service."""


@dataclass(frozen=True)
class Pattern:
    """One pattern. `put` takes the clients, the day, `seed` and the options of its own; `short` is a second name."""

    dag_id: str
    short: str
    put: Callable[..., Summary]

    @property
    def options(self) -> tuple[str, ...]:
        """Names of the options besides day and seed."""
        parameters = inspect.signature(self.put).parameters.values()
        return tuple(each.name for each in parameters if each.kind is each.KEYWORD_ONLY and each.name != "seed")

    def problem_with(self, option: str, value: Any) -> str | None:
        """What is wrong with the type of an option's value, as a file says it; None when nothing is."""
        from pydantic import TypeAdapter, ValidationError

        wanted = inspect.signature(self.put, eval_str=True).parameters[option].annotation
        try:
            TypeAdapter(wanted).validate_json(json.dumps(value, default=str), strict=True)
        except ValidationError as error:
            said = error.errors()[0]["msg"].removeprefix("Input should be ")
            return f"{said} is needed, not {value!r}"
        return None


def _s3_daily(
    clients: Clients, day: date, *, seed: int = DEFAULT_SEED, rows: int = 24_000, files: int = 24, unreadable: int = 1
) -> Summary:
    return s3_daily.put(clients.s3, day, seed=seed, rows=rows, files=files, unreadable=unreadable)


def _shards(
    clients: Clients, day: date, *, seed: int = DEFAULT_SEED, rows: int = 120_000, missing: tuple[int, ...] = ()
) -> Summary:
    return shards.put(clients.database, day, seed=seed, rows=rows, missing=missing)


def _artifacts(clients: Clients, day: date, *, seed: int = DEFAULT_SEED) -> Summary:
    return region_artifacts.put(clients.s3, day, seed=seed)


def _none(dag_id: str) -> Callable[..., Summary]:
    def put(clients: Clients, day: date, *, seed: int = DEFAULT_SEED) -> Summary:
        return Summary(pattern=dag_id, day=day, seed=seed, note="needs no data: it makes its own items")

    return put


PATTERNS = {
    pattern.dag_id: pattern
    for pattern in (
        Pattern("s3_daily_processor", "s3", _s3_daily),
        Pattern("parallel_shard_processor", "shards", _shards),
        Pattern("multi_region_deploy", "regions", _artifacts),
        Pattern("resilient_processing", "resilient", _none("resilient_processing")),
        Pattern("backfill_safe_dag", "backfill", _none("backfill_safe_dag")),
        Pattern("heavy_data_mapping", "heavy", _none("heavy_data_mapping")),
    )
}


def find_pattern(name: str) -> Pattern:
    """The pattern of a DAG id or short name; UsageError with the nearest name when there is none."""
    names = PATTERNS | {pattern.short: pattern for pattern in PATTERNS.values()}
    if name in names:
        return names[name]
    nearest = difflib.get_close_matches(name, names, n=1)
    hint = f"did you mean '{nearest[0]}'?" if nearest else f"there are: {', '.join(PATTERNS)}"
    raise UsageError(f"no sample data for '{name}': {hint}")


def seed_pattern(clients: Clients, name: str, day: date | str, *, seed: int = DEFAULT_SEED, **options: Any) -> Summary:
    """Put a pattern's sample data of one day into a bed, replacing what that day had.

    The same seed number gives the same data. Returns the pattern's own summary (S3DailySummary, ShardsSummary,
    ArtifactsSummary or Summary). Raises UsageError for an unknown pattern or option, a bad
    day, or a value out of range.
    """
    pattern = find_pattern(name)
    if seed < 0:
        raise UsageError(f"seed {seed} is out of range: give 0 or more")
    unknown = sorted(set(options) - set(pattern.options))
    if unknown:
        takes = ", ".join(pattern.options) or "only day and seed"
        raise UsageError(f"the data of {pattern.dag_id} has no option '{unknown[0]}': it takes {takes}")
    return pattern.put(clients, parse_day(day), seed=seed, **options)
