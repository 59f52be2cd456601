"""Which snapshots there are, and which of them can be used."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from airbed.errors import AirbedError, Unavailable, UsageError
from airbed.settings import Settings
from airbed.snapshots.fingerprint import Difference, differences, fingerprint
from airbed.snapshots.store import Snapshot, Store
from airbed.spec import BedSpec


@dataclass(frozen=True)
class Row:
    """A snapshot in a list: `made` (ISO 8601) and `bed` are empty when it cannot be read.

    `bytes` is its size; `why` says what is wrong with one that is not `usable`.
    """

    name: str
    made: str
    bed: str
    bytes: int
    usable: bool
    why: str


def rows(settings: Settings) -> list[Row]:
    """Every snapshot, by name, with whether it can be used today."""
    store = Store(settings)
    return [_row(settings, store, name) for name in store.names()]


def _row(settings: Settings, store: Store, name: str) -> Row:
    try:
        found = store.read(name)
    except AirbedError as error:
        return Row(name, "", "", 0, False, str(error))
    why = "; ".join(map(str, stale(settings, found))) or missing(found.bed)
    return Row(name, found.made, found.bed.name, found.bytes, not why, why)


def stale(settings: Settings, snapshot: Snapshot) -> list[Difference]:
    """What is not as it was when the snapshot was made; nothing when it fits."""
    return differences(snapshot.fingerprint, fingerprint(settings, snapshot.bed))


def missing(spec: BedSpec) -> str:
    """The user's folder or file that a bed's options name and that is gone, in words; empty when all is there."""
    named = [("--dags", each) for each in spec.dags]
    named += [("--project", spec.project)] if spec.project else []
    for option, folder in named:
        if not Path(folder).is_dir():
            return f"its {option} {folder} is no folder any more"
    if spec.env_file and not Path(spec.env_file).is_file():
        return f"its --env-file {spec.env_file} is no file any more"
    return ""


def ensure_usable(settings: Settings, store: Store, snapshot: Snapshot) -> None:
    """Raise UsageError for a stale snapshot, or one whose DAG folders are gone; Unavailable when data was deleted."""
    if found := stale(settings, snapshot):
        raise UsageError(
            f"snapshot '{snapshot.name}' is stale: {'; '.join(map(str, found))}; make it anew from a bed of today:"
            f" airbed snapshot save {snapshot.name} --replace, or delete it: airbed snapshot rm {snapshot.name}"
        )
    if gone := missing(snapshot.bed):
        raise UsageError(
            f"snapshot '{snapshot.name}' cannot be used: {gone}; put it back, or delete the snapshot:"
            f" airbed snapshot rm {snapshot.name}"
        )
    if not store.data_of(snapshot).is_dir():
        raise Unavailable(
            f"snapshot '{snapshot.name}' cannot be used: {store.data_of(snapshot)} is gone; delete it:"
            f" airbed snapshot rm {snapshot.name}"
        )
