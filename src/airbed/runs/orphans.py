"""XCom objects that nothing points at: Airflow deletes rows, and leaves their objects in the bucket.

Deleting a run or an XCom leaves its objects behind (measured on 3.3.2; only clearing purges them). An object belongs to
`<prefix>/<dag_id>/<run_id>/<task_id>/<uuid>`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from airbed.errors import Unavailable
from airbed.topology import XCOM_PATH

if TYPE_CHECKING:
    from airbed.runs.protocols import StoringBed

DELETED_AT_ONCE = 1000  # the limit of S3's DeleteObjects


@dataclass(frozen=True)
class StoredObject:
    """One object in the XCom bucket; `size` in bytes. `dag_id` and `run_id` are None when the key has another shape."""

    key: str
    size: int
    modified: datetime
    dag_id: str | None
    run_id: str | None


@dataclass(frozen=True)
class Sweep:
    """What a sweep found: `orphans` that nothing points at, `kept` that rows point at, `young` of runs not ended."""

    bucket: str
    orphans: tuple[StoredObject, ...]
    kept: int
    young: int
    deleted: int = 0

    @property
    def size(self) -> int:
        """The orphans' size in bytes."""
        return sum(each.size for each in self.orphans)

    def to_json(self) -> dict[str, Any]:
        """`{"bucket", "orphans": [{"key", "size", ...}], "bytes", "kept", "young", "deleted"}`."""
        return {
            "bucket": self.bucket,
            "orphans": [
                {
                    "key": each.key,
                    "size": each.size,
                    "modified": each.modified.isoformat(),
                    "dag_id": each.dag_id,
                    "run_id": each.run_id,
                }
                for each in self.orphans
            ],
            "bytes": self.size,
            "kept": self.kept,
            "young": self.young,
            "deleted": self.deleted,
        }


def split_url(url: str) -> tuple[str, str]:
    """Bucket and key of an object URL such as `s3://aws_default@airflow-xcom/xcom/...` (the connection is dropped)."""
    parts = urlsplit(url)
    return parts.netloc.rpartition("@")[2], parts.path.lstrip("/")


def stored_object(key: str, size: int, modified: datetime, prefix: str) -> StoredObject:
    """An object with the DAG and the run that its key names."""
    parts = key.removeprefix(prefix).lstrip("/").split("/")
    dag_id, run_id = (parts[0], parts[1]) if len(parts) == 4 else (None, None)
    return StoredObject(key, size, modified, dag_id, run_id)


def find_orphans(
    objects: Iterable[StoredObject],
    referenced: Collection[str],
    unfinished: Collection[tuple[str, str]],
    run_id: str | None = None,
) -> tuple[list[StoredObject], int, int]:
    """Orphans, and how many objects are kept and young.

    `referenced` are the keys that XCom rows point at, `unfinished` the (dag_id, run_id) of runs not ended: their
    objects are written before the row that points at them. `run_id` narrows to one run's objects.
    """
    orphans: list[StoredObject] = []
    kept = young = 0
    for each in objects:
        if run_id is not None and each.run_id != run_id:
            continue
        if each.key in referenced:
            kept += 1
        elif each.dag_id is not None and each.run_id is not None and (each.dag_id, each.run_id) in unfinished:
            young += 1
        else:
            orphans.append(each)
    return orphans, kept, young


def sweep(bed: StoringBed, run_id: str | None = None, *, apply: bool = False) -> Sweep:
    """Find the orphaned XCom objects (of one run, or of all), and delete them when `apply` is set.

    The order matters: objects, then unfinished runs, then rows. An object written meanwhile is not listed, and a
    run that ends meanwhile has all its rows by then, so nothing in use is taken for an orphan.
    """
    bucket, prefix = split_url(XCOM_PATH)
    objects = _list(bed.s3, bucket, prefix)
    unfinished = {(each.dag_id, each.run_id) for each in bed.metadata.unfinished_runs()}
    referenced = {key for name, key in (split_url(each.url) for each in bed.metadata.xcom_objects()) if name == bucket}
    orphans, kept, young = find_orphans(objects, referenced, unfinished, run_id)
    deleted = _delete(bed.s3, bucket, [each.key for each in orphans]) if apply else 0
    return Sweep(bucket, tuple(orphans), kept, young, deleted)


def _list(s3: Any, bucket: str, prefix: str) -> list[StoredObject]:
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=f"{prefix}/")
        return [
            stored_object(each["Key"], each["Size"], each["LastModified"], prefix)
            for page in pages
            for each in page.get("Contents", [])
        ]
    except ClientError as error:
        if error.response["Error"]["Code"] == "NoSuchBucket":
            return []
        raise Unavailable(f"cannot list bucket {bucket}: {error}; see: airbed logs s3") from error
    except BotoCoreError as error:
        raise Unavailable(f"cannot list bucket {bucket}: {error}; see: airbed status") from error


def _delete(s3: Any, bucket: str, keys: list[str]) -> int:
    deleted = 0
    for begin in range(0, len(keys), DELETED_AT_ONCE):
        batch = [{"Key": key} for key in keys[begin : begin + DELETED_AT_ONCE]]
        answer = s3.delete_objects(Bucket=bucket, Delete={"Objects": batch, "Quiet": True})
        errors = answer.get("Errors", [])
        if errors:
            raise Unavailable(
                f"S3 did not delete {len(errors)} object(s), such as {errors[0]['Key']}: {errors[0].get('Message')}"
            )
        deleted += len(batch)
    return deleted
