"""What makes a bed quicker than its parts are by themselves, each switched off by `airbed up --without-lever`.

A lever is on unless the bed's spec names it in `levers_off`; `--production-like`, or AIRBED_PRODUCTION_LIKE=1 in the
caller's environment, names all. What each gives is measured by `airbed bench up fanout
--against without-LEVER`, and stands in docs/performance.md. The first request to the execution API, made before a bed
counts as healthy, is no lever: without it a run can be "success" with no instance, so it stays with all of them off.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from airbed.errors import UsageError

NO_FSYNC = "no-fsync"


@dataclass(frozen=True)
class Lever:
    """One of them: `off` is what Airflow's processes have in their environment when it is off."""

    name: str
    what: str
    off: Mapping[str, str] = field(default_factory=dict)


LEVERS = (
    Lever(
        "preload",
        "what tasks need is imported and built before the scheduler forks its first worker",
        {"AIRBED_PRELOAD": "none"},
    ),
    Lever(
        "late-heartbeat",
        "a task's first heartbeat comes an interval after its start, which counts as one (together with preload)",
        {"AIRBED_LATE_HEARTBEAT": "none"},
    ),
    Lever("late-workers", "workers are forked when tasks wait for them", {"AIRBED_LATE_WORKERS": "none"}),
    Lever("calm-gc", "the garbage collector looks less often while Airflow is imported", {"AIRBED_CALM_GC": "none"}),
    Lever(
        "early-imports",
        "Airflow's components import while the database starts, as many at once as there are processors",
        {"AIRBED_EARLY_IMPORTS": "none"},
    ),
    Lever(
        "late-routes",
        "the API server analyses a route when it is first used, not each time it is put into a router",
        {"AIRBED_LATE_ROUTES": "none"},
    ),
    Lever("few-api-versions", "three versions of the execution API instead of nine", {"AIRBED_EXECUTION_API": "all"}),
    Lever("wake", "the scheduler goes on as soon as something happens", {"AIRBED_WAKE": "none"}),
    Lever(
        "large-pool",
        "16 pooled database connections a component instead of 5",
        {"AIRFLOW__DATABASE__SQL_ALCHEMY_POOL_SIZE": "5"},
    ),
    Lever(
        "no-migration-check",
        "components do not compare the database's schema when they start",
        {"AIRFLOW__DATABASE__CHECK_MIGRATIONS": "True"},
    ),
    Lever(NO_FSYNC, "Postgres does not wait for the disk"),
)
NAMES = tuple(each.name for each in LEVERS)


def chosen(off: Iterable[str], *, production_like: bool = False) -> list[str] | None:
    """The names of the levers to switch off, in the order of LEVERS; None when nothing was said.

    `production_like` means all of them. Raises UsageError for a name that there is not.
    """
    asked = set(off)
    for name in sorted(asked - set(NAMES)):
        near = difflib.get_close_matches(name, NAMES, n=1, cutoff=0.4)
        hint = f"did you mean '{near[0]}'? There are" if near else "there are"
        raise UsageError(f"there is no lever '{name}': {hint}: {', '.join(NAMES)}")
    if production_like:
        return list(NAMES)
    return [name for name in NAMES if name in asked] or None


def off_by_default() -> list[str]:
    """What a new bed of which nothing was said goes without: all of them where AIRBED_PRODUCTION_LIKE is set."""
    return list(NAMES) if os.environ.get("AIRBED_PRODUCTION_LIKE", "") not in ("", "0") else []


def environment(off: Iterable[str]) -> dict[str, str]:
    """What Airflow's processes have in their environment for the levers that are off."""
    names = set(off)
    return {name: value for each in LEVERS if each.name in names for name, value in each.off.items()}
