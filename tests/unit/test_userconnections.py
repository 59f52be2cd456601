"""Connections of a user's files: both formats, and which of them lead off the bed."""

from __future__ import annotations

import json

import pytest

from airbed.errors import UsageError
from airbed.userconnections import is_loopback, leads_off, own_connections, parse


def why(value):
    return leads_off(parse("c", value if isinstance(value, str) else json.dumps(value), "x.env"))


STAYS = [
    "postgres://u:p%40ss@127.0.0.1:5432/db?sslmode=disable",
    "postgresql://localhost/db",
    "postgres://",
    "mysql://root@[::1]:3306/db",
    "http://https://localhost:8443/path",
    {"conn_type": "http", "host": "http://127.0.0.1:8000"},
    {"conn_type": "fs", "extra": {"path": "/data"}},
    {"conn_type": "generic", "password": "https://not.looked.at"},
    {"conn_type": "aws", "extra": {"endpoint_url": "http://127.0.0.1:9000", "region_name": "us-east-1"}},
    {"conn_type": "aws", "extra": '{"endpoint_url": "http://localhost:4566"}'},
    {"conn_type": "kafka", "extra": {"bootstrap.servers": "localhost:9092,127.0.0.1:9093"}},
    {"conn_type": "oracle", "extra": {"dsn": "(DESCRIPTION=(ADDRESS=(HOST=127.0.0.1)(PORT=1521)))"}},
    {"conn_type": "odbc", "extra": {"connect": "Driver=x;Server=localhost,1433;Database=y"}},
    {
        "conn_type": "kubernetes",
        "extra": {"kube_config": {"clusters": [{"cluster": {"server": "https://127.0.0.1:1"}}]}},
    },
    {"conn_type": "kubernetes", "extra": {"in_cluster": True}},
    {"conn_type": "postgres", "host": "/var/run/postgresql"},
    {"conn_type": "something_new", "host": "localhost"},
    {"uri": "redis://:secret@localhost:6379/0"},
    {"conn_type": "spark", "host": "local"},
    {"conn_type": "spark", "host": "local[*, 3]"},
    "spark://local%5B%2A%5D",
    {"conn_type": "generic", "extra": {"dsn": "postgresql:///db?host=/var/run/postgresql"}},
    {"conn_type": "odbc", "extra": {"connect": "Driver=x;Server=tcp:localhost,1433"}},
    {
        "conn_type": "aws",
        "extra": {"endpoint_url": "http://127.0.0.1:9000", "service_config": {"s3": {"bucket_name": "b"}}},
    },
    {"conn_type": "ssh", "host": "localhost", "extra": {"host_proxy_cmd": ""}},
]
LEADS_OFF = [
    ("postgres://u:hunter2@db.prod.example.com:5432/db", "host is db.prod.example.com"),
    ("postgres://u:hunter2@127.0.0.1,db.prod/db", "host is db.prod"),
    ("postgres://u:hunter2@localhost/db?host=db.prod", "extra.host is db.prod"),
    ("http://https://api.example.com:443/x", "host is api.example.com"),
    ("http://https%3A%2F%2Fapi.example.com", "host is api.example.com"),
    ("mongo://localhost/?__extra__=%7B%22uri%22%3A%22mongodb%3A%2F%2Fa%2Cb.example%2F%22%7D", "extra.uri is a"),
    ("aws://", "endpoint_url is missing"),
    ("aws://?region_name=eu-west-1", "endpoint_url is missing"),
    (
        {"conn_type": "aws", "extra": {"endpoint_url": "https://s3.amazonaws.com"}},
        "extra.endpoint_url is s3.amazonaws.com",
    ),
    (
        {"conn_type": "aws", "extra": {"endpoint_url": "http://127.0.0.1:1", "role_arn": "arn:aws:iam::1:role/x"}},
        "extra.role_arn asks AWS",
    ),
    (
        {
            "conn_type": "aws",
            "extra": {
                "endpoint_url": "http://127.0.0.1:1",
                "service_config": {"s3": {"endpoint_url": "https://s3.x.com"}},
            },
        },
        "extra.service_config.s3.endpoint_url is s3.x.com",
    ),
    ("google-cloud-platform://?project=p", "type google_cloud_platform is a service"),
    ({"conn_type": "snowflake", "host": "localhost"}, "type snowflake is a service"),
    ({"conn_type": "wasb", "login": "account"}, "type wasb is a service"),
    ({"conn_type": "fivetran", "login": "k"}, "type fivetran names no host"),
    ({"conn_type": "kafka", "extra": {"bootstrap.servers": "localhost:9092,kafka.prod:9092"}}, "is kafka.prod"),
    ({"conn_type": "odbc", "extra": {"connect": "Driver=x;Server=sql.prod,1433"}}, "is sql.prod"),
    ({"conn_type": "jdbc", "host": "jdbc:postgresql://db.prod:5432/x"}, "host is db.prod"),
    (
        {"conn_type": "http", "host": "localhost", "extra": {"proxies": {"https": "http://proxy.corp:3128"}}},
        "proxy.corp",
    ),
    ({"conn_type": "kubernetes", "extra": {"kube_config_path": "/nowhere/config"}}, "cannot be read"),
    (
        {
            "conn_type": "kubernetes",
            "extra": {"kube_config": json.dumps({"clusters": [{"cluster": {"server": "https://k8s.prod"}}]})},
        },
        "is k8s.prod",
    ),
    ({"conn_type": "postgres", "host": "10.0.0.5"}, "host is 10.0.0.5"),
    ({"conn_type": "postgres", "host": "0.0.0.0"}, "host is 0.0.0.0"),
    ({"conn_type": "postgres", "host": "localhost.prod.example.com"}, "host is localhost.prod"),
    ({"conn_type": "ssh", "host": "bastion"}, "host is bastion"),
    ({"conn_type": "generic", "extra": {"dsn": "postgresql:///db?host=db.prod"}}, "extra.dsn is db.prod"),
    ({"conn_type": "generic", "extra": {"dsn": "postgresql:///db?a=b&hostaddr=%3A%3A1,10.0.0.5"}}, "dsn is 10.0.0.5"),
    ({"conn_type": "aws", "extra": {"endpoint_url": " "}}, "endpoint_url is missing"),
    (
        {
            "conn_type": "aws",
            "extra": {"endpoint_url": "http://127.0.0.1:1", "service_config": {"s3": {"endpoint_url": None}}},
        },
        "extra.service_config.s3.endpoint_url is empty, so it is AWS itself",
    ),
    (
        {
            "conn_type": "aws",
            "extra": {"endpoint_url": "http://127.0.0.1:1", "service_config": {"sqs": {"endpoint_url": " "}}},
        },
        "extra.service_config.sqs.endpoint_url is empty, so it is AWS itself",
    ),
    ({"conn_type": "s3", "host": "localhost"}, "type s3 is a service"),
    ({"conn_type": "emr", "host": "localhost"}, "type emr is a service"),
    ({"conn_type": "pagerduty", "host": "localhost"}, "type pagerduty is a service"),
    ({"conn_type": "pagerduty_events", "host": "localhost"}, "type pagerduty_events is a service"),
    (
        {"conn_type": "ssh", "host": "localhost", "extra": {"host_proxy_cmd": "ssh -W %h:%p bastion"}},
        "extra.host_proxy_cmd is a command",
    ),
    ({"conn_type": "sftp", "host": "localhost", "extra": {"host_proxy_cmd": "nc bastion 22"}}, "is a command"),
    ({"conn_type": "spark", "host": "yarn"}, "host is yarn"),
    ({"conn_type": "spark", "host": "local.prod"}, "host is local.prod"),
    ({"conn_type": "postgres", "host": "local"}, "host is local"),
]


@pytest.mark.parametrize("value", STAYS, ids=str)
def test_a_connection_to_this_machine_stays_on_the_bed(value):
    assert why(value) is None


@pytest.mark.parametrize(("value", "reason"), LEADS_OFF, ids=[str(value) for value, _ in LEADS_OFF])
def test_a_connection_to_elsewhere_leads_off_and_no_secret_is_told(value, reason):
    said = why(value)
    assert said is not None
    assert reason in said
    assert "hunter2" not in said


@pytest.mark.parametrize("path", ["config", "no\0path", "~no-such-user-here/config"])
def test_a_kubeconfig_that_is_no_text_or_no_path_cannot_be_read(tmp_path, path):
    (tmp_path / "config").write_bytes(b"\xff\xfe\x00")
    at = str(tmp_path / path) if path == "config" else path
    assert "cannot be read to see where it leads" in why({"conn_type": "kubernetes", "extra": {"kube_config_path": at}})


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("hunter2", "neither JSON nor a URI"),
        ('{"conn_type": "postgres", "password": "hunter2"', "looks like JSON and is not"),
        ('{"conn_type": "postgres", "pasword": "hunter2"}', "does not know: pasword"),
        ('{"conn_type": "postgres", "extra": "hunter2"}', "extra of connection 'c' is not JSON"),
        ('{"conn_type": "postgres", "extra": "[1]"}', "not a JSON object"),
        ("postgres://u:hunter2@localhost:port/db", "port is not a number"),
    ],
)
def test_a_malformed_connection_is_one_line_without_its_value(value, reason):
    with pytest.raises(UsageError, match=reason) as error:
        parse("c", value, "x.env")
    assert "hunter2" not in str(error.value)
    assert "\n" not in str(error.value)


def test_a_uri_is_read_as_airflow_reads_it():
    found = parse("c", "google-cloud-platform://lo%2Fgin:p%3Aw@host%2Fx:80/sch%20ema?a=1&b=", "f")
    assert found.conn_type == "google_cloud_platform"
    assert found.fields["login"] == "lo/gin"
    assert found.fields["password"] == "p:w"
    assert found.fields["port"] == 80
    assert found.fields["schema"] == "sch ema"
    assert found.extra == {"a": "1", "b": ""}


@pytest.mark.parametrize(
    ("host", "here"),
    [
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("LOCALHOST", True),
        ("::ffff:127.0.0.1", True),
        ("127.0.0.1.nip.io", False),
        ("localhost.example.com", False),
        ("2130706433", False),
        ("0.0.0.0", False),
    ],
)
def test_loopback_is_decided_without_dns(host, here):
    assert is_loopback(host) is here


def test_the_beds_own_connections_follow_the_topology():
    assert {"aws_default", "shard_0_db", "shard_2_db", "warehouse", "kubernetes_prod_use1"} <= own_connections()
