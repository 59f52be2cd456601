"""Delete snapshots."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from airbed.errors import UsageError
from airbed.lifecycle import Progress
from airbed.settings import Settings
from airbed.snapshots.store import Store, ensure_snapshot_name_is_valid


@dataclass(frozen=True)
class Removed:
    """A snapshot that was deleted: its folder, and how many bytes its files had on the disk."""

    name: str
    folder: str
    bytes: int


def remove(settings: Settings, names: Sequence[str], progress: Progress) -> list[Removed]:
    """Delete these snapshots, and what killed commands left of any; those that cannot be read too.

    Raises UsageError when one of them does not exist, before any is deleted.
    """
    store = Store(settings)
    there = store.names()
    for name in names:
        if ensure_snapshot_name_is_valid(name) not in there:
            raise UsageError(
                f"no snapshot '{name}': looked in {store.folder}, which has: {', '.join(there) or 'none'};"
                " nothing was deleted"
            )
    gone = []
    for name in dict.fromkeys(names):
        with store.held(name, progress):
            gone.append(Removed(name, str(store.folder / name), store.remove(name)))
    if left := store.clean_all():
        progress(f"deleted {left / 1e6:.1f} MB that killed commands had left")
    return gone
