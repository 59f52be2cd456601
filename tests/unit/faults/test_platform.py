"""The platform kinds without services: parameters, plans, objects put back, what a holder tells."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, get_args

import boto3
import psycopg
import pytest
from moto import mock_aws

from airbed.errors import Unavailable, UsageError
from airbed.faults import holder, kubernetes, postgres
from airbed.faults.holder import disk
from airbed.faults.holder.report import Report
from airbed.faults.platform import postgres_statement_killed
from airbed.faults.registry import kinds, make
from airbed.substrates.embedded.postgres import replace_lost_disks
from airbed.topology import DATABASE_SERVICES, REGIONS

OBJECTS = {"in/a.json": b"[1, 2]", "in/b.json": b"[3]", "out/c.json": b"[]"}
S3_FAULTS = [
    ("s3.object-deleted", {"bucket": "raw-data", "key": "in/*"}),
    ("s3.object-replaced", {"bucket": "raw-data", "key": "in/a.json", "first_bytes": 2}),
    ("s3.bucket-missing", {"bucket": "raw-data"}),
]


@pytest.fixture
def bed(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """An S3 in this process behind the only things of a bed that these kinds use."""
    for name, value in {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x"}.items():
        monkeypatch.setenv(name, value)
    with mock_aws():
        s3 = boto3.client("s3", region_name="us-east-1")
        s3.create_bucket(Bucket="raw-data")
        for key, body in OBJECTS.items():
            s3.put_object(Bucket="raw-data", Key=key, Body=body)
        yield SimpleNamespace(name="unit", s3=s3)


def contents(bed: Any) -> dict[str, bytes]:
    found = bed.s3.list_objects_v2(Bucket="raw-data").get("Contents", [])
    return {each["Key"]: bed.s3.get_object(Bucket="raw-data", Key=each["Key"])["Body"].read() for each in found}


def buckets(bed: Any) -> list[str]:
    return [each["Name"] for each in bed.s3.list_buckets()["Buckets"]]


def test_services_and_regions_are_those_of_the_topology() -> None:
    assert get_args(postgres.Service) == DATABASE_SERVICES
    assert get_args(kubernetes.Cluster) == tuple(each.cluster for each in REGIONS)


@pytest.mark.parametrize(
    "name", [name for name, kind in kinds().items() if kind.level == "platform" and name != "scenario.given"]
)
def test_every_kind_takes_its_example_and_says_what_its_parameters_are(name: str) -> None:
    kind = kinds()[name]
    make(name, kind.example)
    assert kind.summary
    assert all(each.description for each in kind.model_fields.values())
    assert not {"name", "json", "help", "debug"} & set(kind.model_fields)


@pytest.mark.parametrize(
    ("name", "parameters", "words"),
    [
        ("postgres.lock", {"service": "shard-9", "table": "t"}, "service: .*'shard-0'"),
        ("postgres.lock", {"service": "warehouse", "table": "t", "mode": "TOTAL"}, "mode: .*ACCESS EXCLUSIVE"),
        (
            "postgres.deadlock",
            {"service": "warehouse", "table": "t", "times": 0},
            "times: .*greater than or equal to 1",
        ),
        ("postgres.statement-killed", {"service": "warehouse", "statement": "("}, "is no regular expression"),
        ("postgres.statement-killed", {"service": "warehouse", "statement": r"\bUPDATE"}, r"a word's edge is \\y"),
        ("s3.object-replaced", {"bucket": "b", "key": "k"}, "give one of text, base64 and first_bytes, not none"),
        ("s3.object-replaced", {"bucket": "b", "key": "k", "text": "", "first_bytes": 1}, "text and first_bytes"),
        ("s3.object-replaced", {"bucket": "b", "key": "k", "base64": "?"}, "is no Base64"),
        ("kubernetes.quota", {"region": "mars", "pods": 1}, "region: .*'prod-use1'"),
        ("airflow.retry-clock", {"seconds": -1}, "seconds: .*greater than or equal to 0"),
    ],
)
def test_wrong_parameters_are_named(name: str, parameters: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        make(name, parameters)


@pytest.mark.parametrize(("name", "parameters"), S3_FAULTS)
def test_an_undo_without_an_apply_changes_nothing(bed: Any, name: str, parameters: dict[str, Any]) -> None:
    fault = make(name, parameters)
    fault.check(bed)
    plan = fault.plan(bed, "airbed-f1")
    fault.undo(bed, plan)
    assert (contents(bed), buckets(bed)) == (OBJECTS, ["raw-data"])


@pytest.mark.parametrize(("name", "parameters"), S3_FAULTS)
def test_two_undos_after_an_apply_put_everything_back_once(bed: Any, name: str, parameters: dict[str, Any]) -> None:
    fault = make(name, parameters)
    plan = fault.plan(bed, "airbed-f1")
    fault.apply(bed, plan)
    fault.confirm(bed, plan)
    fault.undo(bed, plan)
    fault.undo(bed, plan)
    assert (contents(bed), buckets(bed)) == (OBJECTS, ["raw-data"])


def test_an_apply_that_stopped_half_way_is_undone(bed: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    fault = make("s3.object-deleted", {"bucket": "raw-data", "key": "*"})
    plan = fault.plan(bed, "airbed-f1")
    delete, deleted = bed.s3.delete_object, []

    def once(**arguments: Any) -> None:
        if deleted:
            raise KeyboardInterrupt
        deleted.append(delete(**arguments))

    monkeypatch.setattr(bed.s3, "delete_object", once)
    with pytest.raises(KeyboardInterrupt):
        fault.apply(bed, plan)
    monkeypatch.undo()
    assert len(contents(bed)) == 2
    fault.undo(bed, plan)
    assert (contents(bed), buckets(bed)) == (OBJECTS, ["raw-data"])


def test_a_statement_is_read_as_postgres_reads_it(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def ask(bed: Any, service: str, query: str, values: list[str]) -> None:
        asked.append((service, query, values))
        if "?P" in values[0]:
            raise psycopg.errors.InvalidRegularExpression("invalid regular expression: invalid embedded option")

    monkeypatch.setattr(postgres_statement_killed, "ask", ask)
    unit: Any = SimpleNamespace(name="unit")
    for statement in (r"\yUPDATE\y", r"\mcopy\M [[:alpha:]]+", r"C:\\b", "***=(", ""):
        make("postgres.statement-killed", {"service": "warehouse", "statement": statement}).check(unit)
        assert asked.pop() == ("warehouse", "SELECT '' ~* %s", [statement])
    with pytest.raises(
        UsageError, match=r"'\(\?P<a>x\)' is no regular expression of Postgres: invalid embedded option"
    ):
        make("postgres.statement-killed", {"service": "warehouse", "statement": "(?P<a>x)"}).check(unit)


def test_kubernetes_kinds_say_that_a_bed_has_none() -> None:
    bed = SimpleNamespace(name="unit", spec=SimpleNamespace(kubernetes=False))
    with pytest.raises(Unavailable, match="has no Kubernetes; add it: airbed up --name unit --with kubernetes"):
        make("kubernetes.node-gone", {}).check(bed)  # type: ignore[arg-type]


def test_a_holder_tells_what_it_knows_and_nobody_waits_for_one_that_is_not_there(tmp_path: Path) -> None:
    bed: Any = SimpleNamespace(folder=tmp_path, spec=SimpleNamespace(mark="no-such-mark"))
    assert (holder.told(bed, "airbed-f1"), holder.alive(bed, "airbed-f1")) == ({}, False)
    (tmp_path / "faults").mkdir()
    report = Report(tmp_path / "faults/airbed-f1.json")
    report.tell(state="holding", fired=2)
    assert holder.told(bed, "airbed-f1") == {"state": "holding", "fired": 2}
    holder.end(bed, "airbed-f1")
    assert holder.told(bed, "airbed-f1") == {}


def test_a_full_disk_changes_only_these_settings() -> None:
    assert disk.settings(None) == ("default_tablespace", "temp_tablespaces")
    assert disk.settings(64) == ("default_tablespace", "temp_tablespaces", "work_mem")


def test_only_a_disk_that_is_gone_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "living").mkdir()
    (tmp_path / "airbed-f1.disk").symlink_to(tmp_path / "living")
    (tmp_path / "airbed-f2.disk").symlink_to(tmp_path / "gone")
    replace_lost_disks(tmp_path)
    assert (tmp_path / "airbed-f1.disk").is_symlink()
    assert (tmp_path / "airbed-f2.disk").is_dir()
    assert not (tmp_path / "airbed-f2.disk").is_symlink()
