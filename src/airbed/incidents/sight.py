"""What the moments of a case look at: gates, instances, services, counters, other steps."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING, Any

from airbed.errors import Unavailable
from airbed.incidents.glances import Glances
from airbed.incidents.order import step_and_moment
from airbed.incidents.steps import FaultState, Inconclusive, RunState, instances_in

if TYPE_CHECKING:
    from airbed.bed import Bed
    from airbed.faults.plane import FaultPlane
    from airbed.incidents.gates import Gate
    from airbed.incidents.moments import InState, ServiceState


class Sight:
    """Tells whether a moment has come. `steps` are the names of all faults of the case, played or not."""

    def __init__(
        self,
        bed: Bed,
        plane: FaultPlane,
        runs: Mapping[str, RunState],
        faults: Mapping[str, FaultState],
        steps: Collection[str],
        glances: Glances,
    ) -> None:
        self._bed = bed
        self._plane = plane
        self._runs = runs
        self._faults = faults
        self._known = {*runs, *steps}
        self._glances = glances

    def came(self, each: FaultState) -> bool:
        """Whether the moment of a fault has come; Inconclusive when a condition of it did not come in its time."""
        when = each.step.when
        if when.start:
            return True
        conditions = [
            each.gate is None or self._is_full(each.name, each.gate, self._first_start()),
            when.state is None or self._in_state(when.state),
            when.service is None or self._service_is(when.service),
            when.hits is None or (self._fired(self._faults[when.hits.of]) or 0) >= when.hits.count,
            when.after is None or self.reached(when.after),
        ]
        if all(conditions):
            return True
        for what, met in (("state", conditions[1]), ("service", conditions[2])):
            if not met:
                self._ensure_in_time(f"{each.name}.when.{what}", getattr(when, what), self._first_start())
        if each.gate is not None and conditions[0]:
            self._ensure_patient(each.name, each.gate, "but its other conditions did not come")
        return False

    def is_over(self, each: FaultState) -> bool:
        """Whether a fault in force has to go now; Inconclusive when that did not come in its time."""
        until = each.step.until
        conditions = [
            until.seconds is not None and time.monotonic() - each.clock >= until.seconds,
            each.end_gate is not None and self._is_full(each.name, each.end_gate, each.clock),
            until.hits is not None and (self._fired(each) or 0) >= until.hits,
            until.after is not None and self.reached(until.after),
            until.state is not None and self._in_state(until.state),
            until.service is not None and self._service_is(until.service),
        ]
        if any(conditions):
            return True
        for what in ("state", "service"):
            self._ensure_in_time(f"{each.name}.until.{what}", getattr(until, what), each.clock)
        return False

    def reached(self, name: str) -> bool:
        """Whether a step has come as far as `after` says; steps that are not played hold nobody up."""
        step, moment = step_and_moment(name, self._known)
        if step in self._runs:
            state = self._runs[step].state
            return state == "ended" or (moment == "started" and state == "started")
        if step not in self._faults:
            return True
        state = self._faults[step].state
        return state == "ended" or (moment != "ended" and state == "started")

    def _first_start(self) -> float | None:
        started = [run.clock for run in self._runs.values() if run.clock]
        return min(started) if started else None

    def _is_full(self, name: str, gate: Gate, since: float | None) -> bool:
        if gate.opened:
            return True
        try:
            full = gate.full()
        except Unavailable as error:
            raise Inconclusive(str(error)) from error
        if not full:
            self._ensure_patient(name, gate, since=since)
        return full

    def _ensure_patient(self, name: str, gate: Gate, but: str = "", since: float | None = None) -> None:
        """Inconclusive when the gate's time is up: who is held there must not wait for ever."""
        since = self._first_start() if since is None else since
        if since is None or time.monotonic() - since <= gate.asked.timeout:
            return
        raise Inconclusive(
            f"{name}: {len(gate.arrived)} of {gate.asked.count} instances of {gate.asked.task} arrived within"
            f" {gate.asked.timeout:g} s ({', '.join(gate.names()) or 'none'}){', ' if but else ''}{but}: read the"
            " timeline, or give it a longer timeout"
        )

    def _ensure_in_time(self, name: str, wanted: InState | ServiceState | None, since: float | None) -> None:
        """Inconclusive when the file gives a condition a time, and it is up."""
        if wanted is None or wanted.timeout is None or since is None or time.monotonic() - since <= wanted.timeout:
            return
        raise Inconclusive(f"{name} did not come within {wanted.timeout:g} s: read the timeline, or give it longer")

    def _in_state(self, wanted: InState) -> bool:
        chosen = [run for run in self._runs.values() if wanted.run in (None, run.name)]
        count = 0
        # A clear has the run ids of the run it cleared: each counts once.
        for dag_id, run_id in dict.fromkeys((run.dag_id, run_id) for run in chosen for run_id in run.run_ids):
            rows = self._glances.at(f"rows of {dag_id} {run_id}", self._instances(dag_id, run_id)) or []
            count += instances_in(rows, wanted.task, wanted.map_index, wanted.state)
        return count >= wanted.count

    def _instances(self, dag_id: str, run_id: str) -> Callable[[], Any]:
        return lambda: self._bed.metadata.instances(dag_id, run_id)

    def _service_is(self, wanted: ServiceState) -> bool:
        rows = self._glances.at("services", self._bed.substrate.status) or []
        return any(each.name == wanted.name and each.state == wanted.state for each in rows)

    def _fired(self, each: FaultState) -> int | None:
        entry = each.entry
        if entry is None or each.state != "started":
            return each.fired
        fired: int | None = self._glances.at(f"fired {each.name}", lambda: self._plane.fired(entry))
        return fired
