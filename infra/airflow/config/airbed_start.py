"""`python -m airbed_start COMPONENT ...` is `python -m airflow COMPONENT ...`, sooner ready and smaller.

Measured for Airflow 3.3.2 on Python 3.11 (docs/performance.md): a calmer garbage collector takes a sixth off the start
of the dag-processor and the triggerer; fewer versions of the execution API take a third off that of the API server, and
40 MB off its size; its routes are built late (airbed_routes.py). What needs no database is imported while the database
starts, by as many components at once as there are processors, so that the API server, which takes longest, is not the
last.
"""

from __future__ import annotations

import contextlib
import fcntl
import gc
import importlib
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

KEPT_VERSIONS = 3
DATABASE_SECONDS, TURN_SECONDS = 30.0, 15.0
API_SERVER = "api-server"
VERSIONS = "airflow.api_fastapi.execution_api.versions"
IMPORTS = {
    API_SERVER: """
        airflow.cli.commands.api_server_command uvicorn.loops.auto uvicorn.protocols.http.auto
        airflow.api_fastapi.app airflow.api_fastapi.core_api.app
        airflow.api_fastapi.core_api.routes.public airflow.api_fastapi.core_api.routes.ui
        airflow.api_fastapi.execution_api.app airflow.api_fastapi.execution_api.routes
        airflow.api_fastapi.auth.managers.simple.simple_auth_manager
        """,
    "scheduler": """
        airflow.cli.commands.scheduler_command airflow.jobs.scheduler_job_runner airflow.executors.local_executor
        """,
    "dag-processor": "airflow.cli.commands.dag_processor_command airflow.jobs.dag_processor_job_runner",
    "triggerer": "airflow.cli.commands.triggerer_command airflow.jobs.triggerer_job_runner",
}


@contextmanager
def few_versions(kept: int = KEPT_VERSIONS) -> Iterator[None]:
    """While this lasts, a new cadwyn.VersionBundle holds only its newest versions.

    Airflow serves its execution API in nine versions, for workers that are older than the server, and builds the routes
    of each within the first request. The workers of a bed are of its own Airflow and ask for the newest, which stays
    what it was. The third is the oldest that this can go without: a route of Airflow 3.3.2 exists only there.
    """
    import cadwyn

    whole = cadwyn.VersionBundle

    def newest(head: Any, *versions: Any) -> Any:
        if len(versions) <= kept:
            return whole(head, *versions)
        # A version lists what sets it apart from the one before, and the oldest has none before.
        return whole(head, *versions[: kept - 1], cadwyn.Version(versions[kept - 1].value))

    cadwyn.VersionBundle = newest  # type: ignore[misc,assignment]
    try:
        yield
    finally:
        cadwyn.VersionBundle = whole  # type: ignore[misc]


def is_on(lever: str) -> bool:
    """Whether this bed has a lever on (airbed.levers)."""
    return os.environ.get(lever) not in ("none", "all")


def prepare(component: str) -> None:
    """Import what a component imports anyway. What cannot be imported is left to the component, and its error too."""
    names = IMPORTS.get(component, "").split() if is_on("AIRBED_EARLY_IMPORTS") else []
    few = component == API_SERVER and is_on("AIRBED_EXECUTION_API")
    if component == API_SERVER and is_on("AIRBED_LATE_ROUTES"):
        # Without it, or with another FastAPI, the API server only starts later.
        with contextlib.suppress(Exception):
            import airbed_routes

            airbed_routes.build_routes_late()
    with few_versions() if few else contextlib.nullcontext():
        for name in [*([VERSIONS] if few else []), *names]:
            with contextlib.suppress(Exception):
                importlib.import_module(name)


@contextmanager
def turn(component: str, home: Path, processors: int | None = None, seconds: float = TURN_SECONDS) -> Iterator[None]:
    """As many components as there are processors at once; the API server, which takes longest, waits for nobody.

    No one else waits longer than `seconds`: the one before may have been paused.
    """
    with contextlib.ExitStack() as stack:
        if component in IMPORTS and is_on("AIRBED_EARLY_IMPORTS"):
            places = range(processors or len(os.sched_getaffinity(0)))
            with contextlib.suppress(OSError):
                locks = [stack.enter_context((home / f"start-{place}.lock").open("a")) for place in places]
                ask_until(0 if component == API_SERVER else seconds, lambda: any(map(_is_taken, locks)))
        yield


def _is_taken(lock: TextIO) -> bool:
    """Take a lock that ends with this process, if nobody has it."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def ask_until(seconds: float, ask: Callable[[], bool]) -> bool:
    """Ask until the answer is yes, for so many seconds at most; an error is no answer. Returns the last one."""
    end = time.monotonic() + seconds
    while True:
        with contextlib.suppress(Exception):
            if ask():
                return True
        if time.monotonic() >= end:
            return False
        time.sleep(0.05)


def is_migrated() -> bool:
    """Whether Airflow can log in to its database, and finds it migrated."""
    import psycopg2

    url = os.environ["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"].replace("+psycopg2", "", 1)
    with contextlib.closing(psycopg2.connect(url, connect_timeout=5)) as database, database.cursor() as cursor:
        cursor.execute("SELECT 1 FROM alembic_version")
        return cursor.fetchone() is not None


def main() -> None:
    """Become an Airflow component.

    AIRBED_EXECUTION_API=all, AIRBED_EARLY_IMPORTS=none and AIRBED_CALM_GC=none do without what this does for it.
    """
    if is_on("AIRBED_CALM_GC"):
        # Imports make hundreds of thousands of objects that live on: looking through them again and again finds
        # nothing.
        gc.set_threshold(50_000, 25, 100)
    component = sys.argv[1] if len(sys.argv) > 1 else ""
    with turn(component, Path(os.environ.get("AIRFLOW_HOME", "."))):
        prepare(component)
    # Without one Airflow itself says best what is wrong.
    ask_until(DATABASE_SECONDS, is_migrated)
    if component == "scheduler":
        import airflow_local_settings

        airflow_local_settings.end_predecessor()
    from airflow.__main__ import main as run

    run()


if __name__ == "__main__":
    main()
