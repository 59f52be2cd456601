"""What a user gives to `airbed up`: checked before anything starts."""

from __future__ import annotations

import json

import pytest

from airbed import userdags
from airbed.errors import UsageError
from airbed.request import Request
from airbed.spec import BedSpec

DAG = "from airflow.sdk import dag\n"


@pytest.fixture
def project(tmp_path):
    folder = tmp_path / "project"
    (folder / "dags").mkdir(parents=True)
    (folder / "dags/one.py").write_text(DAG)
    return folder


def env(tmp_path, *lines):
    path = tmp_path / "extra.env"
    path.write_text("\n".join(lines) + "\n")
    return str(path)


def refused(request, match):
    with pytest.raises(UsageError, match=match) as error:
        userdags.ensure_input_is_valid(request)
    assert "\n" not in str(error.value)
    assert "hunter2" not in str(error.value)


def test_an_env_file_keeps_quotes_lines_and_dollars(tmp_path, monkeypatch):
    monkeypatch.setenv("HOST_SECRET", "hunter2")
    lines = ["# note", "export AIRFLOW_VAR_A='${HOST_SECRET}'", 'AIRFLOW_VAR_B="it\'s\\ntwo"', "GREETING=hello # no"]
    found = userdags.read(None, env(tmp_path, *lines), [])
    assert found.environment == {"AIRFLOW_VAR_A": "${HOST_SECRET}", "AIRFLOW_VAR_B": "it's\ntwo", "GREETING": "hello"}


def test_what_would_change_the_bed_or_lead_off_it_is_left_out_by_name(tmp_path):
    names = [
        "AIRFLOW__CORE__EXECUTOR",
        "AIRFLOW_HOME",
        "AWS_PROFILE",
        "PGHOST",
        "KUBECONFIG",
        "PYTHONPATH",
        "HTTPS_PROXY",
    ]
    places = {"API_URL": "https://api.example.com", "DB_HOST": "db.prod"}
    lines = [
        *(f"{name}=x" for name in names),
        *(f"{k}={v}" for k, v in places.items()),
        "LOCAL_URL=http://localhost:1",
        "A=b",
    ]
    path = env(tmp_path, *lines)
    found = userdags.read(None, path, [])
    assert found.left_out == [*names, *places]
    assert found.environment == {"LOCAL_URL": "http://localhost:1", "A": "b"}
    assert "AWS_PROFILE" in userdags.notices(Request("x", env_file=path))[0]
    assert "API_URL" in userdags.read(None, path, ["API_URL"]).environment


@pytest.mark.parametrize(
    "line",
    [
        "DBHOST=db.prod",
        "DB_HOST_1=db",
        "PROD_HOST_NAME=db.prod",
        "DB_ADDR=db:5432",
        "REDIS_ADDR=10.1.1.1:6379",
        "KAFKA_BOOTSTRAP=localhost:9092,k1.prod:9092",
        "SPARK_MASTER=spark.prod:7077",
        "CACHE=redis:6379",
        "CACHE=10.1.1.1:6379",
        "DB_CONN=Server=tcp:prod.database.windows.net,1433;Database=x",
        "PROD_DB=host=db.prod user=x",
        "JDBC=jdbc:oracle:thin:@prod:1521:x",
        "DB=me:hunter2@db.prod:5432/x",
        "DB=me:hunter2@tcp(db.prod:3306)/x",
        "DB=postgresql:///x?host=db.prod",
        "DB=postgresql:///x?user=me&hostaddr=127.0.0.1,10.1.1.1",
        "DB=jdbc:sqlserver://;serverName=db.prod;databaseName=x",
        'CONN={"host": "db.prod"}',
        'CONN=[{"url": "https://api.example.com"}]',
    ],
)
def test_an_address_off_this_machine_is_left_out_however_it_is_written(tmp_path, line):
    name = line.partition("=")[0]
    path = env(tmp_path, f"{name}='{line.partition('=')[2]}'")
    assert userdags.read(None, path, []).left_out == [name]
    assert userdags.read(None, path, [name]).left_out == []


@pytest.mark.parametrize(
    "line",
    [
        "VERSION=1.2.3",
        "TAG=1.2.3.4",
        "FILE=data.parquet",
        "MODULE=a.b.c",
        "ENTRY=pkg.mod:main",
        "IMAGE=postgres:16",
        "AT=12:30",
        "RANGE=1:10000",
        "GHOST=on",
        "MASTER_KEY=abcdef",
        "HOST_COUNT=3",
        "SERVER_PORT=8080",
        "SERVER_MODULE=a.b.c",
        "SPARK_MASTER=local[*]",
        "DB_ADDR=localhost:5432",
        "LISTEN_ADDR=:8080",
        "DB_HOST=/var/run/postgresql",
        "DB=postgresql:///x?host=/var/run/postgresql",
        "DB=jdbc:oracle:thin:@localhost:1521:x",
        "DB_CONN=Server=tcp:localhost,1433;Database=x",
        "MAIL=me@example.com",
        'BROKERS=["localhost:9092", "127.0.0.1:9093"]',
        'LIMITS={"a": 1}',
        "ITEMS=[1, 2]",
        "NOTE=the host, see there",
    ],
)
def test_what_is_no_address_or_of_this_machine_is_passed_on(tmp_path, line):
    name, _, value = line.partition("=")
    assert userdags.read(None, env(tmp_path, f"{name}='{value}'"), []).environment == {name: value}


def test_a_connection_off_the_bed_is_refused_by_name_unless_allowed(tmp_path):
    path = env(tmp_path, "AIRFLOW_CONN_PROD_DB=postgres://u:hunter2@db.prod/x")
    refused(
        Request("x", env_file=path),
        r"connection 'prod_db' leads off the bed \(host is db.prod\).*--allow-external prod_db",
    )
    allowed = userdags.ensure_input_is_valid(Request("x", env_file=path, allow_external=["prod_db"]))
    assert allowed.env_file == path
    assert "prod_db" in userdags.notices(allowed)[0]


def test_a_second_spelling_does_not_hide_a_connection(project, tmp_path):
    text = "airflow: {connections: [{conn_id: prod, conn_type: http, conn_host: a.example}]}"
    (project / "airflow_settings.yaml").write_text(text)
    path = env(tmp_path, "AIRFLOW_CONN_prod=http://localhost")
    refused(Request("x", project=str(project), env_file=path), "'prod' leads off the bed")


def test_the_beds_own_connections_stay_the_beds(tmp_path):
    mine = env(tmp_path, "AIRFLOW_CONN_WAREHOUSE=postgres://u@127.0.0.1/x")
    refused(Request("x", env_file=mine), "'warehouse' is one of the bed's own.*--allow-external warehouse")
    assert userdags.read(None, mine, ["warehouse"]).environment
    s3 = env(tmp_path, "AIRFLOW_CONN_AWS_DEFAULT=aws://?endpoint_url=http%3A%2F%2F127.0.0.1")
    refused(Request("x", env_file=s3, allow_external=["aws_default"]), "'aws_default' is the bed's own")


@pytest.mark.parametrize(
    ("given", "match"),
    [
        ({"dags": ["/nowhere/dags"]}, "--dags /nowhere/dags is not a folder"),
        ({"project": "/nowhere"}, "--project /nowhere is not a folder"),
        ({"env_file": "/nowhere/x.env"}, "--env-file /nowhere/x.env is not a file"),
        ({"allow_external": ["x"]}, "--allow-external is about connections of your files"),
        ({"time_scale": 0.5}, "out of range"),
    ],
)
def test_what_is_not_there_is_said(given, match):
    refused(Request("x", **given), match)


def test_a_file_instead_of_a_folder_names_the_folder(project):
    refused(Request("x", dags=[str(project / "dags/one.py")]), f"give its folder: --dags {project / 'dags'}")


def test_a_folder_without_python_is_said(tmp_path):
    refused(Request("x", dags=[str(tmp_path)]), "no Python file in")


def test_an_unknown_allowed_name_is_said(tmp_path):
    path = env(tmp_path, "AIRFLOW_CONN_MINE=postgres://localhost/x")
    refused(Request("x", env_file=path, allow_external=["mien"]), "no connection of that name; they have: mine")


@pytest.mark.parametrize("line", ["no equals sign here", 'A="open'])
def test_a_line_that_is_no_variable_is_named(tmp_path, line):
    refused(Request("x", env_file=env(tmp_path, "A=1", line)), "line 2: not a line of the form")


def test_a_project_gives_all_its_files(project):
    (project / "airflow_settings.yaml").write_text(
        """
airflow:
  connections:
    - conn_id: api
      conn_type: http
      conn_host: localhost
      conn_port: 8000
      conn_extra: {timeout: 3}
    - conn_id:
      conn_type:
  pools:
    - {pool_name: narrow, pool_slot: 2, pool_description: two at once}
    - {pool_name: }
  variables:
    - {variable_name: mode, variable_value: test}
    - {variable_name: limits, variable_value: {a: 1}}
    - {variable_name: , variable_value: }
"""
    )
    (project / ".env").write_text("AIRFLOW_VAR_MODE=from-env\n")
    found = userdags.read(str(project), None, [])
    assert found.environment["AIRFLOW_VAR_MODE"] == "from-env"
    assert found.environment["AIRFLOW_VAR_LIMITS"] == '{"a": 1}'
    assert found.connections["AIRFLOW_CONN_API"].fields["port"] == 8000
    assert [(pool.name, pool.slots, pool.description) for pool in found.pools] == [("narrow", 2, "two at once")]


def test_dates_of_a_settings_file_are_text(project):
    (project / "airflow_settings.yaml").write_text(
        """
airflow:
  connections:
    - conn_id: api
      conn_type: http
      conn_host: localhost
      conn_extra: {since: 2026-01-01, 2026-01-02: {at: [2026-01-03]}}
  variables:
    - {variable_name: first_day, variable_value: 2026-01-01}
    - {variable_name: days, variable_value: [2026-01-01, {2026-01-02: 1}]}
"""
    )
    found = userdags.read(str(project), None, []).environment
    assert found["AIRFLOW_VAR_FIRST_DAY"] == "2026-01-01"
    assert json.loads(found["AIRFLOW_VAR_DAYS"]) == ["2026-01-01", {"2026-01-02": 1}]
    extra = json.loads(found["AIRFLOW_CONN_API"])["extra"]
    assert extra == {"since": "2026-01-01", "2026-01-02": {"at": ["2026-01-03"]}}


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("airflow: {pools: [{pool_name: p, pool_slot: .inf}]}", "pool_slot of pool 'p' is inf, not a number"),
        ("airflow: [", "is not YAML at line"),
        ("connections: []", "no mapping 'airflow'"),
        ("airflow: {connections: {conn_id: x}}", "airflow.connections is not a list"),
        ("airflow: {connections: [{conn_id: x}]}", "'x' has neither conn_type nor conn_uri"),
        ("airflow: {pools: [{pool_name: p, pool_slot: many}]}", "pool_slot of pool 'p' is 'many'"),
        ("airflow: {connections: [{conn_id: x, conn_type: http, conn_host: a.example}]}", "'x' leads off the bed"),
    ],
)
def test_an_odd_settings_file_is_said(project, text, match):
    (project / "airflow_settings.yaml").write_text(text)
    refused(Request("x", project=str(project)), match)


def test_an_empty_settings_file_is_nothing(project):
    (project / "airflow_settings.yaml").write_text("# nothing yet\n")
    assert userdags.read(str(project), None, []).environment == {}


def test_a_project_must_have_the_layout(project):
    (project / "plugins").write_text("")
    refused(Request("x", project=str(project)), "plugins is not a folder")
    (project / "plugins").unlink()
    (project / "requirements.txt").mkdir()
    refused(Request("x", project=str(project)), "requirements.txt is not a file")
    refused(Request("x", project=str(project / "dags")), "has no dags/ folder")


def test_kubernetes_is_wanted_by_name_only(project):
    spec = BedSpec(name="x", project=str(project))
    assert not userdags.wants_kubernetes(spec)
    (project / "dags/.venv").mkdir()
    (project / "dags/.venv/x.py").write_text("kubernetes_prod_use1")
    assert not userdags.wants_kubernetes(spec)
    (project / "dags/two.py").write_text("conn = 'kubernetes_prod_use1'")
    assert userdags.wants_kubernetes(spec)
