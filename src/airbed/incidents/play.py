"""Play one case on a bed: runs and faults, each at its moment, and everything undone at the end."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from airbed.errors import AirbedError, Unavailable
from airbed.faults.plane import FaultPlane
from airbed.faults.platform.scenario_given import gate_prefix
from airbed.incidents.gates import Gate
from airbed.incidents.glances import Glances
from airbed.incidents.order import cleared_by, dag_of
from airbed.incidents.references import fault_of
from airbed.incidents.shield import shielded
from airbed.incidents.sight import Sight
from airbed.incidents.steps import FaultState, Inconclusive, RunState, StepFailed

if TYPE_CHECKING:
    from airbed.bed import Bed
    from airbed.incidents.journal import Journal
    from airbed.incidents.moments import Arrived
    from airbed.incidents.observe import Observer
    from airbed.incidents.schema import Case

TICK = 0.05


@dataclass
class Played:
    """What happened in a case: its runs and faults by name, and why it cannot be judged, where it cannot."""

    runs: dict[str, RunState]
    faults: dict[str, FaultState]
    began: datetime = field(default_factory=lambda: datetime.now(UTC))
    inconclusive: list[str] = field(default_factory=list)
    failed_step: str | None = None
    late: list[str] = field(default_factory=list)


class Play:
    """One play of a case. `owner` names it in the ledger; `faults` false plays it without them (the control run).

    `beside` is the folder of the scenario file. `observer` looks when the runs have ended, with the faults still in
    force, and at a run that is about to be cleared.

    `without` is a fault that is left out, while its gate and its place among the steps stay.
    """

    def __init__(
        self,
        bed: Bed,
        case: Case,
        owner: str,
        journal: Journal,
        *,
        beside: Path,
        observer: Observer,
        faults: bool = True,
        without: str | None = None,
    ) -> None:
        self._bed = bed
        self._case = case
        self._owner = owner
        self._journal = journal
        self._observer = observer
        self._plane = FaultPlane(bed, owner)
        # Never used twice: the executor's late word on a task of the play before would be taken for one on this play's.
        self._token = secrets.token_hex(3)
        self._deadline = time.monotonic() + case.timeout
        listed = case.all_runs
        runs = {run.id: RunState(run, dag_of(listed, index)) for index, run in enumerate(listed)}
        earlier = {run.id: cleared_by(listed, index) for index, run in enumerate(listed)}
        self._cleared = {name: runs[run.id] for name, run in earlier.items() if run is not None}
        states = {
            step.name: FaultState(step, None if step.name == without else fault_of(step, case, beside))
            for step in (case.faults if faults else [])
        }
        self.played = Played(runs, states)
        self._glances = Glances()
        self._sight = Sight(bed, self._plane, runs, states, [step.name for step in case.faults], self._glances)

    def run(self) -> Played:
        """Play it to its end.

        Raises nothing for what a step or the director does; that is in what is returned. Faults are taken back and
        gates opened in any case; Unavailable when that fails.
        """
        try:
            self._put_gates()
            self._loop()
            self._observer.look(self.played)
        except StepFailed as error:
            self.played.failed_step = str(error)
            self._journal.add("step failed", why=str(error))
        except Inconclusive as error:
            self.played.inconclusive.append(str(error))
            self._journal.add("inconclusive", why=str(error))
        finally:
            with shielded():
                self._undo_all()
        return self.played

    # -- the loop

    def _loop(self) -> None:
        while True:
            moved = self._faults_due() or self._runs_due() or self._faults_over()
            for run in self.played.runs.values():
                if run.state == "started" and run.look(self._bed, self._glances):
                    self._journal.add("run ended", id=run.name, state=run.airflow_state, runs=run.run_ids)
                    moved = True
            if all(run.state == "ended" for run in self.played.runs.values()) and not moved:
                return
            if self._is_too_late():
                return
            if not moved:
                time.sleep(TICK)

    def _is_too_late(self) -> bool:
        late = [run.name for run in self.played.runs.values() if run.is_late()]
        if time.monotonic() > self._deadline:
            late = [run.name for run in self.played.runs.values() if run.state != "ended"]
        if late:
            self.played.late = late
            self._journal.add("out of time", runs=late)
        return bool(late)

    def _runs_due(self) -> bool:
        moved = False
        for run in self.played.runs.values():
            if run.state == "waiting" and self._run_may_start(run):
                self._start(run)
                moved = True
        return moved

    def _run_may_start(self, run: RunState) -> bool:
        if any(each.state == "waiting" and each.step.when.start for each in self.played.faults.values()):
            return False
        cleared = self._cleared.get(run.name)
        if cleared is not None and cleared.state != "ended":
            return False
        # In a control run there are no faults to wait for.
        return run.run.after is None or self._sight.reached(run.run.after)

    def _start(self, run: RunState) -> None:
        cleared = self._cleared.get(run.name)
        if cleared is not None and cleared.run_ids:
            self._observer.keep(cleared)
        try:
            run.start(self._bed, self._run_id(run), cleared)
        except AirbedError as error:
            raise StepFailed(f"run {run.name} of {run.dag_id} was not started: {error}") from error
        self._journal.add("run started", id=run.name, dag=run.dag_id, runs=run.run_ids or None)

    def _run_id(self, run: RunState) -> str:
        return "__".join(["incident", *self._owner.split("/"), run.name, self._token])

    # -- faults

    def _put_gates(self) -> None:
        for each in self.played.faults.values():
            if each.step.when.arrived is not None:
                each.gate = self._put_gate(each.name, each.step.when.arrived)
            if each.step.until.arrived is not None:
                each.end_gate = self._put_gate(f"{each.name}.end", each.step.until.arrived)

    def _put_gate(self, name: str, asked: Arrived) -> Gate:
        dag_id = asked.dag or next(iter(self.played.runs.values())).dag_id
        runs = list(self.played.runs.values())
        # The id of a single plain run is known before it exists; otherwise every run of the DAG counts.
        alone = len(runs) == 1 and runs[0].run.backfill is None and runs[0].dag_id == dag_id
        run_id = self._run_id(runs[0]) if alone else None
        gate = Gate(self._bed, f"{gate_prefix(self._owner)}.{name}", asked, dag_id, run_id)
        gate.put()
        self._journal.add("armed", id=name, gate=gate.name)
        return gate

    def _faults_due(self) -> bool:
        moved = False
        for each in self.played.faults.values():
            if each.state == "waiting" and self._sight.came(each):
                self._apply(each)
                moved = True
        return moved

    def _apply(self, each: FaultState) -> None:
        self._journal.add("moment came", id=each.name, arrived=each.gate.names() if each.gate else None)
        each.applied = datetime.now(UTC)
        if each.fault is not None:
            try:
                each.entry = self._plane.inject(each.fault)
            except AirbedError as error:
                raise StepFailed(f"{each.name} ({each.step.fault}) could not be brought into force: {error}") from error
        each.state, each.in_force, each.clock = "started", datetime.now(UTC), time.monotonic()
        if each.fault is None:
            self._journal.add("left out", id=each.name)
        else:
            self._journal.add("in force", id=each.name, kind=each.step.fault, parameters=each.fault.describe() or None)
        if each.fault is not None and each.fault.momentary:
            self._over(each, "done")
        if each.gate is not None:
            self._open(each.name, each.gate)

    def _open(self, name: str, gate: Gate) -> None:
        in_time = gate.open()
        self._journal.add("gate opened", id=name, arrived=gate.names())
        if not in_time:
            raise Inconclusive(f"{name}: the gate let everybody go before the fault was ready: it took too long")

    def _faults_over(self) -> bool:
        moved = False
        for each in self.played.faults.values():
            if each.state == "started" and self._sight.is_over(each):
                self._over(each, "taken back")
                moved = True
        return moved

    def _over(self, each: FaultState, how: str) -> None:
        if each.entry is not None and each.fault is not None and not each.fault.momentary:
            each.fired = self._plane.undo(each.entry.id).fired
        each.state, each.undone = "ended", datetime.now(UTC)
        self._journal.add(how, id=each.name, fired=each.fired)
        if each.end_gate is not None and not each.end_gate.opened:
            self._open(each.name, each.end_gate)

    # -- the end

    def _undo_all(self) -> None:
        """Faults first, then the gates: nobody leaves a gate into a fault that is about to go."""
        problems = []
        for each in youngest_first(self.played.faults.values()):
            if each.state == "started":
                try:
                    self._over(each, "taken back")
                except AirbedError as error:
                    problems.append(str(error))
        for each in self.played.faults.values():
            gates = [gate for gate in (each.gate, each.end_gate) if gate is not None]
            problems += [f"gate {gate.name} was not removed: {why}" for gate in gates if (why := gate.remove())]
        for run in self.played.runs.values():
            try:
                run.end(self._bed)
            except AirbedError as error:
                problems.append(f"run {run.name} was not ended: {error}")
        for problem in problems:
            self._journal.add("not undone", why=problem)
        if problems:
            raise Unavailable("; ".join(problems))


def youngest_first(faults: Iterable[FaultState]) -> list[FaultState]:
    """Faults in the reverse order of their injection, whatever their order in the scenario's file."""
    return sorted(faults, key=lambda each: -int(each.entry.id[1:]) if each.entry is not None else 0)
