"""pytest fixtures for DAG tests on a real bed: `bed`, `run_dag`, `outcomes`, `seed`, `faults`, `incident`.

Each pytest-xdist worker gets a bed of its own, named `test-<checkout>-<worker>`. It is taken down at the end of the
session; one that a killed pytest left behind is replaced at the start of the next. Settings (pytest.ini or
pyproject.toml): `airbed_dags` (folders, relative to the ini file), `airbed_time_scale`, `airbed_incidents` (folders of
scenario files that are collected as tests). Options: `--airbed-bed NAME` uses a bed that is up and leaves it up,
`--airbed-on compose` makes it of containers, `--airbed-keep` leaves the worker's bed up. A session that uses no fixture
of these starts no bed and imports no more than this.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from airbed.pytest_plugin.beds import _session_bed, bed, name_of_bed
from airbed.pytest_plugin.faults import Faults, faults
from airbed.pytest_plugin.incidents import Incident, _marked_incident, collect_file, incident, use_marks
from airbed.pytest_plugin.runs import Outcomes, RunDag, Seed, outcomes, run_dag, sections_of, seed

__all__ = [
    "Faults",
    "Incident",
    "Outcomes",
    "RunDag",
    "Seed",
    "_marked_incident",
    "_session_bed",
    "bed",
    "faults",
    "incident",
    "name_of_bed",
    "outcomes",
    "run_dag",
    "seed",
]


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare the plugin's options and settings."""
    group = parser.getgroup("airbed")
    group.addoption("--airbed-bed", metavar="NAME", help="use this bed, which is up already, and leave it up")
    group.addoption("--airbed-on", metavar="NAME", help="what the bed is on: embedded or compose (default: AIRBED_ON)")
    group.addoption("--airbed-keep", action="store_true", help="leave the bed of the tests up at the end")
    parser.addini("airbed_dags", "folders with the DAGs of the tests' bed", type="paths", default=[])
    parser.addini("airbed_time_scale", "divide retry delays by this on the tests' bed", default="100")
    parser.addini("airbed_incidents", "folders of scenario files to collect as tests", type="paths", default=[])


def pytest_configure(config: pytest.Config) -> None:
    """Declare the plugin's marks."""
    config.addinivalue_line("markers", "kubernetes: needs the bed's Kubernetes (built from Go modules)")
    config.addinivalue_line(
        "markers", "incident(file, case=None): play the case of this scenario file before the test's body"
    )


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """Collect scenario files, one test for each of their cases."""
    return collect_file(file_path, parent)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give the tests marked `incident` the fixture that plays it."""
    use_marks(items)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    """Skip a test that asks for what the bed's substrate cannot do, with the declared reason."""
    try:
        return (yield)
    except Exception as error:
        from airbed.errors import NotOnThisSubstrate

        if isinstance(error, NotOnThisSubstrate):
            pytest.skip(str(error))
        raise


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """Add the outcomes of the test's runs, and the end of the failed tasks' logs, to a failing test's report."""
    outcome: Any = yield
    report = outcome.get_result()
    if call.when == "call" and report.failed:
        report.sections.extend(sections_of(item))
