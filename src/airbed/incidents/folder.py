"""The folder of a case: journal, timeline, outcomes, logs of the tasks concerned."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from airbed.errors import AirbedError
from airbed.runs.report import as_json

if TYPE_CHECKING:
    from airbed.bed import Bed
    from airbed.incidents.expectation import Expect
    from airbed.incidents.journal import Journal
    from airbed.incidents.observe import Seen
    from airbed.runs.model import Instance, RunResult

LOGS = 30  # instances at most


def write_folder(bed: Bed, folder: Path, journal: Journal, expect: Expect, seen: Seen) -> None:
    """Write timeline.txt, outcomes.json and logs/; journal.jsonl is there already."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "timeline.txt").write_text(journal.timeline())
    outcomes = {name: [as_json(each) for each in runs] for name, runs in seen.runs.items()}
    (folder / "outcomes.json").write_text(json.dumps(outcomes, indent=1, default=str))
    logs = folder / "logs"
    names = {(run.dag_id, run.run_id): name for name, runs in seen.runs.items() for run in runs}
    for number, (run, each) in enumerate(_concerned(expect, seen)):
        if number >= LOGS:
            break
        logs.mkdir(exist_ok=True)
        for attempt in range(1, each.tries + 1):
            try:
                text = bed.airflow.log(run.dag_id, run.run_id, each.task_id, each.map_index, attempt)
            except AirbedError as error:
                text = f"(no log: {error})"
            day = f".{run.logical_date:%Y-%m-%d}" if run.logical_date else ""
            (logs / f"{names[run.dag_id, run.run_id]}{day}.{each.name}.try-{attempt}.log").write_text(text)


def _concerned(expect: Expect, seen: Seen) -> Iterator[tuple[RunResult, Instance]]:
    """First what did not succeed or was tried again, then the other instances of the tasks that are spoken of."""
    named = {key.rpartition("/")[2] for key in expect.tasks}
    everything = [
        (run, each)
        for runs in seen.runs.values()
        for run in runs
        for each in (*(one for task in run.tasks.values() for one in task.instances), *run.singles.values())
        if each.tries
    ]
    yield from (pair for pair in everything if not pair[1].ok or pair[1].tries > 1)
    yield from (pair for pair in everything if pair[1].ok and pair[1].tries == 1 and pair[1].task_id in named)
