"""The JSON schema for editors takes what airbed takes, and refuses the mistakes that editors should show."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator
from typer.testing import CliRunner

from airbed.cli import app
from airbed.incidents.json_schema import json_schema

LIBRARY = sorted((Path(__file__).parents[1] / "integration" / "incidents").glob("*.yaml"))


@pytest.fixture(scope="module")
def schema() -> Draft202012Validator:
    made = json_schema()
    Draft202012Validator.check_schema(made)
    return Draft202012Validator(made)


def as_json(value: Any) -> Any:
    """YAML's dates and number keys as an editor sees them."""
    if isinstance(value, dict):
        return {str(key): as_json(each) for key, each in value.items()}
    if isinstance(value, list):
        return [as_json(each) for each in value]
    return value.isoformat() if isinstance(value, date) else value


def mistakes(schema: Draft202012Validator, text: str) -> list[str]:
    return [each.message for each in schema.iter_errors(as_json(yaml.safe_load(text)))]


@pytest.mark.parametrize("file", LIBRARY, ids=lambda file: file.stem)
def test_the_library_is_valid(schema: Draft202012Validator, file: Path) -> None:
    assert mistakes(schema, file.read_text()) == []


SINGLE = """
name: one
symptom: something
run: {dag: d}
faults: [{fault: process.stop, with: {service: shard-1}, when: start, until: end}]
expect: {run: success, tasks: {t: success, u: {tries: {1: 2}}}}
"""


def test_a_file_with_a_single_case_is_valid(schema: Draft202012Validator) -> None:
    assert mistakes(schema, SINGLE) == []


@pytest.mark.parametrize(
    ("right", "wrong", "message"),
    [
        ("process.stop", "process.halt", "'process.halt' is not one of"),
        ("service: shard-1", "servic: shard-1", "'servic' was unexpected"),
        ("with: {service: shard-1}", "with: {}", "'service' is a required property"),
        ("symptom", "symptoms", "'symptom' is a required property"),
        ("until: end", "until: whenever", "'whenever' is not valid"),
    ],
)
def test_mistakes_are_shown(schema: Draft202012Validator, right: str, wrong: str, message: str) -> None:
    assert any(message in each for each in mistakes(schema, SINGLE.replace(right, wrong, 1)))


def test_the_command_prints_it(schema: Draft202012Validator) -> None:
    assert json.loads(CliRunner().invoke(app, ["incident", "schema"]).stdout) == schema.schema
