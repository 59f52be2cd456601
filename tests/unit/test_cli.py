"""The command line's table of commands, and the way around Typer for the short ones."""

from __future__ import annotations

import subprocess
import sys

import pytest
import typer

from airbed import cli
from airbed.cache import KINDS


@pytest.fixture
def group():
    return typer.main.get_group(cli.app)


def test_every_command_of_the_table_is_there_with_its_help(group):
    for name in cli.COMMANDS:
        command = group.get_command(None, name)
        assert command is not None, name
        assert command.get_short_help_str()


def leaves(command, *names):
    """Every command that does something, with the words that lead to it."""
    for name, inner in getattr(command, "commands", {}).items():
        yield from leaves(inner, *names, name)
    if not hasattr(command, "commands"):
        yield " ".join(names), command


def test_every_command_has_an_example_in_its_help(group):
    for name in cli.COMMANDS:
        group.get_command(None, name)
    found = dict(leaves(group))
    assert {"incident list", "cache rm", "snapshot save"} <= set(found)
    assert [name for name, command in found.items() if "Example" not in (command.help or "")] == []


def test_the_help_of_cache_rm_names_every_kind(group):
    (kind,) = [each for each in group.get_command(None, "cache").commands["rm"].params if each.name == "kind"]
    assert all(name in kind.help for name in KINDS)


def test_no_command_is_missing_from_the_table(group):
    for name in cli.COMMANDS:
        group.get_command(None, name)
    assert set(group.commands) == set(cli.COMMANDS)


@pytest.mark.parametrize(
    ("arguments", "given"),
    [
        (["status"], {}),
        (["status", "--json", "-n", "x"], {"json": True, "name": "x"}),
        (["status", "--name=x"], {"name": "x"}),
        (["ls", "--json"], {"json": True}),
    ],
)
def test_short_commands_are_called_directly(monkeypatch, arguments, given):
    calls = []

    def function(name: str = "", json: bool = False) -> None:
        calls.append({key: value for key, value in (("name", name), ("json", json)) if value})

    monkeypatch.setattr("airbed.cli.info.status", function)
    monkeypatch.setattr("airbed.cli.beds.list_beds", function)
    assert cli._quickly(arguments)
    assert calls == [given]


@pytest.mark.parametrize(
    "arguments",
    [[], ["--help"], ["status", "--help"], ["status", "--name"], ["status", "--name="], ["ls", "--name", "x"], ["run"]],
)
def test_whatever_else_is_typers(monkeypatch, arguments):
    assert not cli._quickly(arguments)


@pytest.mark.parametrize("arguments", [["ls"], ["status", "--name", "no-such-bed"]])
def test_short_commands_import_nothing_slow(arguments, tmp_path):
    program = (
        "import sys; from airbed.cli import main; sys.argv[0] = 'airbed'\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "print(sorted({'pydantic', 'httpx', 'boto3', 'psycopg', 'airflow', 'kubernetes'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments],
        env={"AIRBED_STATE_DIR": str(tmp_path), "AIRBED_CACHE_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip().splitlines()[-1] == "[]"


def test_an_unknown_command_gets_the_nearest_name(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["airbed", "stauts"])
    with pytest.raises(SystemExit) as end:
        cli.main()
    assert end.value.code == 2
    assert "Did you mean 'status'" in capsys.readouterr().err
