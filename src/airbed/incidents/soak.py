"""Play every incident again and again, half of the time under load: `python -m airbed.incidents.soak --times 20`.

Each case must come out as expected each time, with the same digest of its outcomes. Prints a table, a row a case, and
writes it to reports/soak-incidents.json. Ends with 1 when a case was not the same each time.

Every round plays each case once. A play is noted as soon as it ends, so --resume goes on where an earlier call of the
same airbed was ended, and --minutes ends a call before its time is over.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from airbed.bed import Bed
from airbed.cli.common import console, output, progress_lines
from airbed.errors import AirbedError
from airbed.incidents.case import run_case
from airbed.incidents.library import files_in, find, own_folder
from airbed.incidents.load import load
from airbed.incidents.schema import Scenario
from airbed.lifecycle import down, up
from airbed.request import Request
from airbed.settings import load_settings
from airbed.spec import BedFiles

BED = "soak-incidents"
REPORT = Path("reports/soak-incidents.json")
_BUSY = "import os\nparent = os.getppid()\nwhile os.getppid() == parent:\n    sum(range(1_000_000))\n"


@dataclass(frozen=True)
class Play:
    """One play of a case: the verdict's word and digest, its seconds, whether beside busy processes."""

    incident: str
    case: str
    number: int
    word: str
    digest: str
    seconds: float
    loaded: bool
    trouble: str = ""


@dataclass
class Row:
    """One case. `words` and `digests` by how often they came; seconds of each play, the first with its control run."""

    incident: str
    case: str
    words: Counter[str] = field(default_factory=Counter)
    digests: Counter[str] = field(default_factory=Counter)
    quiet: list[float] = field(default_factory=list)
    loaded: list[float] = field(default_factory=list)
    first_trouble: str = ""

    @property
    def ok(self) -> bool:
        """Whether every play came out the same, as expected."""
        return set(self.words) == {"as expected"} and len(self.digests) == 1

    def add(self, play: Play) -> None:
        """Count one more play."""
        self.words[play.word] += 1
        self.digests[play.digest] += 1
        (self.loaded if play.loaded else self.quiet).append(play.seconds)
        self.first_trouble = self.first_trouble or play.trouble

    def as_json(self) -> dict[str, Any]:
        """All fields, and `ok`."""
        counted = {"words": dict(self.words), "digests": dict(self.digests)}
        return {"ok": self.ok, **vars(self), **counted}


def rows_of(plays: Iterable[Play]) -> list[Row]:
    """A row for each case, in the order of their first plays."""
    rows: dict[tuple[str, str], Row] = {}
    for play in plays:
        rows.setdefault((play.incident, play.case), Row(play.incident, play.case)).add(play)
    return list(rows.values())


class Notes:
    """The plays that have ended, a line of JSON each, in a file."""

    def __init__(self, file: Path, *, resume: bool) -> None:
        self._file = file
        file.parent.mkdir(parents=True, exist_ok=True)
        if not resume:
            file.unlink(missing_ok=True)

    def read(self) -> list[Play]:
        """All of them; a line that was cut by a kill is left out."""
        found = []
        for line in self._file.read_text().splitlines() if self._file.exists() else []:
            try:
                found.append(Play(**json.loads(line)))
            except (ValueError, TypeError):
                continue
        return found

    def add(self, play: Play) -> None:
        """Note one more."""
        with self._file.open("a") as file:
            file.write(json.dumps(asdict(play)) + "\n")


def soak(
    bed: Bed, scenarios: Sequence[tuple[Scenario, Path]], times: int, processes: int, out: Path, done: Iterable[Play]
) -> Iterator[Play]:
    """Play each case so often, every second time beside `processes` busy ones; the first time with a control run.

    What is in `done` is not played again.
    """
    known = {(play.incident, play.case, play.number) for play in done}
    for number in range(1, times + 1):
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


def table(rows: Sequence[Row]) -> Iterator[str]:
    """The rows as lines of equal columns."""
    width = max((len(f"{row.incident}/{row.case}") for row in rows), default=0) + 2
    yield f"{'incident':<{width}}{'plays':>6}{'as expected':>13}{'digests':>9}{'s quiet':>9}{'s loaded':>10}"
    for row in rows:
        plays, digests = sum(row.words.values()), len(row.digests)
        quiet, loaded = (f"{median(each):.1f}" if each else "-" for each in (row.quiet, row.loaded))
        name = f"{row.incident}/{row.case}"
        yield f"{name:<{width}}{plays:>6}{row.words['as expected']:>13}{digests:>9}{quiet:>9}{loaded:>10}"


def main(arguments: list[str] | None = None) -> int:
    """Soak on a bed of its own, or on a living one with --name; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m airbed.incidents.soak", description=__doc__)
    parser.add_argument("names", nargs="*", help="incidents (default: every one)")
    parser.add_argument("--times", type=int, default=20, help="plays of each case, half of them under load")
    parser.add_argument("--busy", type=int, default=os.cpu_count() or 1, help="busy processes that make the load")
    parser.add_argument("--in", dest="folder", type=Path, help="folder of the scenario files")
    parser.add_argument("--out", type=Path, default=Path("reports/soak-incidents"), help="journals, outcomes, logs")
    parser.add_argument("--name", help="a bed that is up already, and stays up")
    parser.add_argument("--resume", action="store_true", help="go on with the plays that an earlier call noted")
    parser.add_argument("--minutes", type=float, help="end after the play that is on after so many minutes")
    options = parser.parse_args(arguments)
    try:
        return _run(options)
    except AirbedError as error:
        console.print(f"[red]error:[/red] {error}", soft_wrap=True)
        return error.exit_code


def _run(options: argparse.Namespace) -> int:
    folder = options.folder or own_folder()
    files = [find(name, folder) for name in options.names] or list(files_in(folder).values())
    scenarios = [(load(file), file) for file in files]
    notes = Notes(options.out / "plays.jsonl", resume=options.resume)
    wanted = {(scenario.name, case) for scenario, _ in scenarios for case in scenario.cases}
    with _bed(options, any("kubernetes" in scenario.needs for scenario, _ in scenarios)) as bed:
        _play(bed, scenarios, notes, options)
    plays = [play for play in notes.read() if (play.incident, play.case) in wanted and play.number <= options.times]
    rows = rows_of(plays)
    REPORT.parent.mkdir(parents=True, exist_ok=True)
    REPORT.write_text(json.dumps([each.as_json() for each in rows], indent=1))
    for line in table(rows):
        output.print(line, soft_wrap=True)
    for row in rows:
        if row.first_trouble:
            console.print(f"{row.incident}/{row.case}: {row.first_trouble}", soft_wrap=True, markup=False)
    missing = len(wanted) * options.times - len(plays)
    if missing:
        console.print(f"{missing} plays are missing: --resume goes on with them (make soak RESUME=1)")
    return 0 if not missing and all(row.ok for row in rows) else 1


@contextmanager
def _bed(options: argparse.Namespace, kubernetes: bool) -> Iterator[Bed]:
    """The named bed, or one for as long as the block lasts."""
    if options.name:
        yield Bed.open(options.name)
        return
    settings = load_settings()
    if BedFiles(settings, BED).folder.exists():
        down(settings, BED, progress_lines())
    bed, _ = up(settings, Request(BED, kubernetes=kubernetes, time_scale=100), progress_lines())
    try:
        yield bed
    finally:
        down(settings, BED, progress_lines())


def _play(bed: Bed, scenarios: Sequence[tuple[Scenario, Path]], notes: Notes, options: argparse.Namespace) -> None:
    say = progress_lines()
    ends = time.monotonic() + 60 * (options.minutes or float("inf"))
    for play in soak(bed, scenarios, options.times, options.busy, options.out, notes.read()):
        notes.add(play)
        loaded = " under load" if play.loaded else ""
        say(f"{play.incident}/{play.case} {play.number} of {options.times}{loaded}: {play.word}, {play.seconds:.1f} s")
        if time.monotonic() > ends:
            say(f"{options.minutes:g} minutes are over")
            return


if __name__ == "__main__":
    sys.exit(main())
