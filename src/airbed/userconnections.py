"""Connections from a user's files: read in Airflow's two formats, and held to the rule that none leads off the bed.

The rule looks at what a connection says. Hosts, URLs and server lists must be of this machine's loopback; a type that
reaches a vendor's service without naming a host must name a loopback endpoint. Names are never resolved: a DNS answer
may differ between the check and the task.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import yaml

from airbed.addresses import hosts_of_urls, is_loopback, places, places_below, shown
from airbed.errors import UsageError
from airbed.topology import DATABASES, REGIONS, S3_CONN_ID

FIELDS = ("conn_type", "description", "login", "password", "host", "port", "schema", "extra", "uri", "team_name")

# Types whose hook goes to its host and nowhere else; without a host it stays on this machine, or fails.
_HOST_DECIDES = re.compile(
    "amqp|arangodb|cassandra|celery|clickhouse|druid|duckdb|elasticsearch|exasol|file|fs|ftp|generic|git|grpc|hdfs"
    "|hive_cli|hive_metastore|hiveserver2|http|iceberg|imap|impala|influxdb|jdbc|kafka|livy|mongo|mssql|mysql|neo4j|odbc"
    "|opensearch|oracle|package_index|pgvector|pinot|postgres|presto|qdrant|rabbitmq|redis|redshift|samba|sftp|smtp|spark"
    "|spark_connect|sqlite|ssh|trino|vertica|weaviate|webhdfs"
)
# Types whose hook goes to a vendor whatever the host says.
_VENDORS = re.compile(
    r"(google|gcp|gcs|azure|wasb|adls|adx|snowflake|slack|salesforce|dbt_cloud|yandex|openai|alibaba|oss|pagerduty"
    r"|(s3|emr)$)"
)
# Spark in the task's own process.
_SPARK_HERE = re.compile(r"local(-cluster)?(\[[\d*, ]+\])?")
_AWS_ELSEWHERE = ("role_arn", "assume_role_method", "profile_name", "aws_account_id")


@dataclass(frozen=True)
class Connection:
    """One connection of a user's file. `source` is the file, `fields` Airflow's JSON fields with `extra` as a dict."""

    conn_id: str
    source: str
    conn_type: str
    fields: Mapping[str, Any] = field(repr=False)

    @property
    def extra(self) -> dict[str, Any]:
        """The parsed `extra`."""
        found: dict[str, Any] = self.fields["extra"]
        return found


def own_connections() -> frozenset[str]:
    """The connections that every bed has; tasks reach its services through them."""
    databases = {each.conn_id for each in DATABASES if each.conn_id}
    return frozenset({S3_CONN_ID, *databases, *(each.conn_id for each in REGIONS)})


def parse(conn_id: str, text: str, source: str) -> Connection:
    """Read the value of an AIRFLOW_CONN_* variable, JSON or URI, as Airflow 3.3.2 does (models/connection.py).

    Raises UsageError, which never repeats the value.
    """
    if not text.lstrip().startswith("{"):
        return from_uri(conn_id, text.strip(), source)
    try:
        values = json.loads(text)
    except ValueError as error:
        raise UsageError(f"{source}: connection '{conn_id}' looks like JSON and is not: {error}") from None
    unknown = sorted(set(values) - set(FIELDS))
    if unknown:
        raise UsageError(
            f"{source}: connection '{conn_id}' has fields that Airflow does not know: {', '.join(unknown)};"
            f" it knows: {', '.join(FIELDS)}"
        )
    if values.get("uri"):
        return from_uri(conn_id, str(values["uri"]), source)
    return from_fields(conn_id, values, source)


def from_fields(conn_id: str, values: Mapping[str, Any], source: str) -> Connection:
    """A connection from Airflow's JSON fields; `extra` may be an object or its JSON text."""
    extra = values.get("extra") or {}
    if isinstance(extra, str):
        try:
            extra = json.loads(extra)
        except ValueError as error:
            raise UsageError(f"{source}: the extra of connection '{conn_id}' is not JSON: {error}") from None
    if not isinstance(extra, dict):
        raise UsageError(f"{source}: the extra of connection '{conn_id}' is not a JSON object")
    kind = _kind(str(values.get("conn_type") or ""))
    return Connection(conn_id, source, kind, {**values, "conn_type": kind, "extra": extra})


def from_uri(conn_id: str, uri: str, source: str) -> Connection:
    """A connection from Airflow's URI form, such as `postgres://user:password@host:5432/database?key=value`."""
    scheme, mark, rest = uri.partition("://")
    if not mark or not re.fullmatch(r"[A-Za-z][\w+.-]*", scheme):
        raise UsageError(
            f"{source}: connection '{conn_id}' is neither JSON nor a URI such as postgres://user:password@host/db"
        )
    nested = re.match(r"([A-Za-z][\w+.-]*)://", rest)
    try:
        parts = urlsplit(rest if nested else f"//{rest}")
        port = parts.port
    except ValueError as error:
        reason = "its port is not a number" if "ort" in str(error) else "its host is malformed"
        raise UsageError(f"{source}: the URI of connection '{conn_id}' is wrong: {reason}") from None
    # Not `hostname`: that one stops at the first colon of a quoted URL and lowers the case.
    place = unquote(parts.netloc.rpartition("@")[2])
    query: dict[str, Any] = dict(parse_qsl(parts.query, keep_blank_values=True))
    extra = query.get("__extra__", query)
    values = {
        "conn_type": scheme,
        "host": f"{nested[1]}://{place}" if nested else place,
        "port": port,
        "schema": unquote(parts.path[1:]),
        "login": unquote(parts.username or ""),
        "password": unquote(parts.password or ""),
        "extra": extra,
    }
    return from_fields(conn_id, values, source)


def _kind(text: str) -> str:
    return "postgres" if text == "postgresql" else text.replace("-", "_").lower()


def leads_off(connection: Connection) -> str | None:
    """Why a connection leads off the bed, in a few words without secrets; None when it does not.

    A connection that names only loopback hosts may still reach another program of this machine: the bed cannot tell.
    """
    for key, host in _places(connection):
        if not is_loopback(host):
            return f"{key} is {shown(host)}"
    if connection.conn_type == "aws":
        return _aws_leads_off(connection.extra)
    if connection.conn_type == "kubernetes":
        return _kubernetes_leads_off(connection.extra)
    if _VENDORS.match(connection.conn_type):
        return f"type {connection.conn_type} is a service in the internet"
    if _HOST_DECIDES.fullmatch(connection.conn_type) or not connection.conn_type or connection.fields.get("host"):
        by_command = connection.extra.get("host_proxy_cmd")  # of ssh and sftp
        return "extra.host_proxy_cmd is a command, and airbed cannot see where it leads" if by_command else None
    return f"type {connection.conn_type} names no host, and goes wherever its provider goes"


def _aws_leads_off(extra: Mapping[str, Any]) -> str | None:
    elsewhere = [key for key in _AWS_ELSEWHERE if extra.get(key)]
    if elsewhere:
        return f"extra.{elsewhere[0]} asks AWS for credentials"
    if _is_blank(extra.get("endpoint_url")):
        return "extra.endpoint_url is missing, so it is AWS itself"
    # Airflow takes a service's own endpoint when there is one, null too.
    of_services = extra.get("service_config")
    for name, config in of_services.items() if isinstance(of_services, Mapping) else ():
        if isinstance(config, Mapping) and "endpoint_url" in config and _is_blank(config["endpoint_url"]):
            return f"extra.service_config.{name}.endpoint_url is empty, so it is AWS itself"
    return None


def _is_blank(value: Any) -> bool:
    return not str(value or "").strip()


def _kubernetes_leads_off(extra: Mapping[str, Any]) -> str | None:
    values = {key.removeprefix("extra__kubernetes__"): value for key, value in extra.items() if value}
    if values.get("kube_config"):
        config: Any = values["kube_config"]
        where = "extra.kube_config"
    elif values.get("kube_config_path"):
        where = f"extra.kube_config_path {values['kube_config_path']}"
        try:
            config = Path(str(values["kube_config_path"])).expanduser().read_text()
        except (OSError, ValueError, RuntimeError):  # no such file, no text or no path, no such user
            return f"{where} cannot be read to see where it leads"
    else:
        return None
    try:
        loaded = yaml.safe_load(config) if isinstance(config, str) else config
        servers = [str(each["cluster"]["server"]) for each in loaded["clusters"]]
    except (yaml.YAMLError, KeyError, TypeError):
        return f"{where} is no kubeconfig that airbed can read"
    off = [server for server in servers if not all(is_loopback(host) for host in hosts_of_urls(server))]
    return f"{where} leads to {shown(next(hosts_of_urls(off[0]), '?'))}" if off else None


def _places(connection: Connection) -> Iterator[tuple[str, str]]:
    """Every (field, host) that a connection names."""
    for key in ("host", "schema", "login"):
        value = connection.fields.get(key)
        if (key, connection.conn_type) == ("host", "spark") and _SPARK_HERE.fullmatch(str(value)):
            continue
        yield from places(key, value, is_place=key == "host")
    yield from places_below("extra", connection.extra)
