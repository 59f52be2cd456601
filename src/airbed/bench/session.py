"""One benchmark: rounds in which a bed and its peers take turns. Only one of them is up at a time."""

from __future__ import annotations

import functools
import os
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from airbed.bench import dag_test, fanout, heavy, plane, shards, shell, timeline
from airbed.bench.choice import DAG_TEST, LESSER_BEDS, PEERS, STANDALONE, Choice, Size
from airbed.bench.figures import OURS
from airbed.bench.owned import Owned, of_bed
from airbed.bench.results import Results, machine
from airbed.bench.standalone import standalone
from airbed.bench.usage import cpu_by_service, cpu_seconds, memory_by_service
from airbed.bench.watch import BedWatch
from airbed.bench.workload import FILE, SOURCE
from airbed.errors import AirbedError, Unavailable
from airbed.lifecycle import Came, up
from airbed.removal import down, every_name
from airbed.request import Request
from airbed.settings import Settings
from airbed.substrates.registry import EMBEDDED

if TYPE_CHECKING:
    from airbed.bed import Bed

Progress = Callable[[str], None]

HEALTHY = "nothing to healthy"
IDLE_SECONDS = 10.0


def measure(settings: Settings, name: str, choice: Choice, progress: Progress) -> Results:
    """Measure what was chosen, on beds of that name; one that is there is taken down first, and the last at the end.

    What cannot be measured is in `missing` of the results, and the rest is measured all the same.
    """
    session = _Session(settings, name, choice, progress)
    for number in range(1, choice.rounds + 1):
        if choice.rounds > 1:
            progress(f"round {number} of {choice.rounds}")
        session.round()
    session.results.machine["load_after"] = round(os.getloadavg()[0], 2)
    return session.results


class _Session:
    """The results so far, and what all turns need."""

    def __init__(self, settings: Settings, name: str, choice: Choice, progress: Progress) -> None:
        self._settings, self._name, self._choice, self._progress = settings, name, choice, progress
        self.results = Results(choice, machine())

    def round(self) -> None:
        """A turn of each."""
        if self._choice.on_a_bed:
            self._attempt("airbed", self._bed)
        if STANDALONE in self._choice.peers:
            self._attempt(STANDALONE, self._standalone)
        if DAG_TEST in self._choice.peers:
            self._attempt(DAG_TEST, self._dag_test)
        for peer in self._choice.peers:
            if peer in LESSER_BEDS:
                self._attempt(peer, functools.partial(self._bed, peer))
        if "kubernetes" in self._choice.parts:
            self._attempt("kubernetes", self._kubernetes)

    def _attempt(self, what: str, work: Callable[[], None]) -> None:
        """What is not available must not cost what was measured already."""
        try:
            work()
        except AirbedError as error:
            line = f"{what}: {' '.join(str(error).split())}"
            self._progress(f"not measured: {line}")
            self.results.missing.append(line)

    def _bed(self, subject: str = OURS) -> None:
        """A turn of a bed: with all levers, or, as a peer, without some."""
        off = list(LESSER_BEDS.get(subject, ()))
        self._clear()
        try:
            lines = timeline.Lines(self._progress)
            bed, came = up(self._settings, self._request(levers_off=off), lines)
            if "up" in self._choice.parts:
                self._note_up(bed, came, subject)
                if subject == OURS and bed.spec.substrate == EMBEDDED:
                    self.results.timeline = timeline.of_bed(bed, lines.came, came.services)
            self._parts(bed, subject)
        finally:
            gone = self._clear()
        if gone is not None and "up" in self._choice.parts:
            self.results.figures.add("up", "down, proven empty", gone, "s", subject=subject)

    def _request(self, *, kubernetes: bool = False, levers_off: Sequence[str] = ()) -> Request:
        return Request(self._name, kubernetes=kubernetes, levers_off=list(levers_off), substrate=self._choice.substrate)

    def _note_up(self, bed: Bed, came: Came, subject: str) -> None:
        figures, owned = self.results.figures, of_bed(bed)
        cpu = cpu_by_service(owned)
        figures.add("up", HEALTHY, came.seconds, "s", subject=subject)
        figures.add_shares("up", HEALTHY, came.services, "s", subject=subject)
        figures.add("up", f"{HEALTHY}, CPU", sum(cpu.values()), "s", subject=subject)
        figures.add_shares("up", f"{HEALTHY}, CPU", cpu, "s", subject=subject)
        memory = sum(memory_by_service(owned).values())
        figures.add("up", "memory once healthy", memory, "MB", subject=subject)

    def _parts(self, bed: Bed, subject: str) -> None:
        """The parts that share this bed; memory first, as the first run leaves workers, and idle CPU last."""
        figures, progress = self.results.figures, self._progress
        steps: dict[str, Callable[[], None]] = {
            "memory": lambda: self._memory(bed, subject),
            "cli": lambda: shell.measure(bed.name, figures),
            "fanout": lambda: self._fanout(bed, subject),
            "xcom": lambda: heavy.measure(bed, figures, progress),
            "shards": lambda: shards.measure(bed, figures, progress),
            "s3-proxy": lambda: plane.measure_s3(bed, figures, progress),
            "task-rule": lambda: plane.measure_questions(bed, figures),
        }
        there = self._choice.parts if subject == OURS else PEERS[subject]
        for part, work in steps.items():
            if part in self._choice.parts and part in there:
                progress(f"measuring {part}")
                self._attempt(part, work)
        if "memory" in self._choice.parts:
            progress(f"CPU of the idle bed, {IDLE_SECONDS:.0f} s")
            figures.add("memory", "cores in use when idle", _idle_cores(of_bed(bed)), "", subject=subject)

    def _memory(self, bed: Bed, subject: str) -> None:
        found = memory_by_service(of_bed(bed))
        self.results.figures.add("memory", "idle, before the first run", sum(found.values()), "MB", subject=subject)
        self.results.figures.add_shares("memory", "idle, before the first run", found, "MB", subject=subject)

    def _fanout(self, bed: Bed, subject: str) -> None:
        figures = self.results.figures
        (bed.files.scenario_dags / FILE).write_text(SOURCE)
        served = fanout.Served(subject, bed.endpoints.airflow, of_bed(bed), BedWatch(bed))
        # Ours may take as long as it takes, within reason: the limit is for peers.
        limit = max(600.0, self._choice.limit)
        if stops := fanout.measure(served, self._choice.sizes, limit, figures, self._progress):
            raise Unavailable(f"{stops[0].name}: {stops[0].reason}")

    def _standalone(self) -> None:
        figures = self.results.figures
        with standalone(self._settings, self._progress) as (served, seconds):
            if "up" in self._choice.parts:
                cpu = cpu_seconds(served.owned)
                memory = sum(memory_by_service(served.owned).values())
                figures.add("up", HEALTHY, seconds, "s", subject=STANDALONE)
                figures.add("up", f"{HEALTHY}, CPU", cpu, "s", subject=STANDALONE)
                figures.add("up", "memory once healthy", memory, "MB", subject=STANDALONE)
            if "fanout" in self._choice.parts:
                sizes = self._sizes(STANDALONE)
                self.results.stops += fanout.measure(served, sizes, self._choice.limit, figures, self._progress)

    def _dag_test(self) -> None:
        sizes = self._sizes(DAG_TEST)
        limit = self._choice.limit
        self.results.stops += dag_test.measure(sizes, limit, self.results.figures, self._progress)

    def _kubernetes(self) -> None:
        """A bed of its own: the workers of earlier runs would stay, and an idle bed has none."""
        figures = self.results.figures
        self._clear()
        try:
            bed, came = up(self._settings, self._request(kubernetes=True), self._progress)
            memory = memory_by_service(of_bed(bed))
            figures.add("kubernetes", HEALTHY, came.seconds, "s")
            figures.add_shares("kubernetes", HEALTHY, came.services, "s")
            figures.add("kubernetes", "idle, before the first run", sum(memory.values()), "MB")
            figures.add_shares("kubernetes", "idle, before the first run", memory, "MB")
        finally:
            self._clear()

    def _sizes(self, subject: str) -> tuple[Size, ...]:
        """The sizes up to the one that a peer stopped at in an earlier round."""
        stopped = {each.name for each in self.results.stops if each.subject == subject}
        names = [each.name for each in self._choice.sizes]
        end = min((names.index(each) for each in stopped if each in names), default=len(names))
        return self._choice.sizes[:end]

    def _clear(self) -> float | None:
        """Take the bed down if there is one; the seconds that took."""
        if self._name not in every_name(self._settings):
            return None
        return down(self._settings, self._name, self._progress).seconds


def _idle_cores(owned: Owned) -> float:
    before, began = cpu_seconds(owned), time.monotonic()
    time.sleep(IDLE_SECONDS)
    return (cpu_seconds(owned) - before) / (time.monotonic() - began)
