"""The folder of snapshots: `<state>/snapshots/<name>` has `snapshot.json` and the folder with the data that it names.

A snapshot exists when its `snapshot.json` does, which is written last and deleted first, in one step each. What a
killed command leaves is a folder that no `snapshot.json` names: nobody lists or uses it, and the next save or removal
deletes it. Who reads or writes a snapshot holds its lock, which the kernel frees when the holder dies.
"""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from airbed.errors import Unavailable, UsageError
from airbed.records import from_json, to_json
from airbed.settings import Settings
from airbed.snapshots.fingerprint import Fingerprint
from airbed.spec import NAME, BedSpec, write_private

Progress = Callable[[str], None]
_PATIENCE_SECONDS = 600


@dataclass
class Snapshot:
    """One snapshot: when it was made (ISO 8601, UTC), of which bed, its size in bytes, the folder with its data."""

    name: str
    made: str
    bed: BedSpec
    bytes: int
    data: str
    fingerprint: Fingerprint


def ensure_snapshot_name_is_valid(name: str) -> str:
    """Return the name, or raise UsageError."""
    if not NAME.fullmatch(name):
        raise UsageError(
            f"'{name}' is not a snapshot name: use 1 to 32 lower-case letters, digits, hyphens, such as 'seeded-3'"
        )
    return name


class Store:
    """The snapshots of one user on one machine."""

    def __init__(self, settings: Settings) -> None:
        self.folder = settings.snapshots

    def names(self) -> list[str]:
        """All snapshots, sorted; those that cannot be read too."""
        if not self.folder.is_dir():
            return []
        return sorted(
            each.name for each in self.folder.iterdir() if NAME.fullmatch(each.name) and _record(each).is_file()
        )

    def read(self, name: str) -> Snapshot:
        """The snapshot of that name. Raises UsageError when there is none, Unavailable when it cannot be read."""
        record = _record(self.folder / ensure_snapshot_name_is_valid(name))
        try:
            return from_json(Snapshot, record.read_bytes())
        except FileNotFoundError:
            there = ", ".join(self.names()) or "none"
            raise UsageError(
                f"no snapshot '{name}': looked in {self.folder}, which has: {there};"
                f" make one with: airbed snapshot save {name}"
            ) from None
        except ValueError:
            raise Unavailable(
                f"snapshot '{name}' cannot be used: {record} is not readable; delete it: airbed snapshot rm {name}"
            ) from None

    def ensure_is_new(self, name: str) -> None:
        """Raise UsageError when there is such a snapshot already."""
        if name in self.names():
            raise UsageError(
                f"snapshot '{name}' exists in {self.folder / name}; give another name, or --replace to have it anew"
            )

    def data_of(self, snapshot: Snapshot) -> Path:
        """The folder with a snapshot's data."""
        return self.folder / snapshot.name / snapshot.data

    def new_data(self, name: str) -> Path:
        """A new folder for data of a snapshot, whose lock the caller holds; nobody uses it until `publish`."""
        self._make()
        folder = self.folder / name / secrets.token_hex(4)
        for each in (folder.parent, folder):
            each.mkdir(mode=0o700, exist_ok=True)
        return folder

    def publish(self, snapshot: Snapshot) -> None:
        """Make a snapshot of the data that it names, in one step; another one of its name is replaced and deleted."""
        write_private(_record(self.folder / snapshot.name), to_json(snapshot))
        self.clean(snapshot.name)

    def remove(self, name: str) -> int:
        """Delete a snapshot, whose lock the caller holds; returns the bytes of the files that went."""
        folder = self.folder / name
        # First what makes it a snapshot: a deletion that is interrupted leaves none with half of its data.
        _record(folder).unlink(missing_ok=True)
        return _delete(folder)

    def clean(self, name: str) -> int:
        """Delete what no `snapshot.json` names in a snapshot's folder, whose lock the caller holds; returns bytes."""
        folder = self.folder / name
        if not _record(folder).is_file():
            return _delete(folder)
        try:
            kept = {_record(folder), folder / self.read(name).data}
        except Unavailable:
            return 0
        return sum(_delete(each) for each in folder.iterdir() if each not in kept)

    def clean_all(self) -> int:
        """Delete what killed commands left of any snapshot, but where a living one is at work; returns bytes."""
        total = 0
        for folder in sorted(self.folder.iterdir()) if self.folder.is_dir() else []:
            if not NAME.fullmatch(folder.name):
                continue
            lock = self._lock(folder.name)
            try:
                lock.acquire(timeout=0)
            except Timeout:
                continue
            try:
                total += self.clean(folder.name)
            finally:
                self._let_go(folder.name, lock)
        return total

    @contextmanager
    def held(self, name: str, progress: Progress) -> Iterator[None]:
        """One command at a time reads or writes a snapshot; another one waits and says so.

        Raises Unavailable after ten minutes.
        """
        self._make()
        lock = self._lock(name)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            progress(f"another airbed command is working on snapshot '{name}': waiting for it")
            try:
                lock.acquire(timeout=_PATIENCE_SECONDS)
            except Timeout:
                raise Unavailable(
                    f"another airbed command holds snapshot '{name}' for ten minutes (lock {lock.lock_file});"
                    " find it with: ps"
                ) from None
        try:
            yield
        finally:
            self._let_go(name, lock)

    def _let_go(self, name: str, lock: FileLock) -> None:
        """Release a lock, whose file goes with the snapshot; whoever waits for it notices that it is another one."""
        if not (self.folder / name).exists():
            Path(lock.lock_file).unlink(missing_ok=True)
        lock.release()

    def _make(self) -> None:
        """The folder itself, closed to others: snapshots have the beds' passwords."""
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)

    def _lock(self, name: str) -> FileLock:
        return FileLock(self.folder / f".{name}.lock", mode=0o600)


def _record(folder: Path) -> Path:
    return folder / "snapshot.json"


def _delete(path: Path) -> int:
    """Delete a file or a folder with all that is in it; returns the bytes of its files."""
    if not path.is_dir():
        size = path.lstat().st_size if path.exists() else 0
        path.unlink(missing_ok=True)
        return size
    size = sum(each.lstat().st_blocks * 512 for each in path.rglob("*") if not each.is_dir())
    shutil.rmtree(path)
    return size
