"""Faults of one target: the second is refused, so that no order of taking back leaves a change for good."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from moto import mock_aws

from airbed.errors import UsageError
from airbed.faults.ledger import Entry
from airbed.faults.model import meet
from airbed.faults.plane import FaultPlane
from airbed.faults.registry import make
from airbed.incidents.play import youngest_first
from airbed.incidents.schema import FaultStep
from airbed.incidents.steps import FaultState


@pytest.fixture
def bed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """An S3 with one object, and a folder for the ledger."""
    for name, value in {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x"}.items():
        monkeypatch.setenv(name, value)
    with mock_aws():
        s3 = boto3.client("s3", region_name="us-east-1")
        s3.create_bucket(Bucket="raw-data")
        s3.put_object(Bucket="raw-data", Key="a", Body=b"original")
        yield SimpleNamespace(name="unit", s3=s3, folder=tmp_path, spec=SimpleNamespace(substrate="embedded"))


def content(bed: Any) -> bytes:
    return bytes(bed.s3.get_object(Bucket="raw-data", Key="a")["Body"].read())


def test_a_second_replacement_of_an_object_is_refused_until_the_first_is_put_back(bed: Any) -> None:
    plane = FaultPlane(bed)
    first = plane.inject(make("s3.object-replaced", {"bucket": "raw-data", "key": "a", "text": "one"}))
    again = make("s3.object-replaced", {"bucket": "raw-data", "key": "a", "text": "two"})
    with pytest.raises(UsageError, match=r"object raw-data a of bed 'unit' is changed already by fault f1 .*clear f1"):
        plane.inject(again)
    with pytest.raises(UsageError, match="fault f1"):
        plane.inject(make("s3.bucket-missing", {"bucket": "raw-data"}))
    assert content(bed) == b"one"
    plane.undo(first.id)
    with plane.injected(again):
        assert content(bed) == b"two"
    assert content(bed) == b"original"
    assert plane.active() == []


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        (("airflow.pool", {"pool": "a", "slots": 0}), ("airflow.pool", {"pool": "a", "slots": 1}), True),
        (("airflow.pool", {"pool": "a", "slots": 0}), ("airflow.pool", {"pool": "b", "slots": 0}), False),
        (("airflow.dag-file", {"file": "a.py", "by": "x"}), ("airflow.dag-file", {"file": "a.py", "by": "y"}), True),
        (("postgres.read-only", {"service": "shard-1"}), ("postgres.read-only", {"service": "shard-1"}), True),
        (("postgres.read-only", {"service": "shard-1"}), ("postgres.read-only", {"service": "shard-2"}), False),
        (("kubernetes.forbidden", {"region": "prod-usw2"}), ("kubernetes.forbidden", {"region": "prod-usw2"}), True),
        (("kubernetes.node-gone", {}), ("kubernetes.node-gone", {}), True),
        (
            ("s3.object-deleted", {"bucket": "b", "key": "in/*"}),
            ("s3.object-replaced", {"bucket": "b", "key": "in/a", "text": ""}),
            True,
        ),
        (
            ("s3.object-deleted", {"bucket": "b", "key": "in/*"}),
            ("s3.object-replaced", {"bucket": "b", "key": "out/a", "text": ""}),
            False,
        ),
        (("s3.bucket-missing", {"bucket": "b"}), ("s3.object-deleted", {"bucket": "c", "key": "*"}), False),
        (("tcp.down", {"service": "s3"}), ("tcp.down", {"service": "s3"}), False),
        (("postgres.read-only", {"service": "shard-1"}), ("tcp.down", {"service": "shard-1"}), False),
    ],
)
def test_which_faults_have_one_target(one: Any, other: Any, expected: bool) -> None:
    targets = make(*one).target(), make(*other).target()
    assert meet(*targets) is meet(*reversed(targets)) is expected


def state(name: str, entry_id: str | None) -> FaultState:
    step = FaultStep.model_validate({"id": name, "fault": "process.stop", "when": "start", "until": "end"})
    entry = Entry(entry_id, "process.stop", {}, {}, "a scenario", 1) if entry_id else None
    return FaultState(step, None, entry=entry)


def test_a_scenario_takes_back_the_youngest_first_whatever_the_order_in_its_file() -> None:
    states = [state("a", "f10"), state("b", "f9"), state("c", None), state("d", "f11")]
    assert [each.name for each in youngest_first(states)] == ["d", "a", "b", "c"]
