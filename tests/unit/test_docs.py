"""What the docs say of faults is what there is; no page points at a page that is not there."""

from __future__ import annotations

import importlib
import inspect
import re
import shlex
from pathlib import Path

import pytest

from airbed.cli import COMMANDS
from airbed.faults import registry
from airbed.faults.parameters import read_options

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
NAMES = [page.name for page in PAGES]


def test_the_table_of_kinds_is_that_of_the_registry() -> None:
    page = (ROOT / "docs" / "faults.md").read_text()
    expected = "\n".join(
        ["| kind | what happens |", "|---|---|"]
        + [f"| `{name}` | {kind.summary} |" for name, kind in registry.kinds().items() if kind.by_hand]
    )
    assert expected in page, f"put this table into docs/faults.md:\n{expected}"


def test_an_argument_that_a_page_asks_for_is_one_of_the_task() -> None:
    page = (ROOT / "docs" / "task-rules.md").read_text()
    found = re.findall(r'dag_id="(\w+)", task_id="(\w+)",\s*where=\{"op_kwargs\.(\w+)', page)
    assert found
    for dag_id, task_id, argument in found:
        dag = getattr(importlib.import_module(dag_id), dag_id)()
        function = dag.get_task(task_id).python_callable
        assert argument in inspect.signature(function).parameters, (dag_id, task_id, argument)


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_every_fault_of_a_page_could_be_added(page: Path) -> None:
    for command in re.findall(r"airbed fault add ([a-z3].*?)(?:`|\s+#|$)", page.read_text(), re.M):
        words = shlex.split(command.rstrip(". "))
        if "-h" in words or len(words) == 1:
            assert registry.kind(words[0])
            continue
        rest = words[1 : words.index("--name")] if "--name" in words else words[1:]
        kind = registry.kind(words[0])
        registry.make(kind.kind, read_options(kind, rest))


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_every_link_of_a_page_leads_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text())
    assert [each for each in targets if not (page.parent / each).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_every_command_of_a_page_exists(page: Path) -> None:
    used = set(re.findall(r"(?:^    |^\$ |`|&& |\$\()airbed ([a-z]+)\b", page.read_text(), re.M))
    assert used - set(COMMANDS) == set()
