"""Kill things at seeded random moments and hold the bed to its promises: `python -m airbed.soak --rounds 10 --seed 1`.

A round is one kill of each kind: `process` (SIGKILL of one random process of the bed), `keeper` (of supervisord), `up`
(of `airbed up` at a random moment of its work), `pytest` (of a test session at a random moment, with a bed of its own).
After each kill the next `up`, or the next test session, must work and a small mapped DAG must run green. At the end
nothing may be left: no process, no taken port, no folder, no temporary file. The same seed makes the same choices.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from airbed.cli.common import console, emit_json, output
from airbed.errors import AirbedError, RunFailed, UsageError
from airbed.settings import load_settings
from airbed.spec import BedFiles
from airbed.substrates.embedded import processes
from airbed.substrates.embedded.ports import still_taken

KINDS = ("process", "keeper", "up", "pytest")
PATIENCE = 900

DAG = '''"""What must run after each kill."""
from airflow.sdk import dag, task

@dag(schedule=None)
def soak_small():
    @task
    def double(number):
        return 2 * number

    @task
    def total(numbers):
        assert sum(numbers) == 12, numbers

    total(double.expand(number=[1, 2, 3]))

soak_small()
'''
TEST = """def test_small(bed, run_dag):
    assert run_dag("soak_small").state == "success"
"""
INI = "[pytest]\nairbed_dags = dags\n"


@dataclass
class Kill:
    """One kill and how it went on. `seconds` is from the kill until the next `up` or session was through."""

    round: int
    kind: str
    victim: str
    after: str = ""
    seconds: float = 0
    ok: bool = False
    why: str = ""


@dataclass
class Soak:
    """One soak: its bed, its choices, its account. Everything temporary lies in `folder`."""

    name: str
    seed: int
    folder: Path
    choose: random.Random
    kills: list[Kill] = field(default_factory=list)
    up_seconds: float = 10
    seen_marks: set[str] = field(default_factory=set)
    seen_ports: set[int] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.files = BedFiles(load_settings(), self.name)
        self.dags = self.folder / "project/dags"
        self.temporary = self.folder / "tmp"
        for each in (self.dags, self.temporary):
            each.mkdir(parents=True)
        (self.dags / "soak_small.py").write_text(DAG)
        (self.folder / "project/test_small.py").write_text(TEST)
        (self.folder / "project/pytest.ini").write_text(INI)
        self.up_command = ["up", "--name", self.name, "--dags", str(self.dags), "--without", "kubernetes", "--json"]

    def start(self, arguments: Sequence[str], module: str = "airbed") -> subprocess.Popen[str]:
        """Start one command as a user would, with its output in a file of its own."""
        with (self.folder / "last.log").open("w") as log, (self.folder / "last.json").open("w") as said:
            return subprocess.Popen(
                [sys.executable, "-m", module, *arguments],
                cwd=self.folder / "project",
                env={**os.environ, "TMPDIR": str(self.temporary), "NO_COLOR": "1"},
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=log,
                text=True,
                start_new_session=True,
            )

    def call(self, arguments: Sequence[str], module: str = "airbed") -> str:
        """Run one command to its end; its standard output. Raises RunFailed with its last words when it fails."""
        process = self.start(arguments, module)
        try:
            code = process.wait(PATIENCE)
        except BaseException:
            with contextlib.suppress(OSError):
                os.killpg(process.pid, signal.SIGKILL)
            raise
        said = (self.folder / "last.json").read_text()
        if code:
            words = ((self.folder / "last.log").read_text() + said).strip().splitlines()[-3:]
            raise RunFailed(f"{module} {arguments[0] if arguments else ''} ended with {code}: {' | '.join(words)}")
        return said

    def bring_up(self) -> str:
        """`airbed up`; returns its outcome."""
        began = time.monotonic()
        outcome = str(json.loads(self.call(self.up_command))["outcome"])
        if outcome == "created":
            self.up_seconds = time.monotonic() - began
        self.remember()
        return outcome

    def run_small(self) -> None:
        """The small DAG must run green."""
        self.call(["run", "soak_small", "--name", self.name, "--json"])

    def remember(self) -> None:
        """Note what must be gone at the end."""
        for folder, marks in processes.marks_by_folder().items():
            path = Path(folder)
            if path.parent == self.files.folder.parent and path.name in (self.name, self.session_bed()):
                self.seen_marks |= marks
        for name in (self.name, self.session_bed()):
            files = BedFiles(load_settings(), name)
            if files.exists():
                self.seen_ports |= set(files.read_spec().ports.values())

    def session_bed(self) -> str:
        """The name that the pytest plugin gives the bed of a session in our project."""
        from airbed.pytest_plugin import name_of_bed

        return name_of_bed(self.folder / "project", "main")

    def kill_process(self, kill: Kill) -> None:
        """One process of one service, main or child."""
        mark = self.files.read_spec().mark
        found = processes.of_bed(mark)
        services = sorted({each.service for each in found.values() if each.service} - {processes.KEEPER})
        service = self.choose.choice(services)
        family = sorted(
            (pid for pid, each in found.items() if each.service == service), key=lambda pid: (found[pid].start, pid)
        )
        place = int(self.choose.random() * len(family))
        kill.victim = f"{service} ({'main process' if place == 0 else f'process {place + 1} of {len(family)}'})"
        os.kill(family[place], signal.SIGKILL)
        kill.after = self.bring_up()
        self.run_small()

    def kill_keeper(self, kill: Kill) -> None:
        """supervisord."""
        mark = self.files.read_spec().mark
        pids = [pid for pid, each in processes.of_bed(mark).items() if each.service == processes.KEEPER]
        kill.victim = "supervisord"
        processes.signal_all(pids, signal.SIGKILL)
        kill.after = self.bring_up()
        self.run_small()

    def kill_up(self, kill: Kill) -> None:
        """`airbed up` of a new bed, or of a stopped one, at a moment of its work."""
        new = self.choose.random() < 0.5
        self.call(["down" if new else "stop", "--name", self.name])
        moment = self.choose.random() * self.up_seconds
        kill.victim = f"up of a {'new' if new else 'stopped'} bed, {moment:.1f} s after its start"
        self.kill_after(self.start(self.up_command), moment, kill)
        kill.after = self.bring_up()
        self.run_small()

    def kill_pytest(self, kill: Kill) -> None:
        """A test session, while it brings its bed up or uses it; the next one must pass and leave nothing."""
        arguments = ["-q", "-p", "no:cacheprovider", "-c", "pytest.ini", "test_small.py"]
        moment = self.choose.random() * (self.up_seconds + 5)
        kill.victim = f"pytest, {moment:.1f} s after its start"
        self.kill_after(self.start(arguments, "pytest"), moment, kill)
        self.remember()
        self.call(arguments, "pytest")
        kill.after = "passed"

    def kill_after(self, process: subprocess.Popen[str], seconds: float, kill: Kill) -> None:
        """SIGKILL of that one process, unless it ends before."""
        try:
            process.wait(seconds)
            kill.victim += ", which had ended"
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        self.remember()

    def left(self) -> list[str]:
        """What is still there after `down`, seen from outside."""
        self.remember()
        found = [f"process {pid}" for mark in self.seen_marks for pid in processes.of_bed(mark)]
        found += [f"port {port}" for port in still_taken(self.seen_ports)]
        beds = self.files.folder.parent
        mine = [
            each
            for name in (self.name, self.session_bed())
            for each in (*beds.glob(name), *beds.glob(f".{name}.*"), *beds.glob(f"{name}.*"))
        ]
        return found + [f"file {each}" for each in (*mine, *self.temporary.iterdir())]


def run(
    rounds: int, seed: int, kinds: Sequence[str], name: str, say: Callable[[str], None]
) -> tuple[list[Kill], list[str]]:
    """Do the kills; returns the account of each, and what was left at the end."""
    folder = Path(tempfile.mkdtemp(prefix="airbed-soak-"))
    soak = Soak(name, seed, folder, random.Random(seed))
    does: dict[str, Callable[[Kill], None]] = {
        "process": soak.kill_process,
        "keeper": soak.kill_keeper,
        "up": soak.kill_up,
        "pytest": soak.kill_pytest,
    }
    try:
        if any(kind != "pytest" for kind in kinds):
            outcome = soak.bring_up()
            say(f"bed '{name}' is {outcome} after {soak.up_seconds:.1f} s")
        for number in range(1, rounds + 1):
            for kind in kinds:
                kill = Kill(number, kind, "")
                soak.kills.append(kill)
                began = time.monotonic()
                try:
                    does[kind](kill)
                    kill.ok = True
                except (AirbedError, subprocess.TimeoutExpired, OSError, ValueError) as error:
                    kill.why = " ".join(str(error).split())
                kill.seconds = time.monotonic() - began
                say(
                    f"{number}/{rounds} {kill.victim}: {'ok' if kill.ok else 'FAILED'}, {kill.after} {kill.why}".strip()
                )
        return soak.kills, _end(soak, say)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _end(soak: Soak, say: Callable[[str], None]) -> list[str]:
    """Take down what is there and look for the rest."""
    problems = []
    if soak.files.folder.exists():
        try:
            soak.call(["down", "--name", soak.name])
        except (AirbedError, subprocess.TimeoutExpired) as error:
            problems.append(str(error))
    problems += soak.left()
    say("nothing is left" if not problems else f"left: {', '.join(problems)}")
    return problems


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line: 0 when every kill was survived and nothing is left, else 1."""
    parser = argparse.ArgumentParser(prog="python -m airbed.soak", description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--rounds", type=int, default=10, help="kills of each kind (default: 10)")
    parser.add_argument("--seed", type=int, default=1, help="the same seed makes the same choices (default: 1)")
    parser.add_argument("--kinds", default=",".join(KINDS), help=f"which (default: {','.join(KINDS)})")
    parser.add_argument("--name", default="soak-kill", help="the bed, which must not exist yet (default: soak-kill)")
    parser.add_argument("--json", action="store_true", help="report as JSON on standard output")
    options = parser.parse_args(arguments)
    kinds = options.kinds.split(",")
    if unknown := set(kinds) - set(KINDS):
        parser.error(f"unknown kinds: {', '.join(sorted(unknown))}; there are: {', '.join(KINDS)}")
    try:
        if BedFiles(load_settings(), options.name).folder.exists():
            raise UsageError(f"there is a bed '{options.name}'; end it: airbed down --name {options.name}")
        began = time.monotonic()

        def say(line: str) -> None:
            console.print(f"{time.monotonic() - began:6.1f} s  {line}", soft_wrap=True, markup=False)

        say(f"{options.rounds} rounds of {', '.join(kinds)}; repeat with --seed {options.seed}")
        kills, left = run(options.rounds, options.seed, kinds, options.name, say)
    except AirbedError as error:
        console.print(f"error: {error}", soft_wrap=True, markup=False)
        return error.exit_code
    ok = not left and all(kill.ok for kill in kills)
    if options.json:
        emit_json({"seed": options.seed, "ok": ok, "left": left, "kills": [vars(kill) for kill in kills]})
    else:
        _print(kills, left, options.seed)
    return 0 if ok else 1


def _print(kills: Sequence[Kill], left: Sequence[str], seed: int) -> None:
    from rich.table import Table

    table = Table("kind", pad_edge=False, box=None, header_style="bold")
    for column in ("kills", "survived", "median s", "longest s"):
        table.add_column(column, justify="right")
    for kind in dict.fromkeys(kill.kind for kill in kills):
        these = [kill for kill in kills if kill.kind == kind]
        seconds = sorted(kill.seconds for kill in these)
        survived = sum(kill.ok for kill in these)
        table.add_row(kind, str(len(these)), str(survived), f"{seconds[len(seconds) // 2]:.1f}", f"{seconds[-1]:.1f}")
    output.print(table)
    for kill in kills:
        if not kill.ok:
            output.print(f"round {kill.round}, {kill.victim or kill.kind}: {kill.why}", soft_wrap=True, markup=False)
    output.print(f"left at the end: {', '.join(left) if left else 'nothing'}; seed {seed}", soft_wrap=True)


if __name__ == "__main__":
    sys.exit(main())
