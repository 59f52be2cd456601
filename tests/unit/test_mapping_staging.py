"""A file's way from S3 to S3: sizes are checked, output is the same bytes for the same input."""

from __future__ import annotations

import errno
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from airflow.sdk.exceptions import AirflowFailException

import heavy_data_mapping as heavy
import s3_daily_processor as daily
from mapping.staging import IncompleteTransfer, download, private_folder, upload
from mapping.stored import require_object_storage

STAMP = datetime(2026, 1, 6, tzinfo=UTC)


class FakeS3:
    """Objects in a dict; `lose` bytes are cut from every upload."""

    def __init__(self, lose: int = 0) -> None:
        self.objects: dict[str, bytes] = {}
        self.lose = lose

    def download_file(self, bucket: str, key: str, target: str) -> None:
        Path(target).write_bytes(self.objects[f"{bucket}/{key}"])

    def upload_file(self, source: str, bucket: str, key: str) -> None:
        body = Path(source).read_bytes()
        self.objects[f"{bucket}/{key}"] = body[: len(body) - self.lose]

    def head_object(self, *, Bucket: str, Key: str) -> dict[str, Any]:
        return {"ContentLength": len(self.objects[f"{Bucket}/{Key}"])}

    def delete_object(self, *, Bucket: str, Key: str) -> None:
        del self.objects[f"{Bucket}/{Key}"]


def test_a_body_of_another_size_than_listed_is_refused(tmp_path: Path) -> None:
    s3 = FakeS3()
    s3.objects["b/k"] = b"12345"
    assert download(s3, "b", "k", tmp_path / "f", expected_size=5).read_bytes() == b"12345"
    with pytest.raises(IncompleteTransfer, match=r"s3://b/k: 5 bytes arrived, 6 were listed"):
        download(s3, "b", "k", tmp_path / "f", expected_size=6)


def test_a_cut_upload_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"12345")
    s3 = FakeS3(lose=2)
    with pytest.raises(IncompleteTransfer, match="3 bytes are stored, 5 were sent"):
        upload(s3, tmp_path / "f", "b", "k")
    assert s3.objects == {}
    s3.lose = 0
    assert upload(s3, tmp_path / "f", "b", "k") == "s3://b/k"


def test_private_folders_differ_and_vanish() -> None:
    with private_folder() as one, private_folder() as other:
        (one / "f").write_bytes(b"x")
        assert one != other
    assert not one.exists()


def orders(path: Path, customers: list[int | None]) -> Path:
    pq.write_table(pa.table({"order_id": list(range(len(customers))), "customer_id": pa.array(customers)}), path)
    return path


def test_clean_drops_null_customers_and_counts_rows(tmp_path: Path) -> None:
    source = orders(tmp_path / "in", [1, None, 3, None, 5])
    counts = daily.clean(source, tmp_path / "out", processed_at=STAMP)
    assert counts == {"rows_processed": 3, "rows_dropped": 2}
    rows = pq.read_table(tmp_path / "out").to_pylist()
    assert rows[0] == {"order_id": 0, "customer_id": 1, "processed_at": STAMP}
    assert [row["order_id"] for row in rows] == [0, 2, 4]


def test_clean_gives_the_same_bytes_again(tmp_path: Path) -> None:
    source = orders(tmp_path / "in", [1, None, 3])
    for name in ("one", "two"):
        daily.clean(source, tmp_path / name, processed_at=STAMP)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_all_rows_dropped_is_still_a_file(tmp_path: Path) -> None:
    source = tmp_path / "in"
    pq.write_table(pa.table({"customer_id": pa.array([None, None], pa.int64())}), source)
    assert daily.clean(source, tmp_path / "out", processed_at=STAMP) == {"rows_processed": 0, "rows_dropped": 2}
    assert pq.read_table(tmp_path / "out").num_rows == 0


@pytest.mark.parametrize("damage", ["cut", "empty", "text", "pages", "no customer_id"])
def test_a_bad_file_is_unreadable(tmp_path: Path, damage: str) -> None:
    source = orders(tmp_path / "in", list(range(1000)))
    body = source.read_bytes()
    if damage == "cut":
        source.write_bytes(body[: len(body) // 2])
    elif damage == "empty":
        source.write_bytes(b"")
    elif damage == "text":
        source.write_bytes(b"order_id,customer_id\n1,2\n")
    elif damage == "pages":
        source.write_bytes(body[:4] + b"\xff" * 2000 + body[2004:])
    else:
        pq.write_table(pa.table({"order_id": [1]}), source)
    with pytest.raises(daily.Unreadable):
        daily.clean(source, tmp_path / "out", processed_at=STAMP)


@pytest.mark.parametrize(
    "trouble",
    [
        pa.ArrowMemoryError("malloc of size 64 failed"),
        pa.ArrowException("Unknown error: Failed to launch worker thread: Resource temporarily unavailable"),
        pa.ArrowCancelled("Operation cancelled"),
        MemoryError(),
        OSError(errno.EMFILE, "Too many open files"),
        OSError(errno.EIO, "Input/output error"),
    ],
    ids=repr,
)
def test_trouble_of_the_machine_is_not_the_file_s(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trouble: Exception
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise trouble

    source = orders(tmp_path / "in", [1])
    monkeypatch.setattr(pq, "ParquetFile", fail)
    with pytest.raises(type(trouble)) as raised:
        daily.clean(source, tmp_path / "out", processed_at=STAMP)
    assert raised.value is trouble


def test_pyarrow_s_errors_of_the_machine_carry_its_number(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        daily.clean(tmp_path / "nowhere", tmp_path / "out", processed_at=STAMP)


def test_segment_data_is_deterministic_and_of_the_asked_length() -> None:
    assert len(heavy.make_data("segment_A", 1001)) == 1001
    assert heavy.make_data("segment_A", 500) == heavy.make_data("segment_A", 500)
    assert heavy.make_data("segment_A", 500) != heavy.make_data("segment_B", 500)


def test_large_values_need_the_object_storage_backend(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(AirflowFailException, match=r"\[core\] xcom_backend"):
        require_object_storage()
    backend = "airflow.providers.common.io.xcom.backend.XComObjectStorageBackend"
    monkeypatch.setenv("AIRFLOW__CORE__XCOM_BACKEND", backend)
    monkeypatch.setenv("AIRFLOW__COMMON_IO__XCOM_OBJECTSTORAGE_THRESHOLD", "-1")
    with pytest.raises(AirflowFailException, match="threshold is -1"):
        require_object_storage()
    monkeypatch.setenv("AIRFLOW__COMMON_IO__XCOM_OBJECTSTORAGE_THRESHOLD", "4096")
    require_object_storage()
