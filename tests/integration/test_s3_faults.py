"""Every S3 fault as a real boto3 client meets it on the way of the tasks; gone after undo; the direct way is spared."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, ConnectionClosedError, IncompleteReadError, ResponseStreamingError

from airbed.errors import UsageError

BUCKET = "artifacts"
PREFIX = "s3-faults/"
BODY = bytes(range(256)) * 400


def client(bed: Any, attempts: int = 1, **settings: Any) -> Any:
    """A client on the way of the tasks, with so many tries."""
    at = bed.endpoints.s3
    config = Config(s3={"addressing_style": "path"}, retries={"total_max_attempts": attempts}, proxies={}, **settings)
    return boto3.client(
        "s3",
        endpoint_url=at.task,
        aws_access_key_id=at.access_key,
        aws_secret_access_key=at.secret_key,
        region_name=at.region,
        config=config,
    )


def unchecked(bed: Any) -> Any:
    """A client that asks for no checksums, as older ones and other libraries do."""
    return client(bed, response_checksum_validation="when_required")


@pytest.fixture
def s3(bed: Any) -> Iterator[Any]:
    """A client with one try, and two objects."""
    for name in ("a", "b"):
        bed.s3.put_object(Bucket=BUCKET, Key=PREFIX + name, Body=BODY)
    yield client(bed)
    listed = bed.s3.list_objects_v2(Bucket=BUCKET, Prefix=PREFIX)
    for each in listed.get("Contents", []):
        bed.s3.delete_object(Bucket=BUCKET, Key=each["Key"])


def get(s3: Any, name: str = "a", **options: Any) -> bytes:
    """The object as the client has it."""
    content: bytes = s3.get_object(Bucket=BUCKET, Key=PREFIX + name, **options)["Body"].read()
    return content


def put(s3: Any, name: str, body: bytes = BODY) -> None:
    s3.put_object(Bucket=BUCKET, Key=PREFIX + name, Body=body)


def is_as_it_was(bed: Any, s3: Any) -> bool:
    return get(s3) == BODY and get(s3, "b") == BODY and bed.director.s3_rules() == []


@pytest.mark.parametrize(
    ("status", "code"), [(503, "SlowDown"), (500, "InternalError"), (403, "AccessDenied"), (404, "NoSuchKey")]
)
def test_error(bed: Any, s3: Any, faults: Any, status: int, code: str) -> None:
    with faults.injected("s3.error", bucket=BUCKET, key=PREFIX + "a", status=status) as fault:
        for ask in (lambda: get(s3), lambda: put(s3, "a", b"new")):
            with pytest.raises(ClientError) as caught:
                ask()
            assert caught.value.response["Error"]["Code"] == code
            assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == status
        assert get(s3, "b") == BODY
        assert get(bed.s3) == BODY  # nothing was put, and the direct way has no fault
        assert faults.fired(fault) == 2
    assert is_as_it_was(bed, s3)


def test_an_error_that_the_client_retries_away_is_seen_as_such(bed: Any, s3: Any, faults: Any) -> None:
    begin = max((each["seq"] for each in bed.director.journal()), default=0)
    with faults.injected("s3.error", key=PREFIX + "*", methods=["GET"], nth=[1, 2]) as fault:
        assert get(client(bed, attempts=3)) == BODY
        assert faults.fired(fault) == 2
    fired = bed.director.journal(kind="s3-fired", after=begin)
    (followed,) = bed.director.journal(kind="s3-followed", after=begin)
    assert [(each["hit"], each["attempt"]) for each in fired] == [(1, 1), (2, 2)]
    assert (followed["attempt"], followed["status"], followed["intact"]) == (3, 200, True)
    assert len({each["invocation"] for each in [*fired, followed]}) == 1
    assert is_as_it_was(bed, s3)


def test_a_share_of_the_keys_is_the_same_for_a_seed(bed: Any, s3: Any, faults: Any) -> None:
    def broken(seed: int) -> set[int]:
        met = set()
        with faults.injected("s3.error", bucket=BUCKET, share=0.4, seed=seed, status=404, methods=["HEAD"]):
            for number in range(30):
                try:
                    s3.head_object(Bucket=BUCKET, Key=f"{PREFIX}none-{number}")
                except ClientError as error:
                    if error.response["ResponseMetadata"]["HTTPHeaders"].get("x-amz-request-id") == "airbed":
                        met.add(number)
        return met

    first = broken(5)
    assert 4 <= len(first) <= 22
    assert broken(5) == first
    assert broken(6) != first
    assert is_as_it_was(bed, s3)


def test_latency(bed: Any, s3: Any, faults: Any) -> None:
    with faults.injected("s3.latency", key=PREFIX + "a", seconds=1.5):
        for name, least, most in (("a", 1.5, 10.0), ("b", 0.0, 1.5)):
            begin = time.monotonic()
            assert get(s3, name) == BODY
            assert least <= time.monotonic() - begin < most
    begin = time.monotonic()
    assert is_as_it_was(bed, s3)
    assert time.monotonic() - begin < 1.5


def test_reset(bed: Any, s3: Any, faults: Any) -> None:
    with faults.injected("s3.reset", key=PREFIX + "c", methods=["PUT"], times=1) as fault:
        with pytest.raises((ConnectionClosedError, ConnectionResetError)):
            put(s3, "c")
        with pytest.raises(ClientError, match="404"):
            bed.s3.head_object(Bucket=BUCKET, Key=PREFIX + "c")
        put(s3, "c")
        assert get(bed.s3, "c") == BODY
        assert faults.fired(fault) == 1
    assert is_as_it_was(bed, s3)


def test_truncate(bed: Any, s3: Any, faults: Any) -> None:
    with faults.injected("s3.truncate", key=PREFIX + "a", at_byte=5000):
        stream = s3.get_object(Bucket=BUCKET, Key=PREFIX + "a")["Body"]
        with pytest.raises((IncompleteReadError, ResponseStreamingError)):
            stream.read()
        assert get(s3, Range="bytes=0-99") == BODY[:100]  # has no such byte
        assert get(s3, "b") == BODY
    assert is_as_it_was(bed, s3)


def test_truncate_with_a_length_that_agrees(bed: Any, s3: Any, faults: Any) -> None:
    """Nothing but the content tells."""
    with faults.injected("s3.truncate", key=PREFIX + "a", seed=3, fit_length=True):
        short = get(unchecked(bed))
        assert 0 <= len(short) < len(BODY)
        assert BODY.startswith(short)
        assert get(unchecked(bed)) != short  # another hit, another byte
    assert is_as_it_was(bed, s3)


def test_corrupt(bed: Any, s3: Any, faults: Any) -> None:
    with faults.injected("s3.corrupt", key=PREFIX + "a", at_byte=700) as fault:
        spoiled = get(unchecked(bed))
        assert [index for index in range(len(BODY)) if BODY[index] != spoiled[index]] == [700]
        assert len(spoiled) == len(BODY)
        assert get(s3, "b") == BODY
        assert faults.fired(fault) == 1
    assert is_as_it_was(bed, s3)


def test_throttle(bed: Any, s3: Any, faults: Any) -> None:
    with faults.injected("s3.throttle", key=PREFIX + "*", bytes_per_second=len(BODY) * 2):
        for ask in (lambda: get(s3), lambda: put(s3, "d")):
            begin = time.monotonic()
            ask()
            assert 0.4 <= time.monotonic() - begin < 10
    assert get(bed.s3, "d") == BODY
    assert is_as_it_was(bed, s3)


def test_large_objects_and_parts_pass_unchanged(bed: Any, s3: Any) -> None:
    """No rule: put and get of 40 MB, in one piece, in parts, and of ranges, by several clients at once."""
    body = hashlib.shake_256(b"airbed").digest(40 << 20)
    digest = hashlib.sha256(body).hexdigest()
    put(s3, "large", body)
    parts = s3.create_multipart_upload(Bucket=BUCKET, Key=PREFIX + "parts")
    about = {"Bucket": BUCKET, "Key": PREFIX + "parts", "UploadId": parts["UploadId"]}
    done = []
    for number in range(1, 5):
        part = s3.upload_part(**about, PartNumber=number, Body=body[(number - 1) * (10 << 20) : number * (10 << 20)])
        done.append({"PartNumber": number, "ETag": part["ETag"]})
    s3.complete_multipart_upload(**about, MultipartUpload={"Parts": done})
    with ThreadPoolExecutor(4) as several:
        got = several.map(lambda name: hashlib.sha256(get(client(bed), name)).hexdigest(), ["large", "parts"] * 2)
        assert set(got) == {digest}
    assert get(s3, "parts", Range="bytes=10485750-10485770") == body[10485750:10485771]
    listed = s3.list_objects_v2(Bucket=BUCKET, Prefix=PREFIX)
    assert [each["Key"].removeprefix(PREFIX) for each in listed["Contents"]] == ["a", "b", "large", "parts"]


def test_a_killed_director_is_back_with_its_rules(bed: Any, s3: Any, faults: Any) -> None:
    with faults.injected("s3.error", key=PREFIX + "a", nth=[2]) as fault:
        assert get(s3) == BODY
        bed.substrate.kill("director")
        assert get(client(bed, attempts=9), "b") == BODY
        with pytest.raises(ClientError, match="SlowDown"):
            get(s3)
        assert faults.fired(fault) == 1
    assert is_as_it_was(bed, s3)


def test_what_cannot_be_is_refused(faults: Any) -> None:
    with pytest.raises(UsageError, match="there is no bucket 'raw'; there are: "):
        faults.inject("s3.error", bucket="raw")
    with pytest.raises(UsageError, match=r"s3\.error: status: Input should be greater than or equal to 400"):
        faults.inject("s3.error", status=200)
    assert faults.active() == []
