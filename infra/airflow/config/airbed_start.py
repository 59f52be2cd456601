"""`python -m airbed_start COMPONENT ...` is `python -m airflow COMPONENT ...`, sooner ready and smaller.

Measured for Airflow 3.3.2 on Python 3.11 (docs/architecture.md): a calmer garbage collector takes a sixth off the start
of the dag-processor and the triggerer; fewer versions of the execution API take a third off that of the API server, and
40 MB off its size.
"""

from __future__ import annotations

import gc
import importlib
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

KEPT_VERSIONS = 3


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


def main() -> None:
    """Become an Airflow component. AIRBED_EXECUTION_API=all keeps every version of the execution API."""
    # Imports make hundreds of thousands of objects that live on: looking through them again and again finds nothing.
    gc.set_threshold(50_000, 25, 100)
    from airflow.__main__ import main as run

    if "api-server" in sys.argv and os.environ.get("AIRBED_EXECUTION_API") != "all":
        with few_versions():
            importlib.import_module("airflow.api_fastapi.execution_api.versions")
    run()


if __name__ == "__main__":
    main()
