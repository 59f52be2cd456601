"""Play every incident again and again, half of the time under load: `python -m airbed.incidents.soak --times 20`.

Each case must come out as expected each time, with the same digest of its outcomes. Prints a table, a row a case, and
writes it to reports/soak-incidents.json. Ends with 1 when a case was not the same each time.

Every round plays each case once; the rounds of even number are those under load. With --beds 1 that load is busy
processes beside the play. An incident mostly waits (for retries, restarts, timeouts): it takes 0.7 of a core. So with
--beds 2 two beds share the rounds of odd number, and leave each other room on two cores; then three share the others,
and are each other's load.

A play is noted as soon as it ends, so --resume goes on where an earlier call of the same airbed was ended, and
--minutes ends a call before its time is over.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from pathlib import Path

from rich.markup import escape

from airbed.bed import Bed
from airbed.cli.common import console, output, progress_lines
from airbed.errors import AirbedError
from airbed.incidents.case import run_case
from airbed.incidents.library import files_in, find, own_folder
from airbed.incidents.load import load
from airbed.incidents.schema import Scenario
from airbed.incidents.soak_plays import Notes, Play, rows_of, table
from airbed.lifecycle import up
from airbed.removal import down
from airbed.request import Request
from airbed.settings import load_settings
from airbed.spec import BedFiles
from airbed.substrates.registry import asked_for

BED = "soak-incidents"
REPORT = Path("reports/soak-incidents.json")
_BUSY = "import os\nparent = os.getppid()\nwhile os.getppid() == parent:\n    sum(range(1_000_000))\n"


def soak(
    bed: Bed,
    scenarios: Sequence[tuple[Scenario, Path]],
    numbers: Iterable[int],
    processes: int,
    out: Path,
    done: Iterable[Play],
) -> Iterator[Play]:
    """Play each case once for each number; the even ones beside `processes` busy ones, the first with a control run.

    What is in `done` is not played again.
    """
    known = {(play.incident, play.case, play.number) for play in done}
    for number in numbers:
        for scenario, file in scenarios:
            for case in scenario.cases:
                if (scenario.name, case, number) in known:
                    continue
                under_load = number % 2 == 0
                folder = out / scenario.name / case / f"{number:02}"
                with busy(processes) if under_load else nullcontext():
                    verdict = run_case(bed, scenario, case, file.parent, control=number == 1, folder=folder)
                trouble = "" if verdict.ok else " ".join(each.strip() for each in verdict.lines())
                seconds = round(verdict.seconds, 1)
                yield Play(scenario.name, case, number, verdict.word, verdict.digest, seconds, under_load, trouble)


@contextmanager
def busy(processes: int) -> Iterator[None]:
    """So many processes that do nothing but work; they end with the block, or with their parent."""
    children = [subprocess.Popen([sys.executable, "-c", _BUSY]) for _ in range(processes)]
    try:
        yield
    finally:
        for child in children:
            child.kill()
        for child in children:
            child.wait()


def main(arguments: list[str] | None = None) -> int:
    """Soak on a bed of its own, or on a living one with --name; returns the exit code."""
    options = _parser().parse_args(arguments)
    if options.name and options.beds > 1:
        console.print("[red]error:[/red] --name is one bed: leave --beds out")
        return 2
    try:
        return _run(options)
    except AirbedError as error:
        console.print(f"[red]error:[/red] {escape(str(error))}", soft_wrap=True)
        return error.exit_code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m airbed.incidents.soak", description=__doc__)
    parser.add_argument("names", nargs="*", help="incidents (default: every one)")
    parser.add_argument("--times", type=int, default=20, help="plays of each case, half of them under load")
    parser.add_argument("--busy", type=int, default=os.cpu_count() or 1, help="busy processes that make the load")
    parser.add_argument("--beds", type=int, default=1, help="beds that play at once, and one more under load")
    parser.add_argument("--in", dest="folder", type=Path, help="folder of the scenario files")
    parser.add_argument("--out", type=Path, default=Path("reports/soak-incidents"), help="journals, outcomes, logs")
    parser.add_argument("--name", help="a bed that is up already, and stays up")
    parser.add_argument("--resume", action="store_true", help="go on with the plays that an earlier call noted")
    parser.add_argument("--minutes", type=float, help="end after the play that is on after so many minutes")
    parser.add_argument("--only", type=_numbers, help="numbers of rounds, with commas; plays them without a table")
    return parser


def _numbers(text: str) -> list[int]:
    return [int(each) for each in text.split(",")]


def _run(options: argparse.Namespace) -> int:
    folder = options.folder or own_folder()
    files = [find(name, folder) for name in options.names] or list(files_in(folder).values())
    scenarios = [(load(file), file) for file in files]
    notes = Notes(options.out / "plays.jsonl", resume=options.resume)
    wanted = {(scenario.name, case) for scenario, _ in scenarios for case in scenario.cases}
    rounds = options.only or range(1, options.times + 1)
    ends = time.monotonic() + 60 * (options.minutes or float("inf"))
    if options.beds == 1:
        with _bed(options.name, BED, scenarios) as bed:
            _play(bed, scenarios, rounds, notes, options, ends)
    else:
        for loaded in (False, True):
            numbers = [each for each in rounds if (each % 2 == 0) is loaded]
            if numbers and time.monotonic() < ends:
                _play_at_once(scenarios, numbers, options.beds + loaded, options, ends)
    return 0 if options.only else _tell(notes, wanted, options.times)


def _tell(notes: Notes, wanted: set[tuple[str, str]], times: int) -> int:
    plays = [play for play in notes.read() if (play.incident, play.case) in wanted and play.number <= times]
    rows = rows_of(plays)
    REPORT.parent.mkdir(parents=True, exist_ok=True)
    REPORT.write_text(json.dumps([each.as_json() for each in rows], indent=1))
    for line in table(rows):
        output.print(line, soft_wrap=True)
    for row in rows:
        if row.first_trouble:
            console.print(f"{row.incident}/{row.case}: {row.first_trouble}", soft_wrap=True, markup=False)
    missing = len(wanted) * times - len(plays)
    if missing:
        console.print(f"{missing} plays are missing: --resume goes on with them (make soak RESUME=1)")
    return 0 if not missing and all(row.ok for row in rows) else 1


@contextmanager
def _bed(living: str | None, name: str, scenarios: Sequence[tuple[Scenario, Path]]) -> Iterator[Bed]:
    """The living bed of that name, or one for as long as the block lasts."""
    if living:
        yield Bed.open(living)
        return
    settings = load_settings()
    if BedFiles(settings, name).folder.exists():
        down(settings, name, progress_lines())
    kubernetes = any("kubernetes" in scenario.needs for scenario, _ in scenarios)
    bed, _ = up(
        settings, Request(name, kubernetes=kubernetes, time_scale=100, substrate=asked_for(None)), progress_lines()
    )
    try:
        yield bed
    finally:
        down(settings, name, progress_lines())


def _play(
    bed: Bed,
    scenarios: Sequence[tuple[Scenario, Path]],
    numbers: Iterable[int],
    notes: Notes,
    options: argparse.Namespace,
    ends: float,
) -> None:
    say = progress_lines()
    for play in soak(bed, scenarios, numbers, options.busy, options.out, notes.read()):
        notes.add(play)
        loaded = " under load" if play.loaded else ""
        say(f"{play.incident}/{play.case} {play.number} of {options.times}{loaded}: {play.word}, {play.seconds:.1f} s")
        if time.monotonic() > ends:
            say(f"{options.minutes:g} minutes are over")
            return


def _play_at_once(
    scenarios: Sequence[tuple[Scenario, Path]], numbers: list[int], beds: int, options: argparse.Namespace, ends: float
) -> None:
    """Share the rounds among beds that play at the same time, each in a process of its own."""
    with ExitStack() as stack:
        wanted = [f"{BED}-{place}" for place in range(1, min(beds, len(numbers)) + 1)]
        names = [stack.enter_context(_bed(None, name, scenarios)).name for name in wanted]
        players: list[subprocess.Popen[bytes]] = []
        stack.callback(_end, players)
        for place, name in enumerate(names):
            own = numbers[place :: len(names)]
            if not own:
                continue
            command = [sys.executable, "-m", "airbed.incidents.soak", *options.names, "--name", name, "--resume"]
            command += ["--only", ",".join(map(str, own)), "--times", str(options.times), "--busy", "0"]
            command += ["--out", str(options.out)]
            command += ["--in", str(options.folder)] if options.folder else []
            command += ["--minutes", str((ends - time.monotonic()) / 60)] if options.minutes else []
            players.append(subprocess.Popen(command))
        for player in players:
            player.wait()


def _end(players: Sequence[subprocess.Popen[bytes]]) -> None:
    """End those that still play; each undoes its faults."""
    for player in players:
        player.terminate()
    for player in players:
        player.wait()


def _exit(signum: int, frame: object) -> None:
    sys.exit(128 + signum)


if __name__ == "__main__":
    # As Ctrl-C does: faults are undone and the bed goes down.
    signal.signal(signal.SIGTERM, _exit)
    sys.exit(main())
