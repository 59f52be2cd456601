"""The scenario engine on a real bed: exact moments, verdicts, and everything put back, also when the runner dies."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from helpers import AIRBED, airbed, until

from airbed.incidents.api import run_file
from airbed.incidents.steady import problems

SCENARIOS = Path(__file__).parent / "scenarios"


def play(bed: Any, name: str, out: Path, **options: Any) -> Any:
    return run_file(bed, SCENARIOS / f"{name}.yaml", out=out, **{"control": False, **options})[0]


def journal(out: Path, name: str, file: str = "journal.jsonl") -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / name / "case" / file).read_text().splitlines()]


def test_named_instances_are_held_until_the_others_are_done(bed: Any, tmp_path: Path) -> None:
    verdict = play(bed, "held-by-name", tmp_path, control=True)
    assert verdict.ok, "\n".join(verdict.lines())
    opened = next(each["time"] for each in journal(tmp_path, "held-by-name") if each["what"] == "gate opened")
    forced = next(each["time"] for each in journal(tmp_path, "held-by-name") if each["what"] == "in force")
    assert forced <= opened
    seen = journal(tmp_path, "held-by-name", "director.jsonl")
    held = [each["map_index"] for each in seen if each["kind"] == "gate-arrived"]
    assert sorted(held) == [1, 3], "each is counted once, and nobody else is held"
    folder = tmp_path / "held-by-name" / "case"
    assert {"journal.jsonl", "timeline.txt", "outcomes.json", "director.jsonl", "logs", "control"} <= {
        each.name for each in folder.iterdir()
    }
    assert len(list((folder / "logs").glob("*work[[]1].try-1.log"))) == 1


def test_without_its_fault_the_verdict_is_different_by_outcomes_and_effects(bed: Any, tmp_path: Path) -> None:
    verdict = play(bed, "held-by-name", tmp_path, without="refuse")
    assert verdict.word == "different"
    kinds = {each.kind for each in verdict.differences}
    assert kinds == {"outcomes", "effects"}
    assert any(each.where == "expect.tasks.work.outcomes.hard" for each in verdict.differences)


def test_all_instances_are_held_while_the_scheduler_dies(bed: Any, tmp_path: Path) -> None:
    first, second = (play(bed, "held-by-count", tmp_path) for _ in range(2))
    assert first.ok, "\n".join(first.lines())
    assert second.ok, "\n".join(second.lines())
    assert first.digest == second.digest
    assert problems(bed) == []


def test_a_moment_that_does_not_come_is_inconclusive_and_holds_nobody_for_ever(bed: Any, tmp_path: Path) -> None:
    verdict = play(bed, "hangs", tmp_path)
    assert (verdict.word, verdict.exit_code) == ("inconclusive", 3)
    assert "never: 6 of 6 instances of work arrived within 15 s" in verdict.doubts[0]
    assert "but its other conditions did not come" in verdict.doubts[0]
    assert problems(bed) == []


def test_a_gate_for_more_than_there_are_is_refused(bed: Any, tmp_path: Path) -> None:
    file = tmp_path / "too-many.yaml"
    text = (SCENARIOS / "held-by-count.yaml").read_text().replace("held-by-count", "too-many")
    file.write_text(text.replace("count: 6}}", "count: 25}}"))
    done = airbed(bed, "incident", "run", str(file), "--no-control", "--out", str(tmp_path), code=2)
    assert "25 instances of work can never have arrived" in done.stderr
    assert not bed.metadata.runs("lifecycle_slow")
    assert problems(bed) == []


def test_a_database_that_does_not_answer_does_not_stop_the_engine(bed: Any, tmp_path: Path) -> None:
    verdict = play(bed, "metadata-pauses", tmp_path)
    assert verdict.ok, "\n".join(verdict.lines())
    times = {each["what"]: each["t"] for each in journal(tmp_path, "metadata-pauses")}
    assert 4 <= times["taken back"] - times["in force"] < 8


def test_a_director_that_dies_makes_it_inconclusive(bed: Any, tmp_path: Path) -> None:
    file = tmp_path / "director-dies.yaml"
    text = (SCENARIOS / "held-by-name.yaml").read_text().replace("held-by-name", "director-dies")
    extra = "  - {id: director, fault: process.kill, with: {service: director}, when: {after: refuse}}\n"
    file.write_text(text.replace("expect:\n", f"{extra}expect:\n"))
    verdict = run_file(bed, file, control=False, out=tmp_path)[0]
    assert verdict.word == "inconclusive"
    assert problems(bed) == []


@pytest.fixture
def runner(bed: Any, tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A runner in a process of its own, in the midst of scenario `hangs`: two faults in force, instances held."""
    command = [AIRBED, "incident", "run", str(SCENARIOS / "hangs.yaml"), "--no-control", "--out", str(tmp_path)]
    process = subprocess.Popen(
        [*command, "--name", bed.name], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    file = tmp_path / "hangs" / "case" / "journal.jsonl"
    until(lambda: file.exists() and file.read_text().count('"in force"') == 2, "two faults in force", 90)
    until(lambda: bed.director.gate("hangs.case.never")["arrived"], "an instance at the gate", 60)
    yield process
    if process.poll() is None:
        process.kill()
    process.wait(30)


def test_what_a_killed_runner_leaves_is_shown_and_cleared(bed: Any, runner: subprocess.Popen[str]) -> None:
    runner.kill()
    runner.wait(30)
    shown = airbed(bed, "status").stdout
    assert "postgres.read-only" in shown and "postgres.lock" in shown
    assert (bed.files.armed).exists()
    assert bed.airflow.pools()["db_etl"]["slots"] == 1
    airbed(bed, "fault", "clear")
    assert problems(bed) == []
    assert not (bed.files.armed).exists()
    pools = bed.airflow.pools()
    assert pools["db_etl"]["slots"] == 4 and "of_hangs" not in pools
    assert "postgres" not in airbed(bed, "status").stdout.replace("warehouse", "")
    with bed.database("warehouse") as connection:
        assert connection.execute("SHOW default_transaction_read_only").fetchone() == ("off",)
        with connection.transaction():
            connection.execute("LOCK TABLE warehouse_events.events IN ACCESS EXCLUSIVE MODE NOWAIT")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_runner_takes_everything_back(bed: Any, runner: subprocess.Popen[str], number: int) -> None:
    runner.send_signal(number)
    output, _ = runner.communicate(timeout=90)
    assert runner.returncode == 130, output
    assert problems(bed) == []
    assert not (bed.files.armed).exists()
    assert bed.airflow.pools()["db_etl"]["slots"] == 4
