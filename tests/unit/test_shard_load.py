"""Pattern 2's way of handing the key for e-mails to a shard: with the connection, in no statement."""

from __future__ import annotations

import hashlib
import hmac
import re
from datetime import date
from typing import Any

import pytest

import parallel_shard_processor as shards

KEY = "k" * 40


class Session:
    """A connection, its cursor and its COPY: notes how it was opened and every statement with its parameters."""

    rowcount = 1

    def __init__(self, options: str) -> None:
        self.options = options
        self.statements: list[str] = []

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def __iter__(self) -> Any:
        return iter([b"a row"])

    def cursor(self) -> Session:
        return self

    def execute(self, *words: object) -> Session:
        self.statements.append(repr(words))
        return self

    copy = execute

    def fetchone(self) -> tuple[int]:
        return (1,)

    def write(self, rows: bytes) -> None:
        pass


@pytest.mark.parametrize("key", [KEY, "longer than a block of SHA-256 " * 4, "schlüssel" * 5])
def test_the_pads_make_the_hmac_of_the_key(key: str) -> None:
    pads = re.findall(r"-c etl\.\w+_pad=([0-9a-f]{128})", shards.key_options(key))
    inner, outer = (bytes.fromhex(each) for each in pads)
    made = hashlib.sha256(outer + hashlib.sha256(inner + b"a@example.com").digest()).hexdigest()
    assert made == hmac.new(key.encode(), b"a@example.com", hashlib.sha256).hexdigest()


def test_the_key_comes_with_the_shard_s_connection_and_in_no_statement(monkeypatch: pytest.MonkeyPatch) -> None:
    from airflow.providers.postgres.hooks import postgres

    opened: dict[str, Session] = {}

    class Hook:
        def __init__(self, conn_id: str, options: str) -> None:
            opened[conn_id] = self.session = Session(options)

        def get_conn(self) -> Session:
            return self.session

    monkeypatch.setattr(postgres, "PostgresHook", Hook)
    monkeypatch.setattr(shards, "email_hash_key", lambda: KEY)
    assert shards.copy_day(0, "shard_0_db", "users_0_to_1M", "warehouse_events", date(2026, 1, 5), 10) == (1, 1)
    pads = re.findall(r"[0-9a-f]{128}", shards.key_options(KEY))
    shard, warehouse = opened["shard_0_db"], opened["warehouse"]
    assert all(pad in shard.options for pad in pads)
    assert not [pad for pad in pads if pad in warehouse.options]
    assert "search_path=users_0_to_1M" in shard.options
    said = "".join(shard.statements + warehouse.statements)
    assert "COPY" in said
    assert not [pad for pad in pads if pad in said]
