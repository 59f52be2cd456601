"""Play every incident again and again, half of the time under load: `python -m airbed.incidents.soak --times 20`.

Each case must come out as expected each time, with the same digest of its outcomes. Prints a table, a row a case, and
writes it to reports/soak-incidents.json. Ends with 1 when a case was not the same each time.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
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

    def as_json(self) -> dict[str, Any]:
        """All fields, and `ok`."""
        counted = {"words": dict(self.words), "digests": dict(self.digests)}
        return {"ok": self.ok, **vars(self), **counted}


def soak(bed: Bed, scenarios: Sequence[tuple[Scenario, Path]], times: int, processes: int, out: Path) -> Iterator[Row]:
    """Play each case so often, every second time beside `processes` busy ones; the first time with a control run."""
    say = progress_lines()
    for scenario, file in scenarios:
        for case in scenario.cases:
            row = Row(scenario.name, case)
            for number in range(times):
                under_load = number % 2 == 1
                folder = out / scenario.name / case / f"{number + 1:02}"
                with busy(processes) if under_load else nullcontext():
                    verdict = run_case(bed, scenario, case, file.parent, control=number == 0, folder=folder)
                row.words[verdict.word] += 1
                row.digests[verdict.digest] += 1
                (row.loaded if under_load else row.quiet).append(round(verdict.seconds, 1))
                if not verdict.ok and not row.first_trouble:
                    row.first_trouble = " ".join(each.strip() for each in verdict.lines())
                loaded = " under load" if under_load else ""
                say(f"{verdict.name} {number + 1} of {times}{loaded}: {verdict.word}, {verdict.seconds:.1f} s")
            yield row


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
    settings = load_settings()
    if options.name:
        bed = Bed.open(options.name)
    else:
        if BedFiles(settings, BED).folder.exists():
            down(settings, BED, progress_lines())
        kubernetes = any("kubernetes" in scenario.needs for scenario, _ in scenarios)
        bed, _ = up(settings, Request(BED, kubernetes=kubernetes, time_scale=100), progress_lines())
    rows = []
    try:
        for row in soak(bed, scenarios, options.times, options.busy, options.out):
            rows.append(row)
            REPORT.parent.mkdir(parents=True, exist_ok=True)
            REPORT.write_text(json.dumps([each.as_json() for each in rows], indent=1))
    finally:
        if not options.name:
            down(settings, BED, progress_lines())
    for line in table(rows):
        output.print(line, soft_wrap=True)
    for row in rows:
        if row.first_trouble:
            console.print(f"{row.incident}/{row.case}: {row.first_trouble}", soft_wrap=True, markup=False)
    return 0 if all(row.ok for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
