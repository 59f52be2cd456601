"""The peer `airflow standalone`: Airflow's own way to have all of it on one machine, on SQLite."""

from __future__ import annotations

import json
import secrets
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from airbed.bench.choice import STANDALONE
from airbed.bench.fanout import Served
from airbed.bench.owned import of_mark
from airbed.bench.peer import Peer, end, peer
from airbed.bench.watch import SqliteWatch
from airbed.endpoints import AirflowEndpoint
from airbed.settings import Settings
from airbed.substrates.embedded import ports
from airbed.substrates.shared import ports_of_other_beds

Progress = Callable[[str], None]

HEALTHY_WITHIN = 240.0
PARTS = ("metadatabase", "scheduler", "triggerer", "dag_processor")
# It has no option for it, and these two would each serve log files on all interfaces of the machine. A bed has no such
# servers either.
WRAPPER = """#!/bin/sh
case "$1" in scheduler | triggerer) set -- "$@" --skip-serve-logs ;; esac
exec {python} -m airflow "$@"
"""


@contextmanager
def standalone(settings: Settings, progress: Progress) -> Iterator[tuple[Served, float]]:
    """Start one from nothing; yields it and the seconds until all four components were healthy, then ends it.

    Raises Unavailable when it ends, or is not healthy within four minutes.
    """
    with peer(STANDALONE) as made:
        password = secrets.token_urlsafe(16)
        own = _settings(made, password, ports_of_other_beds(settings, ""))
        url = own["AIRFLOW__API__BASE_URL"]
        progress("standalone: starting, with a database of its own")
        began = time.monotonic()
        process = made.start([sys.executable, "-m", "airflow", "standalone"], own)
        try:
            said = began
            while not _healthy(url):
                now = time.monotonic()
                if process.poll() is not None:
                    raise made.trouble(f"ended with {process.returncode}")
                if now - began > HEALTHY_WITHIN:
                    raise made.trouble(f"was not healthy within {HEALTHY_WITHIN:.0f} s")
                if now - said > 10:
                    said = now
                    progress(f"  standalone: not healthy yet after {now - began:.0f} s")
                time.sleep(0.2)
            seconds = time.monotonic() - began
            progress(f"standalone: healthy after {seconds:.1f} s")
            watch = SqliteWatch(made.folder / "airflow/airflow.db")
            yield Served(STANDALONE, AirflowEndpoint(url, "admin", password), of_mark(made.mark), watch), seconds
        finally:
            end(made, process)


def _settings(made: Peer, password: str, taken: set[int]) -> dict[str, str]:
    """Free loopback ports and a known password; everything else is Airflow's default."""
    wrapper = made.folder / "bin/airflow"
    wrapper.write_text(WRAPPER.format(python=sys.executable))
    wrapper.chmod(0o700)
    passwords = made.folder / "passwords.json"
    passwords.touch(mode=0o600)
    passwords.write_text(json.dumps({"admin": password}))
    port = ports.allocate(("api", "health", "triggerer-health", "worker-log", "trigger-log"), taken)
    url = f"http://127.0.0.1:{port['api']}"
    return {
        "AIRFLOW__API__HOST": "127.0.0.1",
        "AIRFLOW__API__PORT": str(port["api"]),
        "AIRFLOW__API__BASE_URL": url,
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{url}/execution/",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(passwords),
        "AIRFLOW__SCHEDULER__SCHEDULER_HEALTH_CHECK_SERVER_PORT": str(port["health"]),
        "AIRFLOW__SCHEDULER__SCHEDULER_HEALTH_CHECK_SERVER_HOST": "127.0.0.1",
        "AIRFLOW__TRIGGERER__TRIGGERER_HEALTH_CHECK_SERVER_PORT": str(port["triggerer-health"]),
        "AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT": str(port["worker-log"]),
        "AIRFLOW__LOGGING__TRIGGER_LOG_SERVER_PORT": str(port["trigger-log"]),
    }


def _healthy(url: str) -> bool:
    try:
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(
            f"{url}/api/v2/monitor/health", timeout=5
        ) as answer:
            found = json.load(answer)
    except (OSError, ValueError):
        return False
    return all((found.get(part) or {}).get("status") == "healthy" for part in PARTS)
