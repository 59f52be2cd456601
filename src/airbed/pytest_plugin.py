"""pytest fixtures for DAG tests on a real bed: `bed`, `run_dag`, `seed`, `backfill`.

Each pytest-xdist worker gets a bed of its own, named `test-<checkout>-<worker>`. It is taken down at the end of the
session; one that a killed pytest left behind is replaced at the start of the next. Settings (pytest.ini or
pyproject.toml): `airbed_dags` (folders, relative to the ini file), `airbed_time_scale`. Options: `--airbed-bed NAME`
uses a bed that is up and leaves it up, `--airbed-keep` leaves the worker's bed up.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from datetime import date, datetime
from pathlib import Path
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


class Seed(Protocol):
    """The `seed` fixture: put a pattern's sample data of a day on the bed."""

    def __call__(self, pattern: str, *, day: date | str, **options: Any) -> Summary:
        """See `airbed.seed.registry`."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare the plugin's options and settings."""
    group = parser.getgroup("airbed")
    group.addoption("--airbed-bed", metavar="NAME", help="use this bed, which is up already, and leave it up")
    group.addoption("--airbed-keep", action="store_true", help="leave the bed of the tests up at the end")
    parser.addini("airbed_dags", "folders with the DAGs of the tests' bed", type="paths", default=[])
    parser.addini("airbed_time_scale", "divide retry delays by this on the tests' bed", default="100")


def pytest_configure(config: pytest.Config) -> None:
    """Declare the plugin's marks."""
    config.addinivalue_line("markers", "kubernetes: needs the bed's Kubernetes (built from Go modules)")


@pytest.fixture(scope="session")
def _session_bed(request: pytest.FixtureRequest) -> Iterator[Bed]:
    from airbed.bed import Bed
    from airbed.lifecycle import down, up
    from airbed.request import Request
    from airbed.settings import load_settings
    from airbed.spec import BedFiles

    config = request.config
    named = config.getoption("--airbed-bed")
    if named:
        yield Bed.open(named)
        return
    settings = load_settings()
    name = _bed_name(config)
    say = _reporter(config)
    if BedFiles(settings, name).folder.exists():
        down(settings, name, say)
    dags = [str(path) for path in config.getini("airbed_dags")]
    bed, _ = up(
        settings,
        Request(name, dags=dags or None, kubernetes=False, time_scale=float(config.getini("airbed_time_scale"))),
        say,
    )
    yield bed
    if not config.getoption("--airbed-keep"):
        down(settings, name, say)


@pytest.fixture
def bed(request: pytest.FixtureRequest, _session_bed: Bed) -> Iterator[Bed]:
    """The worker's bed. Tests marked `kubernetes` get Kubernetes too; task rules are cleared after each test."""
    if request.node.get_closest_marker("kubernetes") and not _session_bed.spec.kubernetes:
        _add_kubernetes(_session_bed, _reporter(request.config))
    yield _session_bed
    _session_bed.director.clear()


def _add_kubernetes(bed: Bed, say: Callable[[str], None]) -> None:
    from airbed.lifecycle import up
    from airbed.request import Request

    changed, _ = up(bed.settings, Request(bed.name, kubernetes=True), say)
    bed.spec = changed.spec
    bed.__dict__.pop("substrate", None)


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
def seed(bed: Bed) -> Seed:
    """Put sample data on the bed."""
    from airbed.seed import seed_pattern

    def call(pattern: str, *, day: date | str, **options: Any) -> Summary:
        return seed_pattern(bed, pattern, day, **options)

    return call


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """Add the outcomes of the test's runs, and the end of the failed tasks' logs, to a failing test's report."""
    outcome: Any = yield
    report = outcome.get_result()
    runs = item.stash.get(RUNS, [])
    if call.when != "call" or not report.failed or not runs:
        return
    from airbed.runs.report import plain_lines

    bed: Bed | None = item.funcargs.get("bed") if hasattr(item, "funcargs") else None
    for result in runs[-3:]:
        report.sections.append((f"airbed: {result.dag_id} {result.run_id}", "\n".join(plain_lines(result))))
        for failure in result.failures()[:3] if bed else []:
            text = _log_tail(bed, result, failure)
            report.sections.append((f"airbed: end of the log of {failure.name}, try {failure.tries}", text))


def _log_tail(bed: Any, result: RunResult, failure: Any, lines: int = 25) -> str:
    try:
        text = bed.airflow.log(result.dag_id, result.run_id, failure.task_id, failure.map_index, max(failure.tries, 1))
    except Exception as error:
        return f"(no log: {error})"
    return "\n".join(text.splitlines()[-lines:])


def _bed_name(config: pytest.Config) -> str:
    return name_of_bed(config.rootpath, os.environ.get("PYTEST_XDIST_WORKER", "main"))


def name_of_bed(root: Path, worker: str) -> str:
    """The bed of a test session in the folder `root`; `worker` is pytest-xdist's name of it, or `main`."""
    checkout = hashlib.sha256(str(root).encode()).hexdigest()[:6]
    return f"test-{checkout}-{worker}"


def _reporter(config: pytest.Config) -> Callable[[str], None]:
    def say(line: str) -> None:
        if config.get_verbosity() > 0:
            terminal = config.pluginmanager.get_plugin("terminalreporter")
            if terminal is not None:
                terminal.write_line(f"airbed: {line}")

    return say
