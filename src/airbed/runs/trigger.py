"""Starting a run: its day, its conf, and whether the DAG is there at all."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airbed.errors import Unavailable, UsageError

if TYPE_CHECKING:
    from airbed.clients.rows import DagRow, RunRow
    from airbed.runs.protocols import RunBed

POLL = 0.2
REPARSE_TIMEOUT = 30.0


@dataclass(frozen=True)
class Triggered:
    """A run that exists now. `picked_up`: it was under way already, and is followed."""

    run_id: str
    picked_up: bool = False


def day_interval(day: date | str) -> tuple[datetime, datetime]:
    """The data interval of a day: its 00:00 UTC and the next day's; UsageError for what is no date."""
    start = datetime.combine(parse_day(day), datetime.min.time(), UTC)
    return start, start + timedelta(days=1)


def parse_day(day: date | str) -> date:
    """A day from `2026-01-05`; UsageError otherwise, and for the calendar's last day, whose interval would not end."""
    if isinstance(day, str):
        try:
            day = date.fromisoformat(day)
        except ValueError:
            raise UsageError(f"'{day}' is not a day: write it as YYYY-MM-DD, such as 2026-01-05") from None
    found = day.date() if isinstance(day, datetime) else day
    if found == date.max:
        raise UsageError(f"'{found}' is no day that a run can have: it has no next day; choose an earlier one")
    return found


def parse_moment(text: datetime | str) -> datetime:
    """A moment with its time zone (UTC when it names none) from ISO 8601; UsageError otherwise."""
    try:
        moment = datetime.fromisoformat(text) if isinstance(text, str) else text
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        moment.astimezone(UTC)  # a zone may push it off the calendar
    except (ValueError, OverflowError):
        raise UsageError(f"'{text}' is not a date and time: write it as 2026-01-05T00:00:00+00:00") from None
    return moment


def parse_conf(text: str) -> dict[str, Any]:
    """A run's conf from a JSON object; UsageError that says where the JSON is wrong."""
    try:
        conf = json.loads(text)
    except ValueError as error:
        raise UsageError(f'--conf is not JSON: {error}; write an object such as \'{{"env": "prod"}}\'') from None
    if not isinstance(conf, dict):
        raise UsageError(
            f'--conf is a JSON {type(conf).__name__}, not an object; write one such as \'{{"env": "prod"}}\''
        )
    return conf


def ensure_dag_is_ready(bed: RunBed, dag_id: str, timeout: float = 15.0) -> DagRow:
    """Wait until the scheduler knows the DAG as its file is now.

    UsageError at once when its file has an import error (with the traceback's last line), after `timeout` seconds when
    there is no such DAG (with the nearest name). A file changed since it was parsed is parsed again first.
    """
    deadline = time.monotonic() + timeout
    while (row := bed.metadata.dag(dag_id)) is None or row.is_stale:  # an import error makes a known DAG stale
        _raise_import_error(bed, dag_id, row)
        if time.monotonic() > deadline:
            raise _unknown(bed, dag_id)
        time.sleep(POLL)
    row = _reparsed(bed, row)
    if row.has_import_errors:
        _raise_import_error(bed, dag_id, row)
    return row


def ensure_task_exists(bed: RunBed, dag_id: str, task_id: str, timeout: float = 5.0) -> None:
    """UsageError when the DAG (as `ensure_dag_is_ready` finds it) has no such task."""
    from airbed.runs.structure import expansions

    ensure_dag_is_ready(bed, dag_id, timeout)
    structure = bed.metadata.structure(dag_id)
    names = sorted(expansions(structure)) if structure else [task_id]
    if task_id not in names:
        raise UsageError(f"{dag_id} has no task '{task_id}'; it has: {', '.join(names)}")


def start_run(
    bed: RunBed,
    dag_id: str,
    *,
    run_id: str | None = None,
    interval: tuple[datetime, datetime] | None = None,
    logical_date: datetime | None = None,
    conf: dict[str, Any] | None = None,
    rerun: bool = False,
) -> Triggered:
    """Create a run; where the logical date has one already, pick it up, rerun it, or say what to do.

    A run that is queued or running is picked up (unless a conf is given: UsageError). One that has ended is a
    UsageError without `rerun`; with it, it is cleared and runs again, or makes room for a new run when a conf is given.
    """
    from airbed.clients.rest import BadRequest

    if interval is not None and logical_date is None:
        logical_date = interval[0]
    try:
        return Triggered(
            bed.airflow.trigger(dag_id, run_id=run_id, logical_date=logical_date, interval=interval, conf=conf)
        )
    except BadRequest as error:
        if error.status == 400:
            reason = error.detail.partition(" Failed validating")[0]  # the rest repeats the schema
            raise UsageError(f"Airflow refuses to run {dag_id}: {reason}") from error
        if error.status != 409:
            raise
        there = bed.metadata.run_of_date(dag_id, logical_date) if logical_date else None
        if there is None and run_id is not None:
            there = bed.metadata.run(dag_id, run_id)
        if there is None:
            raise
        found = _existing(bed, there, conf, rerun)
    if found is not None:
        return found
    return start_run(bed, dag_id, run_id=run_id, interval=interval, logical_date=logical_date, conf=conf)


def _existing(bed: RunBed, there: RunRow, conf: dict[str, Any] | None, rerun: bool) -> Triggered | None:
    """The run to follow, or None when it was deleted to make room for one with another conf."""
    which = f"for {there.logical_date:%Y-%m-%d %H:%M} UTC" if there.logical_date else "of that id"
    what = f"{there.dag_id} already has a run {which} ({there.run_id}, {there.state})"
    if not there.ended:
        if conf:
            raise UsageError(f"{what}, and its conf cannot change: wait for its end, or choose another date")
        return Triggered(there.run_id, picked_up=True)
    if not rerun:
        raise UsageError(f"{what}: add --rerun to run it again, or choose another date")
    if conf:
        bed.airflow.delete_run(there.dag_id, there.run_id)
        return None
    bed.airflow.clear(there.dag_id, there.run_id)
    return Triggered(there.run_id)


def _reparsed(bed: RunBed, row: DagRow) -> DagRow:
    """The row after its file, when it was changed since, has been parsed again."""
    if (
        row.fileloc is None
        or row.last_parsed_time is None
        or not _changed_since(Path(row.fileloc), row.last_parsed_time)
    ):
        return row
    bed.airflow.reparse(str(bed.airflow.dag(row.dag_id)["file_token"]))
    deadline = time.monotonic() + REPARSE_TIMEOUT
    while time.monotonic() < deadline:
        now = bed.metadata.dag(row.dag_id)
        _raise_import_error(bed, row.dag_id, row)
        if now is None or now.is_stale:
            raise _unknown(bed, row.dag_id)
        if now.last_parsed_time is not None and not _changed_since(Path(row.fileloc), now.last_parsed_time):
            return now
        time.sleep(POLL)
    raise Unavailable(
        f"{row.fileloc} was changed, but the DAG processor did not parse it within {REPARSE_TIMEOUT:g} s; "
        "see: airbed logs dag-processor"
    )


def _changed_since(file: Path, moment: datetime) -> bool:
    try:
        return file.stat().st_mtime > moment.timestamp()
    except OSError:
        return False


def _raise_import_error(bed: RunBed, dag_id: str, row: DagRow | None) -> None:
    """Raise for the DAG's own file; for a DAG that nobody has seen yet, for a file that is named after it.

    An error older than its file is of an earlier text: the DAG processor parses the file again within seconds.
    """
    from airbed.clients.tasklog import last_line

    for each in bed.metadata.import_errors():
        if row is not None:
            mine = (each.bundle_name, each.filename) == (row.bundle_name, row.relative_fileloc)
        else:
            mine = Path(each.filename).stem == dag_id
        if not mine:
            continue
        folder = bed.metadata.bundle_folder(each.bundle_name)
        if folder and each.timestamp and _changed_since(Path(folder, each.filename), each.timestamp):
            continue
        raise UsageError(f"{each.filename} cannot be imported, so {dag_id} cannot run: {last_line(each.stacktrace)}")


def _unknown(bed: RunBed, dag_id: str) -> UsageError:
    from airbed.clients.airflow import unknown_dag
    from airbed.clients.tasklog import last_line

    errors = bed.metadata.import_errors()
    said = str(unknown_dag(dag_id, bed.metadata.dag_ids()))
    if errors:
        first = errors[0]
        said += f" ({len(errors)} file(s) cannot be imported, such as {first.filename}: {last_line(first.stacktrace)})"
    return UsageError(said)
