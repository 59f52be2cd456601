"""No process of a task outlives its instance."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from airbed.bed import Bed
    from airbed.incidents.observe import Seen

# Airflow's task runner calls its process so: the id is that of the try.
_TITLE = re.compile(r"airflow worker -- ([0-9a-f]{8}-[0-9a-f-]{27})")
GOES_WITHIN = 15.0
POLL = 0.5


def orphans(bed: Bed, seen: Seen) -> Iterator[str]:
    """Wait until every process of a task whose instance has ended is gone; tell those that stay."""
    deadline = time.monotonic() + GOES_WITHIN
    while left := _without_instance(bed):
        if time.monotonic() > deadline:
            break
        time.sleep(POLL)
    for pid, try_id in left.items():
        yield f"process {pid} works on for a try that has ended ({try_id})"


def _without_instance(bed: Bed) -> dict[int, str]:
    """Task processes by pid whose try is not a running one."""
    commands = bed.substrate.task_processes().items()
    working = {pid: found[1] for pid, command in commands if (found := _TITLE.match(command))}
    if not working:
        return {}
    with bed.database("metadata") as connection:
        rows = connection.execute("SELECT id::text FROM task_instance WHERE state IN ('running', 'restarting')")
        running = {str(row[0]) for row in rows.fetchall()}
    return {pid: try_id for pid, try_id in working.items() if try_id not in running}
