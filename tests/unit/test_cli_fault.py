"""`airbed fault ...` and what `airbed status` shows of it, on a bed's folder without services."""

from __future__ import annotations

import json
import re
import shlex
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fault_bed import Mark, make_bed
from typer.testing import CliRunner, Result

from airbed.bed import Bed
from airbed.cli import app, info
from airbed.errors import Unavailable, UsageError
from airbed.faults.ledger import BY_HAND, Entry, Ledger
from airbed.faults.parameters import parameters, read_options
from airbed.faults.plane import FaultPlane
from airbed.faults.registry import example

TASK = ["--dag-id", "d", "--task-id", "t"]


@pytest.fixture
def bed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bed:
    return make_bed(tmp_path, monkeypatch)


def airbed(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments), catch_exceptions=True)


def entries(bed: Bed) -> list[Entry]:
    return Ledger(bed.folder).entries()


def dead_pid() -> int:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    return ended.pid


def left_by_a_runner(bed: Bed, **changed: Any) -> Entry:
    entry = FaultPlane(bed, owner="scenario demo").inject(Mark(text="left"))
    for name, value in changed.items():
        setattr(entry, name, value)
    Ledger(bed.folder).update(entry)
    return entry


def test_added_then_listed_then_cleared(bed: Bed) -> None:
    added = airbed("fault", "add", "file.mark", "--text", "a b", "--times", "3")

    assert (added.exit_code, added.stdout) == (0, "f1  file.mark text='a b', times=3\n")
    assert "airbed fault clear f1" in added.stderr
    assert (bed.folder / "airbed-f1").read_text() == "a b"
    assert airbed("fault", "list").stdout.startswith("f1  file.mark text='a b', times=3  since 2")
    assert airbed("fault", "clear", "f1").stdout == "f1  file.mark is put back; it hit 3 times\n"
    assert not (bed.folder / "airbed-f1").exists()
    assert "nothing is injected" in airbed("fault", "list").stderr


def test_json(bed: Bed) -> None:
    added = json.loads(airbed("fault", "add", "file.mark", "--text", "x", "--json").stdout)
    listed = json.loads(airbed("fault", "list", "--json").stdout)
    cleared = json.loads(airbed("fault", "clear", "--json").stdout)

    assert (added["id"], added["kind"], added["parameters"]) == ("f1", "file.mark", {"text": "x"})
    assert [(each["id"], each["owner"], each["state"], each["left_behind"]) for each in listed] == [
        ("f1", BY_HAND, "active", False)
    ]
    assert "plan" not in listed[0]
    assert cleared == [{"id": "f1", "kind": "file.mark", "fired": 1}]


def test_a_momentary_fault_leaves_nothing_to_clear(bed: Bed) -> None:
    assert "nothing to clear" in airbed("fault", "add", "file.once").stdout
    assert ((bed.folder / "once").read_text(), entries(bed)) == ("airbed-f1\n", [])


@pytest.mark.parametrize(
    ("options", "value"),
    [
        (["--text", "on"], {"text": "on"}),
        (["--text", "*.parquet"], {"text": "*.parquet"}),
        (["--text={a: b}"], {"text": "{a: b}"}),
        (["--text", "-5"], {"text": "-5"}),
        (["--mode", "off"], {"mode": "off"}),
        (["--times", "7"], {"times": 7}),
        (["--lines", "1"], {"lines": [1]}),
        (["--lines", "1,2"], {"lines": [1, 2]}),
        (["--lines", "[1, 2]"], {"lines": [1, 2]}),
        (["--firm"], {"firm": True}),
        (["--firm", "false"], {"firm": False}),
        (["--share", "0.5", "--firm"], {"share": 0.5, "firm": True}),
        (["--lines", "2026-01-05"], {"lines": ["2026-01-05"]}),
        (["--lines", "[12:30, 1:2.5, 2026-01-05 10:00:00]"], {"lines": ["12:30", "1:2.5", "2026-01-05T10:00:00"]}),
    ],
)
def test_texts_become_values(options: list[str], value: dict[str, Any]) -> None:
    assert read_options(Mark, options) == value


def test_a_day_in_a_rule_of_a_task_is_a_text() -> None:
    from airbed.faults import registry

    options = [*TASK, "--value", "2026-01-05", "--where", "{op_kwargs.day: 2026-01-05}"]
    given = read_options(registry.kind("task.return"), options)
    assert (given["value"], given["where"]) == ("2026-01-05", {"op_kwargs.day": "2026-01-05"})
    assert registry.make("task.return", given).model_dump(mode="json", exclude_defaults=True) == given


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "fault add of what"),
        (["file.marc"], r"did you mean file\.mark"),
        (["file.mark"], r"text: Field required; example: airbed fault add file\.mark --text 'a b'"),
        (["file.mark", "--test", "x"], r"no parameter --test; it has: --text, --mode, --times"),
        (["file.mark", "--text"], r"--text needs a value; example"),
        (["file.mark", "--text", "x", "y"], r"'y' belongs to no parameter"),
        (["file.mark", "--text", "x", "--text", "y"], r"--text is given twice"),
        (["file.mark", "--text", "x", "--mode", "up"], r"mode: Input should be 'on' or 'off'"),
        (["file.mark", "--text", "x", "--times", "0"], r"times: Input should be greater than 0"),
        (["file.mark", "--text", "x", "--times", "many"], r"times: Input should be a valid integer"),
        (["task.return", *TASK, "--value", "NaN"], r"task\.return: value: nan is no JSON value: NaN and infinity"),
        (["task.return", *TASK, "--value", "[1e400]"], r"value: \[inf\] is no JSON value"),
        (["task.raise", *TASK, "--where", "{a.b: .inf}"], r"where\.a\.b: inf is no JSON value"),
    ],
)
def test_wrong_input_is_refused_and_nothing_is_injected(bed: Bed, arguments: list[str], message: str) -> None:
    result = airbed("fault", "add", *arguments)

    assert isinstance(result.exception, UsageError)
    assert re.search(message, str(result.exception))
    assert entries(bed) == []


def test_help_of_a_kind_prints_its_parameters_and_injects_nothing(bed: Bed) -> None:
    shown = airbed("fault", "add", "file.mark", "-h").stdout

    assert re.search(r"--times +integer > 0 +how often", shown)
    assert re.search(r"--mode +on\|off +default on", shown)
    assert re.search(r"--text +text +required", shown)
    assert re.search(r"--share +number >= 0 <= 1 +default 1", shown)
    assert "airbed fault add file.mark --text 'a b' --mode on --lines '[1, 2]'" in shown
    assert entries(bed) == []
    assert "--PARAMETER VALUE" in airbed("fault", "add", "--help").stdout


def test_kinds_are_grouped_by_level_and_filtered(bed: Bed) -> None:
    every = json.loads(airbed("fault", "kinds", "--json").stdout)
    of_level = json.loads(airbed("fault", "kinds", "platform", "--json").stdout)
    one = airbed("fault", "kinds", "file.mark").stdout

    assert {"file.mark", "file.once"} <= {each["kind"] for each in every}
    assert {each["level"] for each in of_level} == {"platform"}
    assert one.startswith("platform\n  file.mark  a file that stands there")
    assert isinstance(airbed("fault", "kinds", "file.marc").exception, UsageError)


def test_a_stuck_fault_is_shown_with_its_problem_and_can_be_cleared_later(bed: Bed) -> None:
    airbed("fault", "add", "file.mark", "--text", "x", "--firm")
    (bed.folder / "firm").touch()

    refused = airbed("fault", "clear")
    assert isinstance(refused.exception, Unavailable)
    assert "the file `firm` holds it" in str(refused.exception)
    assert "stuck\n    not put back: the file `firm` holds it" in airbed("fault", "list").stdout

    (bed.folder / "firm").unlink()
    assert airbed("fault", "clear").exit_code == 0
    assert entries(bed) == []


def test_clear_leaves_what_a_living_runner_holds(bed: Bed) -> None:
    held = left_by_a_runner(bed)
    airbed("fault", "add", "file.mark", "--text", "mine")

    cleared = airbed("fault", "clear")
    assert cleared.stdout == "f2  file.mark is put back; it hit 4 times\n"
    assert f"f1 file.mark belongs to scenario demo, which is running (process {held.owner_pid})" in cleared.stderr
    assert airbed("fault", "clear", "--all").stdout.startswith("f1  file.mark is put back")


def test_clear_takes_back_what_a_dead_runner_left(bed: Bed) -> None:
    pid = dead_pid()
    left_by_a_runner(bed, owner_pid=pid, state="undoing")

    assert f"scenario demo (its process {pid} is gone), half undone" in airbed("fault", "list").stdout
    assert json.loads(airbed("fault", "list", "--json").stdout)[0]["left_behind"] is True
    assert airbed("fault", "clear").stdout.startswith("f1  file.mark is put back")


def test_clear_of_an_unknown_id_clears_nothing(bed: Bed) -> None:
    airbed("fault", "add", "file.mark", "--text", "x")

    result = airbed("fault", "clear", "f1", "f7")
    assert (type(result.exception), str(result.exception)) == (UsageError, "bed 'bed' has no fault f7; it has: f1")
    assert isinstance(airbed("fault", "clear", "f1", "--all").exception, UsageError)
    assert len(entries(bed)) == 1


def test_status_shows_what_is_broken_on_purpose(bed: Bed) -> None:
    airbed("fault", "add", "file.mark", "--text", "x")

    shown = airbed("status")
    assert shown.exit_code == 3  # nothing runs
    assert "broken on purpose (airbed fault clear puts it back):\nf1  file.mark text='x'  since " in shown.stdout
    as_json = json.loads(airbed("status", "--json").stdout)
    assert [each["id"] for each in as_json["faults"]] == ["f1"]

    airbed("fault", "clear")
    assert "on purpose" not in airbed("status").stdout


def test_status_shows_that_a_scenario_could_not_prove_the_bed_whole(bed: Bed) -> None:
    (bed.folder / "broken").write_text("pool [db_etl] has 2 slots\n")

    assert "not proven whole again after a scenario: pool [db_etl] has 2 slots\n" in airbed("status").stdout
    assert json.loads(airbed("status", "--json").stdout)["broken"] == ["pool [db_etl] has 2 slots"]


def test_status_imports_nothing_slow_to_show_faults(bed: Bed) -> None:
    airbed("fault", "add", "file.mark", "--text", "x")
    program = (
        "import atexit, sys; from airbed.cli import main; slow = ('pydantic', 'airflow', 'boto3', 'httpx', 'filelock');"
        "atexit.register(lambda: print([each for each in slow if each in sys.modules])); main()"
    )
    ended = subprocess.run([sys.executable, "-c", program, "status"], capture_output=True, text=True, check=False)

    assert (ended.returncode, ended.stderr) == (3, "")
    assert "file.mark" in ended.stdout
    assert ended.stdout.splitlines()[-1] == "[]"


def test_clear_proves_a_bed_whole_that_a_scenario_could_not(bed: Bed) -> None:
    (bed.folder / "broken").write_text("shard-1 is stopped\n")

    refused = airbed("fault", "clear")
    assert isinstance(refused.exception, Unavailable)  # nothing runs here
    assert (bed.folder / "broken").exists()


@pytest.fixture
def silent_api(bed: Bed, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bed]:
    """An API server that takes connections and never answers."""
    monkeypatch.setattr(info, "API_PATIENCE", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as server:
        bed.endpoints.airflow.url = f"http://127.0.0.1:{server.getsockname()[1]}"
        yield bed


def test_a_slow_api_is_no_dag_file_that_does_not_load(silent_api: Bed) -> None:
    said = "the API server did not answer within 0.2 s, so whether all load is not known"
    assert info._import_errors(silent_api) == ([], said)


def test_a_closed_api_is_no_dag_file_that_does_not_load(bed: Bed) -> None:
    found, why = info._import_errors(bed)
    assert found == []
    assert why is not None
    assert why.startswith("the API server did not say whether all load: URLError: ")


def test_the_example_of_every_kind_is_a_command_that_makes_that_fault(bed: Bed) -> None:
    from airbed.faults import registry

    for name, kind in registry.kinds().items():
        words = shlex.split(example(kind))
        assert words[:4] == ["airbed", "fault", "add", name]
        assert registry.make(name, read_options(kind, words[4:])) == registry.make(name, kind.example)


def test_every_parameter_says_what_it_is_and_hides_no_option_of_the_command(bed: Bed) -> None:
    from airbed.faults import registry

    for name, kind in registry.kinds().items():
        assert kind.summary, name
        for each in parameters(kind):
            assert each.description, f"{name} {each.option}"
            assert each.name not in ("name", "json", "help", "debug"), f"{name} {each.option}"
