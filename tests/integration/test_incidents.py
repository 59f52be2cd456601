"""The incident library: its files are whole, and each of its faults is what makes its case end as it does.

That every case comes out as its file says is tested by the files themselves: pytest collects them as tests.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from airbed.incidents.load import load, parse

FOLDER = Path(__file__).parent / "incidents"
FILES = sorted(FOLDER.glob("*.yaml"))
FIRST = {
    "s3-503-storm",
    "s3-body-cut",
    "shard-dies-while-two-read",
    "shard-out-of-connections",
    "shard-disk-full",
    "warehouse-deadlock",
    "scheduler-killed-mid-fan-out",
    "worker-oom-on-large-item",
    "stuck-task",
    "region-rollout-hangs",
    "object-store-down-at-xcom-push",
    "object-store-down-at-xcom-pull",
    "cold-execution-api",
}


def faults() -> Iterator[Any]:
    """Every fault of every case."""
    for file in FILES:
        scenario = load(file)
        marks = [getattr(pytest.mark, need) for need in scenario.needs]
        for name, case in scenario.cases.items():
            for step in case.faults:
                yield pytest.param(file, name, step.name, id=f"{file.stem}-{name}-{step.name}", marks=marks)


def test_the_first_incidents_are_there() -> None:
    assert {file.stem for file in FILES} >= FIRST


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_an_incident_says_what_is_seen_why_and_what_helps_and_proves_cause_and_cure(file: Path) -> None:
    scenario = load(file)
    assert all((scenario.symptom, scenario.cause, scenario.fix, scenario.sources))
    taught = [case for name, case in scenario.cases.items() if name.endswith("as_taught")]
    correct = [case for name, case in scenario.cases.items() if name.endswith("correct")]
    assert taught
    assert correct
    for case in scenario.cases.values():
        assert case.faults, "without a fault there is nothing to take out"
        assert case.expect.tasks or case.expect.effects


def test_every_incident_is_listed() -> None:
    command = [sys.executable, "-m", "airbed", "incident", "list", "--json"]
    listed = json.loads(subprocess.run(command, capture_output=True, check=True, text=True).stdout)
    assert {each["name"]: each["cases"] for each in listed} == {file.stem: list(load(file).cases) for file in FILES}


def test_the_example_of_the_docs_is_a_scenario(tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs/incidents.md").read_text()
    text = page.partition("```yaml\n")[2].partition("```")[0]
    (tmp_path / "dags").mkdir()
    (tmp_path / "dags/nightly_load.py").touch()
    assert list(parse(text, tmp_path / "nightly-load-meets-restart.yaml").cases) == ["without_retries", "with_retries"]


def test_every_incident_is_in_the_table_of_the_docs() -> None:
    page = (Path(__file__).parents[2] / "docs/incidents.md").read_text()
    assert [name for name in sorted(FIRST) if f"| {name} |" not in page] == []


@pytest.mark.parametrize(("file", "case", "fault"), list(faults()))
def test_without_its_fault_a_case_ends_differently(incident: Any, file: Path, case: str, fault: str) -> None:
    """And what tells is a line about outcomes or effects: "never fired" would only tell that it was left out."""
    verdict = incident(file, case=case, control=False, without=fault, check=False)
    assert verdict.word == "different", "\n".join(verdict.lines())
    assert {each.kind for each in verdict.differences} & {"outcomes", "effects"}, "\n".join(verdict.lines())
