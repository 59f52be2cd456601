"""What is to be seen when the runs of a case have ended: read with the faults still in force, where possible."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from airbed.clients.rows import Attempt
from airbed.errors import Unavailable
from airbed.incidents.glances import within
from airbed.incidents.steps import ENDED, Inconclusive, RunState, together
from airbed.runs.model import RunResult
from airbed.runs.outcomes import collect

if TYPE_CHECKING:
    from airbed.bed import Bed
    from airbed.incidents.expectation import Expect, LogExpect, MetricExpect, ObjectsExpect, RolloutExpect
    from airbed.incidents.play import Played

Part = tuple[str, int | str]  # such as ("rows", 0)
METRICS_WITHIN = 10.0
READ_WITHIN = 60.0  # seconds; a paused database would never answer


@dataclass
class Seen:
    """What was seen. `runs` by name (a backfill has several), `attempts` their tries, `read` the rest by its place.

    `attempts_of` has the tries by run: a clear has only those that it brought about.
    `unreadable` has the reason for each place that could not be read, `director` the director's journal.
    """

    runs: dict[str, list[RunResult]] = field(default_factory=dict)
    states: dict[str, str] = field(default_factory=dict)
    attempts: list[Attempt] = field(default_factory=list)
    read: dict[Part, Any] = field(default_factory=dict)
    unreadable: dict[Part, str] = field(default_factory=dict)
    director: list[dict[str, Any]] = field(default_factory=list)
    attempts_of: dict[str, list[Attempt]] = field(default_factory=dict)

    def one(self, name: str | None) -> RunResult | None:
        """The (last) run of a name; of None the last run of all."""
        found = self.runs.get(name, []) if name is not None else [each for runs in self.runs.values() for each in runs]
        return found[-1] if found else None


class Observer:
    """Reads what a case's `expect` speaks of. `look` once before the faults are taken back, and once after.

    What a living fault changes (a missing object, a stuck rollout) is seen the first time; what it keeps from being
    read (a stopped database) the second.
    """

    def __init__(self, bed: Bed, expect: Expect, began: datetime) -> None:
        self.seen = Seen()
        self._bed = bed
        self._expect = expect
        self._began = began
        # Where each service's log ended when the case began.
        self._marks = {log.service: _size(bed, log.service) for log in expect.logs if log.service is not None}

    def look(self, played: Played) -> None:
        """Read everything that was not read yet."""
        for place, read in self._readers(played).items():
            if place in self.seen.read:
                continue
            try:
                self.seen.read[place] = within(READ_WITHIN, _named(place), read)
                self.seen.unreadable.pop(place, None)
            except Exception as error:
                # Whatever it is, it is told as a difference of the line that asked for it.
                self.seen.unreadable[place] = " ".join(str(error).split()) or type(error).__name__

    def keep(self, run: RunState) -> None:
        """Read a run that is about to be cleared: afterwards nobody can. Inconclusive when it cannot be read now."""
        place: Part = ("run", run.name)
        if place in self.seen.read:
            return
        try:
            self.seen.read[place] = within(READ_WITHIN, _named(place), lambda: self._run(run))
        except Exception as error:
            reason = " ".join(str(error).split()) or type(error).__name__
            raise Inconclusive(f"run {run.name} could not be read before it was cleared: {reason}") from error

    def _readers(self, played: Played) -> dict[Part, Callable[[], Any]]:
        bed, expect = self._bed, self._expect
        readers: dict[Part, Callable[[], Any]] = {
            ("run", name): lambda run=run: self._run(run)  # type: ignore[misc]
            for name, run in played.runs.items()
            if run.run_ids or run.airflow_state in ENDED
        }
        for index, rows in enumerate(expect.rows):
            readers["rows", index] = lambda each=rows: _rows(bed, each.database, each.query)  # type: ignore[misc]
        for index, objects in enumerate(expect.objects):
            readers["objects", index] = lambda each=objects: _objects(bed, each)  # type: ignore[misc]
        for index, rollout in enumerate(expect.rollouts):
            readers["rollouts", index] = lambda each=rollout: _rollout(bed, each)  # type: ignore[misc]
        for index, metric in enumerate(expect.metrics):
            readers["metrics", index] = lambda each=metric: _metric(bed, each)  # type: ignore[misc]
        for index, log in enumerate(expect.logs):
            readers["logs", index] = lambda each=log: self._log(each, played)  # type: ignore[misc]
        return readers

    def _run(self, run: RunState) -> str:
        results = [collect(self._bed, run.dag_id, run_id) for run_id in run.run_ids]
        # A backfill of days that all had their runs made none; no ids would mean all runs of the DAG.
        attempts = self._bed.metadata.attempts(run.dag_id, run.run_ids) if run.run_ids else []
        self.seen.runs[run.name] = results
        self.seen.states[run.name] = together([each.state for each in results])
        # A clear has the run ids of what it cleared, and the tries from before it are not its own.
        own = attempts if run.run.clear is None else [each for each in attempts if _began_after(each, run.triggered)]
        self.seen.attempts_of[run.name] = own
        self.seen.attempts = list({_try_of(each): each for each in (*self.seen.attempts, *attempts)}.values())
        return self.seen.states[run.name]

    def _log(self, wanted: LogExpect, played: Played) -> list[str]:
        pattern = re.compile(wanted.matches)
        if wanted.service is not None:
            file = self._bed.substrate.log_file(wanted.service)
            with file.open("rb") as stream:
                stream.seek(min(self._marks[wanted.service], file.stat().st_size))
                text = stream.read().decode(errors="replace")
        else:
            text = self._task_log(wanted, played)
        return [line for line in text.splitlines() if pattern.search(line)]

    def _task_log(self, wanted: LogExpect, played: Played) -> str:
        run = played.runs[wanted.run] if wanted.run is not None else list(played.runs.values())[-1]
        name = wanted.task if wanted.map_index < 0 else f"{wanted.task}[{wanted.map_index}]"
        tries = {
            run_id: each.try_number
            for run_id in run.run_ids
            for each in self._bed.metadata.instances(run.dag_id, run_id)
            if (each.task_id, each.map_index) == (wanted.task, wanted.map_index)
        }
        # No log is not a log without such lines: `count: 0` would hold of a task id with a typing mistake.
        if not tries:
            raise Unavailable(f"there is no instance {name}")
        if wanted.try_number is not None and wanted.try_number > max(tries.values()):
            raise Unavailable(f"{name} was tried {max(tries.values())} times: there is no try {wanted.try_number}")
        texts = [
            self._bed.airflow.log(run.dag_id, run_id, str(wanted.task), wanted.map_index, number)
            for run_id, tried in tries.items()
            for number in range(1, tried + 1)
            if wanted.try_number in (None, number)
        ]
        return "\n".join(texts)


def _named(place: Part) -> str:
    return f"{place[0]} {place[1]}" if place[0] == "run" else f"expect.{place[0]}[{place[1]}]"


def _try_of(each: Attempt) -> tuple[str, str, str, int, int]:
    return each.dag_id, each.run_id, each.task_id, each.map_index, each.try_number


def _began_after(each: Attempt, moment: datetime | None) -> bool:
    return moment is None or each.start_date >= moment


def _size(bed: Bed, service: str) -> int:
    file = bed.substrate.log_file(service)
    return file.stat().st_size if file.exists() else 0


def _rows(bed: Bed, database: str, query: str) -> list[list[Any]]:
    with bed.database(database) as connection:
        return [[plain(value) for value in row] for row in connection.execute(query.encode()).fetchall()]


def _objects(bed: Bed, wanted: ObjectsExpect) -> list[str]:
    """The keys that count."""
    pages = bed.s3.get_paginator("list_objects_v2").paginate(Bucket=wanted.bucket, Prefix=wanted.prefix)
    keys = [each["Key"] for page in pages for each in page.get("Contents", [])]
    keys = [key for key in keys if wanted.key is None or re.search(wanted.key, key)]
    if wanted.matches is None:
        return keys
    pattern = re.compile(wanted.matches)
    return [key for key in keys if pattern.search(_text(bed, wanted.bucket, key))]


def _text(bed: Bed, bucket: str, key: str) -> str:
    return str(bed.s3.get_object(Bucket=bucket, Key=key)["Body"].read().decode(errors="replace"))


def _metric(bed: Bed, wanted: MetricExpect) -> Mapping[str, Any]:
    """The metric, when its bound holds or the last packet must have come: they travel over UDP."""
    deadline = time.monotonic() + METRICS_WITHIN
    while True:
        found: Mapping[str, Any] = bed.director.metrics(wanted.name).get(wanted.name) or {}
        if wanted.bound.holds(float(found.get(wanted.field) or 0)) or time.monotonic() > deadline:
            return found
        time.sleep(0.2)


def _rollout(bed: Bed, wanted: RolloutExpect) -> Mapping[str, Any] | None:
    """The Deployment's version and ready replicas; None when there is none."""
    from kubernetes import client

    with bed.kubernetes() as api:
        try:
            found = client.AppsV1Api(api).read_namespaced_deployment(wanted.name, wanted.region)
        except client.ApiException as error:
            if error.status == 404:
                return None
            raise
    labels = found.spec.template.metadata.labels or {}
    image = found.spec.template.spec.containers[0].image
    version = labels.get("app.kubernetes.io/version") or labels.get("version") or image.rpartition(":")[2]
    return {"version": version, "ready": found.status.ready_replicas or 0}


def plain(value: Any) -> Any:
    """A database's value as a YAML file can say it."""
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    if isinstance(value, dict):
        return {str(key): plain(each) for key, each in value.items()}
    return value if isinstance(value, str | int | float | bool | None) else str(value)
