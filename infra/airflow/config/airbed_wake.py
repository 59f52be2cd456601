"""Let an idle scheduler go on as soon as there is something to do, instead of at the end of its sleep.

Airflow 3.3.2's scheduler sleeps up to `scheduler_idle_sleep_time` (1 s) after a round in which nothing was queued and
no task had ended: half a second on average for each step of a run, and for each new run. Here it waits as long, but for
word from its executor that a task has ended, or from the API server that a run was made, started or cleared. What
follows from that (a retry, the next run of a backfill) is looked for after 0.05 s, then after twice as long each time.
It always rests four times as long as its last rounds took of CPU, so that many ends at once are one round's work.

AIRBED_WAKE=none leaves Airflow's sleep as it is.
"""

from __future__ import annotations

import contextlib
import os
import socket
import time
from collections.abc import Callable, Sequence
from multiprocessing import connection
from pathlib import Path
from types import SimpleNamespace
from typing import Any

FIRST_SECONDS = 0.05
REST = 4


def wanted() -> bool:
    """Whether this bed has the lever on."""
    return os.environ.get("AIRBED_WAKE") != "none"


class IdleWait:
    """A sleep that ends early when something happens.

    `sources` gives what to wait for (anything with a file descriptor), `drain` empties what only wakes.
    """

    def __init__(self, sources: Callable[[], Sequence[Any]], drain: Callable[[], None]) -> None:
        self._sources = sources
        self._drain = drain
        self._next = FIRST_SECONDS
        self._worked = time.process_time()

    def __call__(self, seconds: float) -> None:
        """Wait for at most `seconds`, and shorter than that soon after something has happened."""
        rest = min(seconds, REST * (time.process_time() - self._worked))
        time.sleep(rest)
        self._look(min(seconds, max(self._next, rest)) - rest)
        self._worked = time.process_time()

    def _look(self, seconds: float) -> None:
        if connection.wait(self._sources(), timeout=seconds):
            self._drain()
            self._next = FIRST_SECONDS
        else:
            self._next = min(self._next * 2, 60)


def wait_in_scheduler() -> None:
    """Replace the idle sleep of the scheduler in this process."""
    from airflow.executors.local_executor import LocalExecutor
    from airflow.jobs import scheduler_job_runner

    executors: list[Any] = []
    start, bell = LocalExecutor.start, _listen()

    def start_and_tell(self: Any) -> None:
        start(self)
        executors.append(self)

    def sources() -> list[Any]:
        return [*(each.result_queue._reader for each in executors), *([bell] if bell else [])]

    def drain() -> None:
        with contextlib.suppress(OSError):
            while bell:
                bell.recv(16)

    wait = IdleWait(sources, drain)
    LocalExecutor.start = start_and_tell  # type: ignore[method-assign]
    everything = {name: getattr(time, name) for name in dir(time) if not name.startswith("_")}
    # The module's own name for `time`: nothing else sleeps differently.
    scheduler_job_runner.time = SimpleNamespace(**{**everything, "sleep": wait})


def tell_of_runs() -> None:
    """Let each commit of this process (the API server) that makes or changes a run tell the scheduler."""
    from sqlalchemy import event
    from sqlalchemy.orm import Session

    bell = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    bell.setblocking(False)

    def look(session: Any, _: Any) -> None:
        if any(type(each).__name__ == "DagRun" for each in (*session.new, *session.dirty)):
            session.info["airbed_wake"] = True

    def tell(session: Any) -> None:
        if session.info.pop("airbed_wake", False):
            # A scheduler that is not there, or has not read the last word yet, needs none.
            with contextlib.suppress(OSError):
                bell.sendto(b"run", _address())

    event.listen(Session, "after_flush", look)
    event.listen(Session, "after_commit", tell)


def _address() -> str:
    return str(Path(os.environ.get("AIRFLOW_HOME", ".")) / "wake.sock")


def _listen() -> socket.socket | None:
    """The socket on which the API server tells; None where there cannot be one, such as in too long a folder."""
    bell = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    bell.setblocking(False)
    try:
        Path(_address()).unlink(missing_ok=True)
        bell.bind(_address())
    except OSError:
        bell.close()
        return None
    return bell
