"""What a case is given, and what is undone of it when it cannot be given whole."""

from __future__ import annotations

import json
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest
from botocore.exceptions import ClientError

from airbed.errors import Unavailable
from airbed.faults.plane import FaultPlane
from airbed.incidents import prepare
from airbed.incidents.journal import Journal
from airbed.incidents.schema import Given

SQL = [
    {"database": "warehouse", "statement": "CREATE TABLE a ()", "undo": "DROP TABLE a"},
    {"database": "warehouse", "statement": "CREATE TABLE b ()", "undo": "DROP TABLE b"},
]


class Bed:
    """A bed with a database that keeps tables; `refused` is a statement that it refuses, `down` refuses all."""

    def __init__(self, folder: Path) -> None:
        self.name = "unit"
        self.folder = folder
        self.spec = SimpleNamespace(substrate="embedded")
        self.files = SimpleNamespace(armed=folder / "armed")
        self.airflow = SimpleNamespace(pools=lambda: {})
        self.director = SimpleNamespace(gates=lambda: [])
        self.s3 = SimpleNamespace(put_object=self.put_object)
        self.tables: set[str] = set()
        self.refused: str | None = None
        self.down = False
        self.written: list[Any] = []

    @contextmanager
    def database(self, service: str) -> Any:
        if self.down:
            raise psycopg.OperationalError("connection refused")
        yield SimpleNamespace(execute=self.execute)

    def execute(self, query: bytes) -> None:
        self.written.append(json.loads((self.folder / "faults.json").read_text())["entries"][0]["plan"].get("sql"))
        statement = query.decode()
        if statement == self.refused:
            raise psycopg.errors.InsufficientPrivilege("permission denied")
        what, _, table, *_ = statement.split()
        if what == "DROP" and table not in self.tables:
            raise psycopg.errors.UndefinedTable(f'table "{table}" does not exist')
        (self.tables.add if what == "CREATE" else self.tables.remove)(table)

    def put_object(self, **options: Any) -> None:
        raise ClientError({"Error": {"Code": "NoSuchBucket", "Message": "no such bucket"}}, "PutObject")


@pytest.fixture
def bed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bed:
    monkeypatch.setattr(prepare, "reset", lambda bed: {})
    return Bed(tmp_path)


def give(bed: Any, **given: Any) -> None:
    prepare.prepare(bed, Given.model_validate(given), bed.folder, "s/c", Journal(None, lambda line: None))


def test_all_statements_run_and_the_end_undoes_them(bed: Any) -> None:
    give(bed, sql=SQL)
    assert bed.tables == {"a", "b"}
    assert bed.written == [{"begun": 1, "done": 0}, {"begun": 2, "done": 1}], "on the disk before each begins"
    FaultPlane(bed, "s/c").clear("s/c")
    assert bed.tables == set()


def test_a_statement_that_is_refused_leaves_nothing_of_those_before_it(bed: Any) -> None:
    bed.refused = "CREATE TABLE b ()"
    with pytest.raises(Unavailable, match=r"given\.sql: warehouse refuses 'CREATE TABLE b \(\)': permission denied"):
        give(bed, sql=SQL)
    assert bed.tables == set()
    assert FaultPlane(bed).active() == [] and not bed.files.armed.exists()


def test_an_undo_that_fails_is_done_again_and_the_others_are_not(bed: Any) -> None:
    give(bed, sql=SQL)
    bed.refused = "DROP TABLE a"
    with pytest.raises(Unavailable, match="permission denied"):
        FaultPlane(bed, "s/c").clear("s/c")
    assert bed.tables == {"a"}
    bed.refused = None
    FaultPlane(bed, "s/c").clear("s/c")
    assert bed.tables == set()


def test_a_database_that_is_away_keeps_the_undo(bed: Any) -> None:
    give(bed, sql=SQL)
    bed.down = True
    with pytest.raises(Unavailable, match="connection refused"):
        FaultPlane(bed, "s/c").clear("s/c")
    bed.down = False
    FaultPlane(bed, "s/c").clear("s/c")
    assert bed.tables == set()


def test_what_s3_refuses_is_told_in_one_line(bed: Any) -> None:
    with pytest.raises(Unavailable, match=r"S3 of bed 'unit': .*NoSuchBucket"):
        give(bed, objects=[{"bucket": "raw-data", "key": "a.json"}])
