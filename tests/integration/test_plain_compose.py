"""docker-compose.yaml without airbed's commands, driven by testcontainers, and parts of one's own beside a bed.

Only with --airbed-on compose.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import boto3
import httpx
import psycopg
import pytest
from botocore.config import Config
from helpers import compose_engine, of_project, until
from testcontainers.compose import DockerCompose
from testcontainers.core.container import DockerContainer
from testcontainers.core.wait_strategies import LogMessageWaitStrategy

from airbed.settings import load_settings
from airbed.substrates.compose.engine import Engine
from airbed.substrates.compose.project import image

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.timeout(1200)


@dataclass
class Plain:
    """A running project, and its .env."""

    compose: DockerCompose
    values: dict[str, str]


@pytest.fixture(scope="module")
def engine(request: pytest.FixtureRequest) -> Iterator[Engine]:
    """The engine, where testcontainers finds it too; nothing is pulled to watch over its containers."""
    found = compose_engine(request)
    with pytest.MonkeyPatch.context() as patched:
        for name, value in found.environment.items():
            patched.setenv(name, value)
        patched.setattr("testcontainers.core.config.testcontainers_config.ryuk_disabled", True)
        yield found


@pytest.fixture(scope="module")
def plain(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plain]:
    """As README's three lines have it, on a copy of the checkout, whose .env is thereby left alone."""
    folder = tmp_path_factory.mktemp("checkout")
    shutil.copyfile(ROOT / "docker-compose.yaml", folder / "docker-compose.yaml")
    for each in ("infra", "scripts", "src", "dags"):
        shutil.copytree(ROOT / each, folder / each, ignore=shutil.ignore_patterns("__pycache__"))
    refused = subprocess.run(
        [engine.program, "compose", "config", "--quiet"], cwd=folder, capture_output=True, text=True, check=False
    )
    assert refused.returncode and "run scripts/env" in refused.stderr

    name = f"plain-{os.environ.get('PYTEST_XDIST_WORKER', 'main')}"
    subprocess.run([folder / "scripts/env", name], check=True)
    file = folder / ".env"
    assert file.stat().st_mode & 0o777 == 0o600
    with file.open("a") as lines:
        lines.write(f"AIRBED_DAGS={ROOT / 'tests/integration/dags'}\n")
    values = dict(line.partition("=")[::2] for line in file.read_text().splitlines() if "=" in line)
    with DockerCompose(folder, env_file=str(file)) as compose:
        yield Plain(compose, {key: value.strip("'\"") for key, value in values.items()})
    assert of_project(engine, name) == {"container": [], "network": [], "volume": [], "cluster": []}


def test_all_are_healthy(plain: Plain) -> None:
    found = {each.Service: (each.State, each.Health) for each in plain.compose.get_containers(include_all=True)}
    jobs = {found.pop(each) for each in ("migrate", "s3-init")}
    assert jobs == {("exited", "")}
    assert len(found) == 12 and set(found.values()) == {("running", "healthy")}


def test_a_dag_runs(plain: Plain) -> None:
    airflow = f"http://127.0.0.1:{plain.values['API_SERVER_PORT']}"
    login = {"username": "admin", "password": plain.values["AIRFLOW_ADMIN_PASSWORD"]}
    assert httpx.post(f"{airflow}/auth/token", json={**login, "password": "wrong"}).status_code == 401
    token = httpx.post(f"{airflow}/auth/token", json=login).raise_for_status().json()["access_token"]
    runs = f"{airflow}/api/v2/dags/lifecycle_slow/dagRuns"
    with httpx.Client(headers={"Authorization": f"Bearer {token}"}, timeout=30) as client:
        until(lambda: client.get(f"{airflow}/api/v2/dags/lifecycle_slow").is_success, "the DAG is parsed")
        client.patch(f"{airflow}/api/v2/dags/lifecycle_slow", json={"is_paused": False}).raise_for_status()
        started = client.post(runs, json={"logical_date": None, "conf": {"seconds": 0}}).raise_for_status().json()
        run = f"{runs}/{started['dag_run_id']}"
        until(lambda: client.get(run).json()["state"] in ("success", "failed"), "the run ends")
        assert client.get(run).json()["state"] == "success"


def test_s3_and_databases_ask_for_their_passwords(plain: Plain) -> None:
    values = plain.values

    def s3(secret: str) -> list[str]:
        client = boto3.client(
            "s3",
            endpoint_url=f"http://127.0.0.1:{values['S3_PORT']}",
            aws_access_key_id=values["S3_ACCESS_KEY"],
            aws_secret_access_key=secret,
            region_name="us-east-1",
            config=Config(s3={"addressing_style": "path"}),
        )
        return [each["Name"] for each in client.list_buckets()["Buckets"]]

    assert "raw-data" in s3(values["S3_SECRET_KEY"])
    with pytest.raises(Exception, match=r"SignatureDoesNotMatch|403"):
        s3("wrong")
    at = f"host=127.0.0.1 port={values['SHARD_0_PORT']} user=postgres dbname=postgres"
    with psycopg.connect(f"{at} password={values['SHARD_0_ADMIN_PASSWORD']}") as shard:
        assert shard.execute("SELECT 1").fetchone() == (1,)
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(f"{at} password=wrong")


def test_a_part_of_ones_own_in_the_network_of_the_bed(plain: Plain, engine: Engine) -> None:
    """What docs/containers.md tells: Airflow's containers reach it by its alias."""
    postgres = image(load_settings(), "POSTGRES_IMAGE", ROOT / "docker-compose.yaml")
    network = f"airbed-{plain.values['BED_NAME']}_default"
    own = DockerContainer(postgres).with_env("POSTGRES_PASSWORD", "mine")
    own.with_kwargs(network=network, hostname="billing")
    with own.waiting_for(LogMessageWaitStrategy("database system is ready to accept connections")):
        ask = "import psycopg; print(psycopg.connect('host=billing user=postgres password=mine').info.dbname)"

        def said() -> str:
            return engine.attempt("exec", f"airbed-{plain.values['BED_NAME']}-scheduler-1", "python", "-c", ask).stdout

        until(lambda: said().strip() == "postgres", "a task can reach it", 60)
