"""The bed's own clients go to the bed, whatever the caller's shell says of Postgres and AWS."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from types import SimpleNamespace

import psycopg
import pytest

from airbed.cli import info
from airbed.clients import environment
from airbed.clients.metadata import Metadata
from airbed.clients.postgres import connect, open_session
from airbed.clients.s3 import s3_client
from airbed.endpoints import Address, PostgresEndpoint, S3Endpoint
from airbed.errors import Unavailable

OF_THE_CALLER = {"PGSERVICE": "prod", "PGHOSTADDR": "192.0.2.1", "PGSSLMODE": "require", "PGOPTIONS": "-c x.y=z"}


@pytest.fixture
def closed() -> PostgresEndpoint:
    """A database on a port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    at = Address(host="127.0.0.1", port=port)
    return PostgresEndpoint(at, at, "warehouse", "etl", "secret", "postgres", "admin-secret")


@pytest.fixture
def callers(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    for name, value in OF_THE_CALLER.items():
        monkeypatch.setenv(name, value)
    return OF_THE_CALLER


@pytest.mark.parametrize("name", OF_THE_CALLER)
def test_a_postgres_setting_of_the_caller_changes_nothing(
    closed: PostgresEndpoint, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, OF_THE_CALLER[name])
    refused = f'127.0.0.1", port {closed.direct.port} failed: Connection refused'
    with pytest.raises(psycopg.OperationalError, match=refused):
        connect(closed)
    with pytest.raises(psycopg.OperationalError, match=refused):
        open_session(closed.url(task=True))
    with pytest.raises(Unavailable, match=refused):
        Metadata(closed.url()).dag_ids()
    assert os.environ[name] == OF_THE_CALLER[name]


def test_psql_opens_the_beds_database(
    closed: PostgresEndpoint, callers: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    given: dict[str, str] = {}
    monkeypatch.setenv("PAGER", "less")
    monkeypatch.setattr(os, "execve", lambda program, arguments, variables: given.update(variables))
    monkeypatch.setattr("airbed.substrates.embedded.postgres.binaries", lambda settings: Path("/bin"))
    bed = SimpleNamespace(endpoints=SimpleNamespace(databases={"warehouse": closed}), settings=None)
    monkeypatch.setattr(info, "open_bed", lambda name: bed)
    info.psql(SimpleNamespace(args=[]), "warehouse")  # type: ignore[arg-type]
    of_postgres = {name: value for name, value in given.items() if name.startswith("PG")}
    assert of_postgres == {
        "PGHOST": "127.0.0.1",
        "PGPORT": str(closed.direct.port),
        "PGUSER": "postgres",
        "PGPASSWORD": "admin-secret",
        "PGDATABASE": "warehouse",
    }
    assert given["PAGER"] == "less"


CONFIG = """[default]
s3 =
    use_accelerate_endpoint = true
    addressing_style = virtual
[profile other]
region = eu-west-1
"""


@pytest.mark.parametrize(
    "variables",
    [
        {"AWS_PROFILE": "nope"},
        {"AWS_DEFAULT_PROFILE": "nope"},
        {"AWS_USE_FIPS_ENDPOINT": "true"},
        {"AWS_USE_DUALSTACK_ENDPOINT": "true"},
        {"AWS_CONFIG_FILE": ""},
        {"HOME": ""},
        {"AWS_MAX_ATTEMPTS": "many", "AWS_RETRY_MODE": "none"},
        {"AWS_ENDPOINT_URL_S3": "https://s3.example.com", "AWS_DEFAULT_REGION": "eu-west-1"},
    ],
    ids=lambda variables: next(iter(variables)),
)
def test_an_aws_setting_of_the_caller_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]
) -> None:
    (tmp_path / ".aws").mkdir()
    (tmp_path / ".aws/config").write_text(CONFIG)
    places = {"HOME": str(tmp_path), "AWS_CONFIG_FILE": str(tmp_path / ".aws/config")}
    for name, value in variables.items():
        monkeypatch.setenv(name, value or places[name])
    client = s3_client(S3Endpoint("http://127.0.0.1:1", "http://127.0.0.1:2", "key", "secret"))
    url = client.generate_presigned_url("get_object", Params={"Bucket": "raw-data", "Key": "k"})
    assert url.startswith("http://127.0.0.1:1/raw-data/k?")
    assert (client.meta.region_name, client.meta.config.retries["total_max_attempts"]) == ("us-east-1", 3)
    assert all(os.environ[name] for name in variables)


def test_what_two_hide_at_once_comes_back_with_the_last(callers: dict[str, str]) -> None:
    one, other = environment.without_the_callers(), environment.without_the_callers()
    one.__enter__()
    other.__enter__()
    one.__exit__(None, None, None)
    assert not set(callers) & set(os.environ)
    other.__exit__(None, None, None)
    assert callers.items() <= os.environ.items()
