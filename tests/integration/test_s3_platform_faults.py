"""The kinds that change objects and buckets: what boto3 meets while they are in force, and after them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from airbed.clients.s3 import s3_client
from airbed.errors import UsageError
from airbed.faults.plane import FaultPlane
from airbed.faults.registry import make

BUCKET = "processed-data"
OBJECTS = {"in/a.json": b"[1, 2]", "in/b.json": b"[3]", "out/c.json": b"[]"}


@pytest.fixture(autouse=True)
def _objects(bed: Any, faults: Any) -> Iterator[None]:
    """In a bucket that holds nothing else, whatever tests of DAGs left there."""
    for key in bed.s3.list_objects_v2(Bucket=BUCKET).get("Contents", []):
        bed.s3.delete_object(Bucket=BUCKET, Key=key["Key"])
    for key, body in OBJECTS.items():
        bed.s3.put_object(Bucket=BUCKET, Key=key, Body=body, ContentType="application/json", Metadata={"day": "5"})
    yield
    FaultPlane(bed).clear()
    for key in contents(bed):
        bed.s3.delete_object(Bucket=BUCKET, Key=key)
    assert not [each for each in bed.s3.list_buckets()["Buckets"] if each["Name"].endswith("-kept")]


def contents(bed: Any) -> dict[str, bytes]:
    """All objects of the bucket."""
    found = bed.s3.list_objects_v2(Bucket=BUCKET).get("Contents", [])
    return {each["Key"]: bed.s3.get_object(Bucket=BUCKET, Key=each["Key"])["Body"].read() for each in found}


def refusal(call: Any, **arguments: Any) -> str:
    """The code with which S3 refuses a call."""
    with pytest.raises(ClientError) as refused:
        call(**arguments)
    return str(refused.value.response["Error"]["Code"])


def as_a_task(bed: Any) -> Any:
    """A client that takes the tasks' way."""
    endpoint = bed.endpoints.s3
    return s3_client(type(endpoint)(endpoint.task, endpoint.task, endpoint.access_key, endpoint.secret_key))


def test_objects_are_deleted_and_put_back(bed: Any, faults: Any) -> None:
    client = as_a_task(bed)
    with faults.injected("s3.object-deleted", bucket=BUCKET, key="in/*"):
        assert refusal(client.get_object, Bucket=BUCKET, Key="in/a.json") == "NoSuchKey"
        assert list(contents(bed)) == ["out/c.json"]
        client.put_object(Bucket=BUCKET, Key="in/b.json", Body=b"[4]")
    assert contents(bed) == OBJECTS | {"in/b.json": b"[4]"}
    head = client.head_object(Bucket=BUCKET, Key="in/a.json")
    assert (head["ContentType"], head["Metadata"]) == ("application/json", {"day": "5"})


def test_an_object_that_is_not_there_is_refused(bed: Any, faults: Any) -> None:
    with pytest.raises(UsageError, match=r"no object of processed-data matches 'x/\*'; it has: in/a.json"):
        faults.inject("s3.object-deleted", bucket=BUCKET, key="x/*")
    with pytest.raises(UsageError, match=r"there is no bucket 'nowhere'; there are: "):
        faults.inject("s3.object-replaced", bucket="nowhere", key="x", text="")


@pytest.mark.parametrize(
    ("content", "expected"),
    [({"text": "{"}, b"{"), ({"base64": "AAE="}, b"\0\1"), ({"first_bytes": 3}, b"[1,"), ({"text": ""}, b"")],
)
def test_an_object_is_replaced_and_put_back(bed: Any, faults: Any, content: dict[str, Any], expected: bytes) -> None:
    with faults.injected("s3.object-replaced", bucket=BUCKET, key="in/a.json", **content):
        answer = as_a_task(bed).get_object(Bucket=BUCKET, Key="in/a.json")
        assert (answer["Body"].read(), answer["ContentType"]) == (expected, "application/json")
    assert contents(bed) == OBJECTS


def test_what_a_task_wrote_over_a_replaced_object_stays(bed: Any, faults: Any) -> None:
    with faults.injected("s3.object-replaced", bucket=BUCKET, key="in/a.json", text="{"):
        bed.s3.put_object(Bucket=BUCKET, Key="in/a.json", Body=b"[9]")
    assert contents(bed)["in/a.json"] == b"[9]"


def test_a_bucket_is_missing_and_put_back(bed: Any, faults: Any) -> None:
    client = as_a_task(bed)
    with faults.injected("s3.bucket-missing", bucket=BUCKET):
        assert refusal(client.get_object, Bucket=BUCKET, Key="in/a.json") in ("NoSuchBucket", "NoSuchKey")
        assert refusal(client.put_object, Bucket=BUCKET, Key="in/d.json", Body=b"") == "NoSuchBucket"
        assert refusal(client.list_objects_v2, Bucket=BUCKET) == "NoSuchBucket"
    assert contents(bed) == OBJECTS


@pytest.mark.parametrize(
    ("kind", "parameters"),
    [
        ("s3.object-deleted", {"bucket": BUCKET, "key": "*"}),
        ("s3.object-replaced", {"bucket": BUCKET, "key": "in/a.json", "text": "{"}),
        ("s3.bucket-missing", {"bucket": BUCKET}),
    ],
)
def test_an_undo_without_an_apply_and_a_second_one_do_no_harm(
    bed: Any, faults: Any, kind: str, parameters: dict[str, Any]
) -> None:
    fault = make(kind, parameters)
    plan = fault.plan(bed, "airbed-f0")
    fault.undo(bed, plan)
    fault.apply(bed, plan)
    assert contents(bed) != OBJECTS if kind != "s3.bucket-missing" else True
    fault.undo(bed, plan)
    fault.undo(bed, plan)
    assert contents(bed) == OBJECTS
