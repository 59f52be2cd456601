"""The steps of a case as they stand: faults with their gates, runs with their states."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

from airbed.errors import AirbedError, UsageError
from airbed.runs.trigger import day_interval, ensure_dag_is_ready, start_run

if TYPE_CHECKING:
    from airbed.bed import Bed
    from airbed.faults.ledger import Entry
    from airbed.faults.model import Fault
    from airbed.incidents.gates import Gate
    from airbed.incidents.glances import Glances
    from airbed.incidents.schema import FaultStep, Run

State = Literal["waiting", "started", "ended"]
ENDED = {"success", "failed"}


class StepFailed(AirbedError):
    """A step could not be done: the case ends here (exit code 1)."""

    exit_code = 1


class Inconclusive(AirbedError):
    """The case cannot be judged: the director died, or a gate did not fill in time (exit code 3)."""

    exit_code = 3


@dataclass
class FaultState:
    """One fault of a case. `fault` None: it was left out, and its step goes by without it. `gate` is of its `when`,
    `end_gate` of its `until`.

    `applied` is when its application began, `in_force` when a client was seen to meet it, `undone` when it was gone;
    `clock` is when it came into force, in seconds of this process's clock.
    `fired` is how often it hit something (None: not countable).
    """

    step: FaultStep
    fault: Fault | None
    gate: Gate | None = None
    end_gate: Gate | None = None
    state: State = "waiting"
    entry: Entry | None = None
    applied: datetime | None = None
    in_force: datetime | None = None
    undone: datetime | None = None
    clock: float = 0.0
    fired: int | None = None

    @property
    def name(self) -> str:
        """What the scenario calls it."""
        return self.step.name


@dataclass
class RunState:
    """One run of a case, or one backfill. `run_ids` are the runs of Airflow that it made."""

    run: Run
    dag_id: str
    run_ids: list[str] = field(default_factory=list)
    state: State = "waiting"
    airflow_state: str = "queued"
    backfill_id: int | None = None
    triggered: datetime | None = None
    clock: float = 0.0

    @property
    def name(self) -> str:
        """What the scenario calls it."""
        return self.run.id

    def start(self, bed: Bed, run_id: str, cleared: RunState | None = None) -> None:
        """Trigger it; a clear sets back the runs of `cleared`. UsageError for what Airflow refuses."""
        run = self.run
        self.triggered, self.clock = datetime.now(UTC), time.monotonic()
        if run.clear is not None:
            if cleared is None or not cleared.run_ids:
                raise UsageError("there is nothing to clear: the run before it made no run of Airflow")
            self.run_ids = list(cleared.run_ids)
            for each in self.run_ids:
                bed.airflow.clear(
                    self.dag_id,
                    each,
                    run.clear.tasks,
                    run.clear.map_indexes,
                    only_failed=run.clear.only_failed,
                    downstream=run.clear.downstream,
                )
        elif run.backfill is not None:
            from airbed.runs.backfill import begin_backfill

            self.backfill_id, _ = begin_backfill(
                bed,
                self.dag_id,
                run.backfill.first,
                run.backfill.last,
                max_active_runs=run.backfill.max_active_runs,
                reprocess=run.backfill.reprocess,
                conf=run.conf or None,
            )
        else:
            if ensure_dag_is_ready(bed, self.dag_id, 60).is_paused:
                bed.airflow.unpause(self.dag_id)
            interval = day_interval(run.day) if run.day is not None else None
            started = start_run(
                bed, self.dag_id, run_id=run_id, interval=interval, logical_date=run.logical_date, conf=run.conf or None
            )
            self.run_ids = [started.run_id]
        self.state = "started"

    def look(self, bed: Bed, glances: Glances) -> bool:
        """Read its state; returns whether it has ended. A database that does not answer now tells nothing."""
        state: str | None = glances.at(f"run {self.name}", lambda: self._state(bed))
        self.airflow_state = state or self.airflow_state
        if self.airflow_state in ENDED:
            self.state = "ended"
        if self.run.watch_for is not None and time.monotonic() - self.clock > self.run.watch_for:
            self.state = "ended"
        return self.state == "ended"

    def _state(self, bed: Bed) -> str:
        if self.backfill_id is None:
            return together([self._state_of(bed, run_id) for run_id in self.run_ids])
        days = bed.metadata.backfill_days(self.backfill_id)
        self.run_ids = [each.run_id for each in days if each.run_id]
        # None at all, where every day had its run already: there is nothing to wait for.
        states = {each.state for each in days if each.run_id}
        if states - ENDED:
            return "running"
        return "failed" if "failed" in states else "success"

    def _state_of(self, bed: Bed, run_id: str) -> str:
        run = bed.metadata.run(self.dag_id, run_id)
        if run is None:
            raise StepFailed(f"run {run_id} of {self.dag_id} was deleted while it was followed")
        return run.state

    def is_late(self) -> bool:
        """Whether its own time is up."""
        return self.state == "started" and time.monotonic() - self.clock > self.run.timeout

    def end(self, bed: Bed) -> None:
        """End what still runs of it."""
        if self.backfill_id is not None and self.airflow_state not in ENDED:
            _cancel(bed, self.backfill_id)
        for run_id in self.run_ids:
            row = bed.metadata.run(self.dag_id, run_id)
            if row is not None and not row.ended:
                bed.airflow.set_run_state(self.dag_id, run_id, "failed")


def _cancel(bed: Bed, backfill_id: int) -> None:
    """Cancel a backfill, unless it has ended meanwhile."""
    from airbed.clients.rest import BadRequest

    try:
        bed.airflow.cancel_backfill(backfill_id)
    except BadRequest as error:
        if error.status != 409:
            raise


def together(states: Sequence[str]) -> str:
    """The state of several runs as one: that of the first that has not ended, else failed when one of them did."""
    unfinished = [each for each in states if each not in ENDED]
    return unfinished[0] if unfinished else "failed" if "failed" in states else "success"


def instances_in(rows: Sequence[Any], task: str, map_index: Sequence[int] | None, state: str) -> int:
    """How many instances of a task (of these map_indexes) are in an Airflow state."""
    return sum(
        each.task_id == task and each.state == state and (map_index is None or each.map_index in map_index)
        for each in rows
    )
