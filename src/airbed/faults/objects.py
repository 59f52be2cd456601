"""What the kinds that change objects have in common: a bucket aside in which the objects wait to be put back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from airbed.errors import Unavailable, UsageError

if TYPE_CHECKING:
    from airbed.bed import Bed

MISSING = ("404", "NoSuchKey", "NoSuchBucket", "NotFound")


@contextmanager
def reaching(bed: Bed) -> Iterator[Any]:
    """The bed's S3 client; what S3 refuses becomes Unavailable, in one line."""
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield bed.s3
    except (BotoCoreError, ClientError) as error:
        raise Unavailable(f"S3 of bed '{bed.name}': {' '.join(str(error).split())}; see: airbed status") from None


def head(s3: Any, bucket: str, key: str) -> dict[str, Any] | None:
    """What S3 says of an object; None when it, or its bucket, is not there."""
    from botocore.exceptions import ClientError

    try:
        found: dict[str, Any] = s3.head_object(Bucket=bucket, Key=key)
    except ClientError as error:
        if error.response["Error"]["Code"] in MISSING:
            return None
        raise
    return found


def has_bucket(s3: Any, bucket: str) -> bool:
    """Whether there is such a bucket."""
    return any(each["Name"] == bucket for each in s3.list_buckets()["Buckets"])


def keys(s3: Any, bucket: str) -> Iterator[str]:
    """The keys of all objects of a bucket, sorted."""
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket):
        yield from (each["Key"] for each in page.get("Contents", []))


def ensure_bucket_exists(s3: Any, bucket: str) -> None:
    """Raise UsageError when there is no such bucket, with those that there are."""
    if not has_bucket(s3, bucket):
        names = ", ".join(each["Name"] for each in s3.list_buckets()["Buckets"])
        raise UsageError(f"there is no bucket '{bucket}'; there are: {names}")


def aside(key: str) -> str:
    """The bucket in which the fault `key` keeps what it took."""
    return f"{key}-kept"


def keep(s3: Any, bucket: str, key: str, wanted: list[str]) -> None:
    """Copy objects aside, with all that S3 knows of them."""
    s3.create_bucket(Bucket=aside(key))
    for each in wanted:
        s3.copy_object(Bucket=aside(key), Key=each, CopySource={"Bucket": bucket, "Key": each})


def give_back(s3: Any, bucket: str, key: str) -> None:
    """Put back what was kept and is missing, then forget what was kept; what was written meanwhile stays."""
    if not has_bucket(s3, aside(key)):
        return
    for each in list(keys(s3, aside(key))):
        if head(s3, bucket, each) is None:
            s3.copy_object(Bucket=bucket, Key=each, CopySource={"Bucket": aside(key), "Key": each})
    forget(s3, key)


def forget(s3: Any, key: str) -> None:
    """Delete the bucket aside."""
    if has_bucket(s3, aside(key)):
        delete_all(s3, aside(key))
        s3.delete_bucket(Bucket=aside(key))


def delete_all(s3: Any, bucket: str) -> None:
    """Delete every object of a bucket."""
    for each in list(keys(s3, bucket)):
        s3.delete_object(Bucket=bucket, Key=each)
