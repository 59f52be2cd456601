"""Airflow's four processes: their settings, their commands, when they are ready."""

from __future__ import annotations

import json
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from airbed import levers
from airbed.clients.postgres import connect
from airbed.endpoints import Endpoints, PostgresEndpoint, airflow_connections
from airbed.errors import Unavailable
from airbed.settings import Resources
from airbed.spec import BedFiles, BedSpec, write_private
from airbed.substrates.embedded.program import Program
from airbed.topology import AIRFLOW_SERVICES, METADATA, XCOM_PATH, XCOM_THRESHOLD_BYTES

PORTS = ("api-server", "scheduler-health", "triggerer-health", "worker-log", "trigger-log")
ADMIN = "admin"
# Empty, but while a scenario runs that brings another version of a DAG file.
SCENARIO_BUNDLE = "scenario"

# How quickly Airflow notices what died. Its own defaults (minutes) would make each fault test wait as long.
_RECOVERY = {
    "SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "90",
    "SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "3",
    # Not less: on a busy machine a living scheduler would take itself for dead and reset its own tasks. A new one ends
    # its predecessor at once (infra/airflow/config).
    "SCHEDULER__SCHEDULER_HEALTH_CHECK_THRESHOLD": "120",
    "SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": "5",
    "SCHEDULER__JOB_HEARTBEAT_SEC": "2",
    "SCHEDULER__SCHEDULER_HEARTBEAT_SEC": "1",
    "TRIGGERER__JOB_HEARTBEAT_SEC": "2",
}

# An edit of a DAG file is seen within a second or two, at a few per cent of a core (docs/architecture.md).
_FRESH_DAGS = {
    "DAG_PROCESSOR__REFRESH_INTERVAL": "1",
    "DAG_PROCESSOR__BUNDLE_REFRESH_CHECK_INTERVAL": "1",
    "DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "300",
    "CORE__MIN_SERIALIZED_DAG_UPDATE_INTERVAL": "0",
}


def settings(
    files: BedFiles, spec: BedSpec, endpoints: Endpoints, secrets: Mapping[str, str], resources: Resources
) -> dict[str, str]:
    """The environment of every Airflow process of a bed. `secrets` has `fernet`, `jwt` and `email_hash_key`."""
    port = spec.ports
    options = {
        "CORE__EXECUTOR": "LocalExecutor",
        "CORE__PARALLELISM": str(spec.parallelism),
        "CORE__LOAD_EXAMPLES": "False",
        "CORE__DAGS_FOLDER": dag_folders(spec, resources)[0],
        "CORE__PLUGINS_FOLDER": str(resources.infra / "airflow/plugins"),
        "CORE__FERNET_KEY": secrets["fernet"],
        "CORE__EXECUTION_API_SERVER_URL": endpoints.airflow.execution_url,
        "CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "False",
        "CORE__SIMPLE_AUTH_MANAGER_USERS": f"{ADMIN}:admin",
        "CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(files.airflow / "passwords.json"),
        "CORE__XCOM_BACKEND": "airflow.providers.common.io.xcom.backend.XComObjectStorageBackend",
        "COMMON_IO__XCOM_OBJECTSTORAGE_PATH": XCOM_PATH,
        "COMMON_IO__XCOM_OBJECTSTORAGE_THRESHOLD": str(XCOM_THRESHOLD_BYTES),
        "DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST": json.dumps(bundles(files, spec, resources)),
        "API__HOST": "127.0.0.1",
        "API__PORT": str(port["api-server"]),
        "API__BASE_URL": endpoints.airflow.url,
        "API__WORKERS": "1",
        "API__SECRET_KEY": secrets["jwt"],
        "API_AUTH__JWT_SECRET": secrets["jwt"],
        "DATABASE__SQL_ALCHEMY_CONN": sqlalchemy_url(endpoints.databases[METADATA.service]),
        # Off would be quicker, but a killed database then fails the first query of every pooled connection.
        # Each component would compare the schema and, without a terminal, do nothing about it: 0.5 CPU-seconds.
        "DATABASE__CHECK_MIGRATIONS": "False",
        "DATABASE__SQL_ALCHEMY_POOL_PRE_PING": "True",
        # Connections beyond the pool are closed after each use, and a login costs more than most requests.
        "DATABASE__SQL_ALCHEMY_POOL_SIZE": "16",
        "SCHEDULER__USE_JOB_SCHEDULE": str(spec.schedules),
        "SCHEDULER__ENABLE_HEALTH_CHECK": "True",
        "SCHEDULER__SCHEDULER_HEALTH_CHECK_SERVER_HOST": "127.0.0.1",
        "SCHEDULER__SCHEDULER_HEALTH_CHECK_SERVER_PORT": str(port["scheduler-health"]),
        "TRIGGERER__TRIGGERER_HEALTH_CHECK_SERVER_PORT": str(port["triggerer-health"]),
        "LOGGING__BASE_LOG_FOLDER": str(files.airflow / "logs"),
        "LOGGING__WORKER_LOG_SERVER_PORT": str(port["worker-log"]),
        "LOGGING__TRIGGER_LOG_SERVER_PORT": str(port["trigger-log"]),
        "METRICS__STATSD_ON": "True",
        "METRICS__STATSD_HOST": endpoints.director.statsd.host,
        "METRICS__STATSD_PORT": str(endpoints.director.statsd.port),
        "METRICS__STATSD_PREFIX": "airflow",
        "USAGE_DATA_COLLECTION__ENABLED": "False",
        "WORKERS__EXECUTION_API_TIMEOUT": "30",
        **_RECOVERY,
        **_FRESH_DAGS,
        **spec.airflow,
    }
    return {
        "AIRFLOW_HOME": str(files.airflow),
        **{f"AIRFLOW__{key}": value for key, value in options.items()},
        **{
            f"AIRFLOW_CONN_{conn_id.upper()}": json.dumps(fields)
            for conn_id, fields in airflow_connections(endpoints).items()
        },
        "AIRFLOW_VAR_EMAIL_HASH_KEY": secrets["email_hash_key"],
        # The Kubernetes client takes a second to import: only where it is used.
        "AIRBED_PRELOAD": "tasks,data,kubernetes" if spec.kubernetes else "tasks,data",
        "AIRBED_TIME_FACTOR": f"{spec.time_scale:g}",
        "AIRBED_DIRECTOR": endpoints.director.task_url,
        "AIRBED_DIRECTOR_TOKEN": endpoints.director.token,
        "STATSD_HOST": endpoints.director.statsd.host,
        "STATSD_PORT": str(endpoints.director.statsd.port),
        "PYTHONPATH": str(resources.infra / "airflow/config"),
        **levers.environment(spec.levers_off),
    }


def dag_folders(spec: BedSpec, resources: Resources) -> list[str]:
    """The folders with a bed's DAG files: the user's, else the six patterns."""
    folders = [*spec.dags, *([f"{spec.project}/dags"] if spec.project else [])]
    return folders or [str(resources.dags)]


def bundles(files: BedFiles, spec: BedSpec, resources: Resources) -> list[dict[str, Any]]:
    """Airflow's DAG bundle configuration: one local bundle a folder, and the bed's own one for scenarios."""
    folders = {
        f"dags-{number}" if number else "dags": folder for number, folder in enumerate(dag_folders(spec, resources))
    }
    return [
        {
            "name": name,
            "classpath": "airflow.dag_processing.bundles.local.LocalDagBundle",
            "kwargs": {"path": folder, "refresh_interval": 1},
        }
        for name, folder in {**folders, SCENARIO_BUNDLE: str(files.scenario_dags)}.items()
    ]


def sqlalchemy_url(endpoint: PostgresEndpoint) -> str:
    """The metadata database as Airflow's SQLAlchemy wants it."""
    return endpoint.url(task=True).replace("postgresql://", "postgresql+psycopg2://", 1)


def prepare(files: BedFiles, endpoints: Endpoints) -> None:
    """Make AIRFLOW_HOME with the login of the one user."""
    files.scenario_dags.mkdir(parents=True, exist_ok=True)
    write_private(files.airflow / "passwords.json", json.dumps({ADMIN: endpoints.airflow.password}))


def migrate(environment: Mapping[str, str], database: PostgresEndpoint, log: Path, home: Path) -> None:
    """Bring an Airflow database up to date with `airflow db migrate`; Unavailable with its last words if that fails."""
    home.mkdir(parents=True, exist_ok=True)
    variables = {
        **environment,
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": sqlalchemy_url(database),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
    }
    with log.open("wb") as output:
        done = subprocess.run(
            [sys.executable, "-m", "airflow", "db", "migrate"],
            env=variables,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            check=False,
            start_new_session=True,
        )
    if done.returncode:
        raise Unavailable(f"airflow db migrate failed: {log.read_text()[-300:].strip()} (whole log: {log})")


def programs(
    python: str, environment: Mapping[str, str], endpoints: Endpoints, files: BedFiles, *, warm: bool = True
) -> list[Program]:
    """The four components. `python` is the interpreter of the environment they run in.

    `warm` makes the first request to the execution API part of the API server's start. Without it that API is as large
    as Airflow ships it, so that its first request takes as long as in production.
    """
    production = {} if warm else {"AIRBED_EXECUTION_API": "all"}
    arguments = {"scheduler": ["--skip-serve-logs"], "triggerer": ["--skip-serve-logs"]}
    return [
        Program(
            name=service,
            command=[python, "-m", "airbed_start", service, *arguments.get(service, [])],
            directory=files.airflow,
            environment={**environment, **production},
            # A busy scheduler takes half a minute to leave by itself; its workers are swept anyway.
            stop_seconds=3,
            # airbed_start waits for the database by itself, once it has imported what it can.
            after=() if "AIRBED_EARLY_IMPORTS" not in environment else (METADATA.service, "director", "toxiproxy"),
            # It takes seconds, in which every question takes time from the processes that start.
            poll=0.25,
            ready=readiness(service, endpoints, warm=warm),
        )
        for service in AIRFLOW_SERVICES
    ]


def readiness(service: str, endpoints: Endpoints, *, warm: bool) -> Callable[[], bool]:
    """The question whether a component does its work; a heartbeat from before this call does not count."""
    since = datetime.now(UTC)
    url = endpoints.airflow.url
    job = {"scheduler": "SchedulerJob", "dag-processor": "DagProcessorJob", "triggerer": "TriggererJob"}

    def api_server() -> bool:
        # The first request to the execution API builds its routers for seconds with the event loop blocked: a task must
        # not be the one who pays for it (docs/architecture.md).
        get(f"{url}/api/v2/monitor/health")
        if warm:
            get(f"{url}/execution/health/ping", timeout=60)
        return True

    def others() -> bool:
        # Not the API's word, which comes seconds later. A heartbeat from before now may be that of a dead predecessor.
        # A login costs more than the question, so it is asked a few times on one connection.
        with connect(endpoints.databases[METADATA.service]) as connection:
            for _ in range(8):
                if connection.execute(
                    "SELECT 1 FROM job WHERE job_type = %s AND state = 'running' AND latest_heartbeat >= %s",
                    [job[service], since],
                ).fetchone():
                    return True
                time.sleep(0.25)
        return False

    return api_server if service == "api-server" else others


def get(url: str, timeout: float = 10) -> bytes:
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(url, timeout=timeout) as answer:
        return bytes(answer.read())
