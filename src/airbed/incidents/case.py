"""Play a case on a bed, first without its faults, then with them, and give the verdict."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout

from airbed.errors import AirbedError, Unavailable
from airbed.faults.plane import FaultPlane
from airbed.faults.recovery import recover
from airbed.incidents import director, invariants, steady
from airbed.incidents.digest import digest
from airbed.incidents.expectation import Expect
from airbed.incidents.feasible import ensure_gates_can_fill
from airbed.incidents.folder import write_folder
from airbed.incidents.journal import Journal, Say
from airbed.incidents.judge import judge, judge_control
from airbed.incidents.observe import Observer, Seen
from airbed.incidents.play import Play, Played
from airbed.incidents.prepare import prepare
from airbed.incidents.shield import shielded
from airbed.incidents.verdict import Account, Verdict, word_of
from airbed.runs.trigger import ensure_dag_is_ready

if TYPE_CHECKING:
    from airbed.bed import Bed
    from airbed.incidents.schema import Case, Scenario

ALL_WELL = Expect(run="success")


@dataclass
class Outcome:
    """One play: what happened, what was seen, what was found against each invariant."""

    played: Played
    seen: Seen
    broken: Mapping[str, Sequence[str]]


class CaseRun:
    """One case of a scenario on a bed.

    `beside` is the folder of the scenario file, `folder` gets journal, outcomes and logs (None: nothing is written).
    `without` is a fault that is left out. `say` gets progress, one line each.
    """

    def __init__(
        self,
        bed: Bed,
        scenario: Scenario,
        name: str,
        beside: Path,
        *,
        folder: Path | None = None,
        without: str | None = None,
        say: Say = lambda line: None,
    ) -> None:
        self._bed = bed
        self._scenario = scenario
        self._name = name
        self._case: Case = scenario.cases[name]
        self._beside = beside
        self._folder = folder
        self._without = without
        self._say = say
        self._items: dict[tuple[str, str], int] = {}

    def run(self, *, control: bool = True) -> Verdict:
        """Play it and judge. `control` false leaves the play without faults out.

        UsageError when it cannot be played on this bed at all; Unavailable when the bed is not well before or after.
        """
        began = time.monotonic()
        wanted = self._scenario.control_of(self._name)
        with _alone(self._bed):
            recover(self._bed)
            steady.ensure_well(self._bed)
            account = Account()
            if control and wanted is not False:
                account = self._control(wanted if isinstance(wanted, Expect) else None)
            marked = ""
            if not account.differences and not account.doubts:
                marked = self._with_faults(account)
        return Verdict(
            self._scenario.name,
            self._name,
            word_of(account.differences, account.doubts),
            time.monotonic() - began,
            tuple(account.differences),
            tuple(account.doubts),
            tuple(account.notes),
            marked,
            self._folder,
        )

    def _control(self, expect: Expect | None) -> Account:
        folder = self._folder / "control" if self._folder else None
        owner = f"{self._scenario.name}/{self._name}"
        outcome = self._play(
            owner, expect or ALL_WELL, Journal(folder and folder / "journal.jsonl", self._say), folder, faults=False
        )
        for run in [run for runs in outcome.seen.runs.values() for run in runs]:
            for task, instances in run.tasks.items():
                place = (run.dag_id, task)
                self._items[place] = max(self._items.get(place, 0), len(instances.instances))
        return judge_control(expect, outcome.played, outcome.seen, outcome.broken)

    def _with_faults(self, account: Account) -> str:
        owner = f"{self._scenario.name}/{self._name}"
        journal = Journal(self._folder and self._folder / "journal.jsonl", self._say)
        outcome = self._play(owner, self._case.expect, journal, self._folder, faults=True)
        found = judge(self._case, outcome.played, outcome.seen, outcome.broken)
        account.differences += found.differences
        account.doubts += found.doubts
        account.notes += found.notes
        broken = [name for name, texts in outcome.broken.items() if texts]
        return digest(self._case.expect, outcome.seen, broken, word_of(account.differences, account.doubts))

    def _play(self, owner: str, expect: Expect, journal: Journal, folder: Path | None, *, faults: bool) -> Outcome:
        """One play on a cleared bed. Everything injected and given is taken back, and the bed proven well."""
        bed, case = self._bed, self._case
        given = self._scenario.given_of(self._name)
        if not faults:
            journal.add("control", scenario=self._scenario.name, case=self._name)
        try:
            prepare(bed, given, self._beside, owner, journal)
            for dag in {run.dag for run in case.all_runs if run.dag}:
                ensure_dag_is_ready(bed, dag)
            if faults:
                ensure_gates_can_fill(bed, case, self._items)
            since = director.last_seq(bed)
            observer = Observer(bed, expect, journal.began)
            play = Play(
                bed, case, owner, journal, beside=self._beside, observer=observer, faults=faults, without=self._without
            )
            played = play.run()
        finally:
            with shielded():
                self._put_back(owner, journal)
        # What a fault kept from being read can be read now.
        observer.look(played)
        entries = director.entries_after(bed, since)
        observer.seen.director = entries or []
        if director.was_restarted(entries):
            played.inconclusive.append("the director was restarted meanwhile: what it was to do may not have happened")
        names = invariants.ALWAYS | set(expect.never) | (set(case.breaks) if faults else set())
        if not faults:
            names -= set(case.breaks)
        broken = invariants.check(bed, names, observer.seen, given.pools, _slots_of_faults(case) if faults else {})
        journal.add("done", invariants_broken=[name for name, texts in broken.items() if texts] or None)
        if folder is not None:
            director.write(observer.seen.director, folder)
            write_folder(bed, folder, journal, expect, observer.seen)
        return Outcome(played, observer.seen, broken)

    def _put_back(self, owner: str, journal: Journal) -> None:
        FaultPlane(self._bed, owner).clear(owner)
        steady.prove(self._bed)
        journal.add("steady", bed=self._bed.name)


def _slots_of_faults(case: Case) -> dict[str, int]:
    """The most slots that a fault of the case gives to each pool."""
    found: dict[str, int] = {}
    for step in case.faults:
        if step.fault == "airflow.pool":
            pool, slots = str(step.parameters["pool"]), int(step.parameters["slots"])
            found[pool] = max(found.get(pool, 0), slots)
    return found


class _alone:
    """One scenario at a time on a bed."""

    def __init__(self, bed: Bed) -> None:
        self._bed = bed
        self._lock = FileLock(bed.folder / ".scenario.lock", mode=0o600)

    def __enter__(self) -> None:
        try:
            self._lock.acquire(timeout=0)
        except Timeout:
            raise Unavailable(
                f"another scenario runs on bed '{self._bed.name}': wait for it, or use another bed"
            ) from None

    def __exit__(self, *_: object) -> None:
        self._lock.release()


def run_case(
    bed: Bed,
    scenario: Scenario,
    name: str,
    beside: Path,
    *,
    control: bool = True,
    folder: Path | None = None,
    without: str | None = None,
    say: Callable[[str], None] = lambda line: None,
) -> Verdict:
    """The verdict on one case; an error of the bed on the way makes it inconclusive.

    Wrong input is raised, and so is Ctrl-C or SIGTERM when something could not be put back after it.
    """
    began = time.monotonic()
    try:
        return CaseRun(bed, scenario, name, beside, folder=folder, without=without, say=say).run(control=control)
    except AirbedError as error:
        if (ended_by := _interruption(error)) is not None:
            raise type(ended_by)(*ended_by.args) from error
        if error.exit_code == 2:
            raise
        doubts = (" ".join(str(error).split()),)
        seconds = time.monotonic() - began
        return Verdict(scenario.name, name, "inconclusive", seconds, doubts=doubts, folder=folder)


def _interruption(error: BaseException) -> KeyboardInterrupt | SystemExit | None:
    """What somebody ended the play with, where errors came on top of it while everything was put back."""
    link: BaseException | None = error
    while link is not None:
        if isinstance(link, KeyboardInterrupt | SystemExit):
            return link
        link = link.__context__
    return None
