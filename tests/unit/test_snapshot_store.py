"""Snapshots on the disk: whole or not there, whatever kills the command that makes or deletes one."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from pathlib import Path

import pytest

from airbed.errors import Unavailable, UsageError
from airbed.settings import Settings
from airbed.snapshots import store as module
from airbed.snapshots.fingerprint import fingerprint
from airbed.snapshots.removal import remove
from airbed.snapshots.state import rows
from airbed.snapshots.store import Snapshot, Store, ensure_snapshot_name_is_valid
from airbed.spec import BedSpec
from airbed.substrates.embedded import layout


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    made = Settings(state=tmp_path / "state", cache=tmp_path / "cache")
    layout.prepare_roots(made)
    return made


@pytest.fixture
def store(settings: Settings) -> Store:
    return Store(settings)


def quiet(line: str) -> None:
    pass


def snapshot(settings: Settings, store: Store, name: str, content: str) -> Snapshot:
    spec = BedSpec(name="mine")
    data = store.new_data(name)
    (data / "kept").write_text(content)
    return Snapshot(name, "2026-01-05T00:00:00+00:00", spec, len(content), data.name, fingerprint(settings, spec))


@pytest.mark.parametrize("name", ["", "-a", "a-", "A", "a b", "../a", ".a", "a" * 33, "a/b", "ä"])
def test_bad_names_are_refused(name: str) -> None:
    with pytest.raises(UsageError, match="is not a snapshot name"):
        ensure_snapshot_name_is_valid(name)


@pytest.mark.parametrize("name", ["a", "seeded-3", "0", "a" * 32])
def test_good_names(name: str) -> None:
    assert ensure_snapshot_name_is_valid(name) == name


def test_a_snapshot_exists_once_it_is_published(settings: Settings, store: Store) -> None:
    made = snapshot(settings, store, "one", "1")
    assert store.names() == []
    assert rows(settings) == []
    with pytest.raises(UsageError, match=r"no snapshot 'one'.*has: none"):
        store.read("one")
    store.publish(made)
    assert store.names() == ["one"]
    assert store.read("one") == made
    assert (store.data_of(made) / "kept").read_text() == "1"
    assert store.folder.stat().st_mode & 0o077 == 0, "it has passwords"
    with pytest.raises(UsageError, match="--replace"):
        store.ensure_is_new("one")


def test_a_replaced_one_goes_as_a_whole(settings: Settings, store: Store) -> None:
    store.publish(old := snapshot(settings, store, "one", "old"))
    made = snapshot(settings, store, "one", "new")
    assert (store.data_of(store.read("one")) / "kept").read_text() == "old"
    store.publish(made)
    assert (store.data_of(store.read("one")) / "kept").read_text() == "new"
    assert not store.data_of(old).exists()


def test_what_a_killed_save_left_is_no_snapshot_and_is_cleaned(settings: Settings, store: Store) -> None:
    store.publish(kept := snapshot(settings, store, "kept", "1"))
    snapshot(settings, store, "kept", "half of its successor")
    half = snapshot(settings, store, "half", "2")
    assert store.names() == ["kept"]
    assert store.clean_all() > 0
    assert sorted(each.name for each in store.folder.iterdir() if not each.name.startswith(".")) == ["kept"]
    assert not store.data_of(half).exists()
    assert (store.data_of(kept) / "kept").read_text() == "1"


def test_what_a_living_save_writes_is_not_cleaned(settings: Settings, store: Store) -> None:
    written, cleaned = threading.Event(), threading.Event()

    def write() -> None:
        with store.held("half", quiet):
            snapshot(settings, store, "half", "2")
            written.set()
            cleaned.wait(10)

    writer = threading.Thread(target=write)
    writer.start()
    assert written.wait(10)
    assert Store(settings).clean_all() == 0
    cleaned.set()
    writer.join()
    assert Store(settings).clean_all() > 0


def _die_while_publishing(store: Store, made: Snapshot) -> None:
    module.write_private = lambda path, text: os.kill(os.getpid(), signal.SIGKILL)
    store.publish(made)


def test_a_save_that_is_killed_at_the_last_moment_leaves_the_old_one(settings: Settings, store: Store) -> None:
    store.publish(snapshot(settings, store, "one", "old"))
    made = snapshot(settings, store, "one", "new")
    child = multiprocessing.get_context("fork").Process(target=_die_while_publishing, args=(store, made))
    child.start()
    child.join(30)
    assert child.exitcode == -signal.SIGKILL
    assert (store.data_of(store.read("one")) / "kept").read_text() == "old"
    assert store.clean_all() > 0
    assert not store.data_of(made).exists()


@pytest.mark.parametrize("text", ["", "{", '{"name": "one"}', "\x00"])
def test_an_unreadable_one_is_listed_refused_and_can_be_deleted(settings: Settings, store: Store, text: str) -> None:
    store.publish(made := snapshot(settings, store, "one", "1"))
    (store.folder / "one/snapshot.json").write_text(text)
    with pytest.raises(Unavailable, match="airbed snapshot rm one"):
        store.read("one")
    (row,) = rows(settings)
    assert not row.usable
    assert "not readable" in row.why
    assert store.clean_all() == 0
    assert store.data_of(made).exists(), "nobody knows what of it is needed"
    assert [each.name for each in remove(settings, ["one"], quiet)] == ["one"]
    assert store.names() == []


def test_rm_deletes_all_or_none(settings: Settings, store: Store) -> None:
    for name in ("one", "two"):
        store.publish(snapshot(settings, store, name, name))
    with pytest.raises(UsageError, match=r"no snapshot 'three'.*has: one, two; nothing was deleted"):
        remove(settings, ["one", "three"], quiet)
    assert store.names() == ["one", "two"]
    gone = remove(settings, ["two", "one", "two"], quiet)
    assert [each.name for each in gone] == ["two", "one"]
    assert all(each.bytes > 0 and not Path(each.folder).exists() for each in gone)
    assert list(store.folder.iterdir()) == []
