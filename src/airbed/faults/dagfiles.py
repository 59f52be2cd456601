"""Files in the bed's own DAG folder: read whole, replaced whole, and what Airflow knows of them."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from airbed.faults.postgres import ask

if TYPE_CHECKING:
    from airbed.bed import Bed

POLL = 0.2  # seconds
_TOUCH = 5.0  # seconds
# Airflow notes when it stored what a parse gave, and how long that parse took.
_KNOWN = """
    SELECT (SELECT extract(epoch FROM max(last_parsed_time - coalesce(last_parse_duration, 0) * interval '1 second'))
              FROM dag d WHERE fileloc = %s AND NOT is_stale
               AND EXISTS (SELECT 1 FROM serialized_dag s WHERE s.dag_id = d.dag_id)),
           (SELECT extract(epoch FROM max(timestamp)) FROM import_error
             WHERE filename IN (%s, %s) AND bundle_name = 'scenario'),
           (SELECT count(*) FROM dag WHERE fileloc = %s AND NOT is_stale)
"""


@dataclass(frozen=True)
class Known:
    """What Airflow has stored of a file, moments in seconds since 1970, 0 for never.

    `began`: the last parse that gave a DAG; `broken`: its import error; `dags`: how many DAGs it has.
    """

    began: float
    broken: float
    dags: int


def content(file: Path) -> str | None:
    """What a file holds, as a text that JSON can keep whatever its encoding; None when there is none."""
    try:
        return file.read_bytes().decode(errors="surrogateescape")
    except FileNotFoundError:
        return None


def put(file: Path, text: str) -> None:
    """Write a file at once, with a fresh mtime: Airflow never parses a half, and looks at it soon."""
    partial = file.with_name(f".{file.name}.partial")
    partial.write_bytes(text.encode(errors="surrogateescape"))
    partial.replace(file)


def known(bed: Bed, file: Path) -> Known:
    """What Airflow knows of a file now."""
    began, broken, dags = ask(bed, "metadata", _KNOWN, [str(file), str(file), file.name, str(file)])[0]
    return Known(float(began or 0), float(broken or 0), int(dags))


def await_all(files: list[Path], is_done: Callable[[Path], bool], patience: float) -> list[Path]:
    """Wait until Airflow is done with files that were written just now; those with which it is not in `patience` s.

    A file that changes while Airflow parses it is older than that parse's end, so that Airflow would not look at it
    again for minutes: it is touched from time to time.
    """
    began = touched = time.monotonic()
    while waiting := [each for each in files if not is_done(each)]:
        now = time.monotonic()
        if now > began + patience:
            break
        if now > touched + _TOUCH:
            touched = now
            for each in waiting:
                each.touch()
        time.sleep(POLL)
    return waiting
