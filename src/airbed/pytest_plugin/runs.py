"""The fixtures `run_dag`, `outcomes` and `seed`, and what a failing test prints of its runs."""

from __future__ import annotations

from datetime import date, datetime
from typing import TYPE_CHECKING, Any, Protocol

import pytest

if TYPE_CHECKING:
    from airbed.bed import Bed
    from airbed.runs.model import RunResult
    from airbed.seed.summary import Summary

RUNS = pytest.StashKey[list["RunResult"]]()


class RunDag(Protocol):
    """The `run_dag` fixture: trigger a run of a DAG on the bed, wait, and return what became of every instance."""

    def __call__(
        self,
        dag_id: str,
        *,
        day: date | str | None = None,
        logical_date: datetime | str | None = None,
        conf: dict[str, Any] | None = None,
        timeout: float = 300,
        **options: Any,
    ) -> RunResult:
        """See `airbed.runs.execute.run_dag`."""


class Outcomes(Protocol):
    """The `outcomes` fixture: what became of every instance of a run, whoever started it."""

    def __call__(self, dag_id: str | None = None, run_id: str | None = None) -> RunResult:
        """Of that run as it is now; without a run id, of the DAG's latest; without a DAG, of the last `run_dag`."""


class Seed(Protocol):
    """The `seed` fixture: put a pattern's sample data of a day on the bed."""

    def __call__(self, pattern: str, *, day: date | str, **options: Any) -> Summary:
        """See `airbed.seed.registry`."""


@pytest.fixture
def run_dag(request: pytest.FixtureRequest, bed: Bed) -> RunDag:
    """Run a DAG on the bed; the outcomes are printed when the test fails."""
    from airbed.runs.execute import run_dag as run

    results = request.node.stash.setdefault(RUNS, [])

    def call(dag_id: str, *, timeout: float = 300, **options: Any) -> RunResult:
        result = run(bed, dag_id, timeout=timeout, **options)
        results.append(result)
        return result

    return call


@pytest.fixture
def outcomes(request: pytest.FixtureRequest, bed: Bed) -> Outcomes:
    """What became of every instance of a run."""
    from airbed.errors import UsageError
    from airbed.runs.outcomes import collect

    results = request.node.stash.setdefault(RUNS, [])

    def call(dag_id: str | None = None, run_id: str | None = None) -> RunResult:
        if dag_id is None:
            if not results:
                raise UsageError("outcomes() is of the last run_dag, and there was none: give outcomes(dag_id, run_id)")
            dag_id, run_id = results[-1].dag_id, results[-1].run_id
        if run_id is None:
            run_id = latest_run(bed, dag_id)
        result = collect(bed, dag_id, run_id)
        results[:] = [each for each in results if each.run_id != run_id or each.dag_id != dag_id] + [result]
        return result

    return call


def latest_run(bed: Bed, dag_id: str) -> str:
    """The id of a DAG's youngest run; UsageError when it has none."""
    from airbed.errors import UsageError

    with bed.database("metadata") as connection:
        row = connection.execute(
            "SELECT run_id FROM dag_run WHERE dag_id = %s ORDER BY id DESC LIMIT 1", [dag_id]
        ).fetchone()
    if row is None:
        raise UsageError(f"DAG '{dag_id}' has no run on bed '{bed.name}'; start one: run_dag('{dag_id}')")
    return str(row[0])


@pytest.fixture
def seed(bed: Bed) -> Seed:
    """Put sample data on the bed."""
    from airbed.seed import seed_pattern

    def call(pattern: str, *, day: date | str, **options: Any) -> Summary:
        return seed_pattern(bed, pattern, day, **options)

    return call


def sections_of(item: pytest.Item) -> list[tuple[str, str]]:
    """The outcomes of the test's last runs, and the end of the failed tasks' logs, as sections of a report."""
    results = item.stash.get(RUNS, [])
    if not results:
        return []
    from airbed.runs.report import plain_lines

    bed: Bed | None = item.funcargs.get("bed") if hasattr(item, "funcargs") else None
    sections = []
    for result in results[-3:]:
        sections.append((f"airbed: {result.dag_id} {result.run_id}", "\n".join(plain_lines(result))))
        for failure in result.failures()[:3] if bed else []:
            text = _log_tail(bed, result, failure)
            sections.append((f"airbed: end of the log of {failure.name}, try {failure.tries}", text))
    return sections


def _log_tail(bed: Any, result: RunResult, failure: Any, lines: int = 25) -> str:
    try:
        text = bed.airflow.log(result.dag_id, result.run_id, failure.task_id, failure.map_index, max(failure.tries, 1))
    except Exception as error:
        return f"(no log: {error})"
    return "\n".join(text.splitlines()[-lines:])
