"""From S3 into a private folder and back, so that a target object is whole or absent, whatever happens in between.

Everything takes a boto3 S3 client (`S3Hook(conn_id).get_conn()`), so it needs no imports at parse time.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


class IncompleteTransfer(Exception):
    """A body was cut on its way, which another try may heal; or it is not the object that was listed."""


@contextmanager
def private_folder(name: str = "staging") -> Iterator[Path]:
    """A temporary folder of this try alone, gone with its content at the end: instances never share a path."""
    with tempfile.TemporaryDirectory(prefix=f"{name}-") as folder:
        yield Path(folder)


def download(s3: Any, bucket: str, key: str, target: Path, *, expected_size: int) -> Path:
    """Fetch an object into the file `target`; returns it.

    Raises IncompleteTransfer when it does not have `expected_size` bytes (the size in the listing): the body was cut,
    or the object has been replaced since. The first heals by another try, the second by a new listing only. Raises what
    boto3 raises when the object or the service is away.
    """
    s3.download_file(bucket, key, str(target))
    size = target.stat().st_size
    if size != expected_size:
        raise IncompleteTransfer(f"s3://{bucket}/{key}: {size} bytes arrived, {expected_size} were listed")
    return target


def upload(s3: Any, source: Path, bucket: str, key: str) -> str:
    """Put the file `source` in place of the object; returns its URL.

    S3 shows an object only once its last byte is there, and boto3 aborts a broken multipart upload, so readers see the
    old object, then the new one, never a part. Raises IncompleteTransfer when S3 holds another size than was sent.
    """
    s3.upload_file(str(source), bucket, key)
    size, stored = source.stat().st_size, s3.head_object(Bucket=bucket, Key=key)["ContentLength"]
    if stored != size:
        s3.delete_object(Bucket=bucket, Key=key)
        raise IncompleteTransfer(f"s3://{bucket}/{key}: {stored} bytes are stored, {size} were sent: deleted it")
    return f"s3://{bucket}/{key}"
