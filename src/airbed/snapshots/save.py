"""Save a bed: halt it, copy its folder, start it again."""

from __future__ import annotations

import shutil
import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from airbed.bed import Bed
from airbed.errors import Unavailable, UsageError
from airbed.faults.ledger import Ledger
from airbed.faults.recovery import recover_what_can_be
from airbed.lifecycle import Progress, bring_up
from airbed.locks import locked
from airbed.settings import Settings
from airbed.snapshots import contents
from airbed.snapshots.copying import copy_tree, size_of
from airbed.snapshots.fingerprint import fingerprint
from airbed.snapshots.pace import counting
from airbed.snapshots.store import Snapshot, Store, ensure_snapshot_name_is_valid
from airbed.spec import BedFiles
from airbed.substrates.capabilities import ensure_can_be_saved
from airbed.substrates.embedded import processes

# What stays free on the disk beside the copy.
_SPARE_BYTES = 500_000_000


@dataclass(frozen=True)
class Saved:
    """A snapshot that was made, and how long that took, in seconds: the whole command, and the copying of it."""

    snapshot: Snapshot
    seconds: float
    copy_seconds: float


def save(settings: Settings, name: str, snapshot: str, progress: Progress, *, anew: bool = False) -> Saved:
    """Save the bed `name` as `snapshot`; a bed that is up is up again afterwards, a stopped one stays stopped.

    `anew` replaces a snapshot of that name. Faults are put back first, as by `stop`. A bed that this is killed over is
    stopped: `up` starts it. Raises UsageError for a name that is wrong or taken or when the disk is full, Unavailable
    for a bed that cannot be saved, or that does not come up again (the snapshot is made then).
    """
    start = time.monotonic()
    files, store = BedFiles(settings, name), Store(settings)
    ensure_snapshot_name_is_valid(snapshot)
    files.read_spec()
    if not anew:
        store.ensure_is_new(snapshot)
    with locked(files, progress):
        bed = Bed(settings, files)
        _ensure_possible(bed)
        with store.held(snapshot, progress):
            if not anew:
                # Another command may have made it while this one waited.
                store.ensure_is_new(snapshot)
            store.clean_all()
            size = _ensure_there_is_room(store, bed)
            was_up = bed.spec.state == "up"
            if was_up:
                _halt(bed, progress)
            else:
                _ensure_no_faults(bed)
            copying = time.monotonic()
            try:
                made = _copy(store, bed, snapshot, size, progress)
            except KeyboardInterrupt:
                progress(f"interrupted: bed '{name}' is stopped; start it with: airbed start --name {name}")
                raise
            except BaseException:
                if was_up:
                    bring_up(settings, files, progress)
                raise
            copied = time.monotonic() - copying
        if was_up:
            progress(f"snapshot '{snapshot}' is saved; starting bed '{name}' again")
            bring_up(settings, files, progress)
    return Saved(made, time.monotonic() - start, copied)


def _ensure_possible(bed: Bed) -> None:
    spec = bed.spec
    ensure_can_be_saved(spec.name, spec.substrate, spec.s3)
    why = ""
    if spec.state == "creating":
        why = "its first start was interrupted"
    elif spec.state == "up" and not bed.substrate.alive():
        why = "its processes are gone"
    elif spec.state == "stopped" and (left := len(processes.of_bed(spec.mark))):
        # Of a start that was killed before it could note that the bed is up: their files change while they are copied.
        why = f"its last start was interrupted, and {left} processes of it run"
    if why:
        raise Unavailable(f"bed '{spec.name}' cannot be saved: {why}; bring it up first: airbed up --name {spec.name}")


def _halt(bed: Bed, progress: Progress) -> None:
    """Put faults back, say what does not survive, and end all processes: from now on the bed is a stopped one."""
    recover_what_can_be(bed, progress)
    _ensure_no_faults(bed)
    down = [each.name for each in bed.substrate.status() if each.state != "running"]
    if down:
        progress(f"{', '.join(down)} of bed '{bed.name}' did not run, and is started with the rest")
    elif open_runs := _open_runs(bed):
        progress(f"{open_runs} runs have not ended: their running instances are killed now, and that try is lost")
    progress(f"halting bed '{bed.name}'")
    bed.substrate.halt()
    bed.spec.state = "stopped"
    bed.files.write_spec(bed.spec)


def _ensure_no_faults(bed: Bed) -> None:
    """A snapshot has no ledger: what a fault did would stay in every bed that is made of it."""
    if left := [each.id for each in Ledger(bed.folder).entries()]:
        raise Unavailable(
            f"bed '{bed.name}' cannot be saved while faults are in force that another command holds, or that cannot be"
            f" put back ({', '.join(left)}); wait for that command's end, or: airbed fault clear --name {bed.name}"
        )


def _open_runs(bed: Bed) -> int:
    with bed.database("metadata") as connection:
        row: Any = connection.execute("SELECT count(*) FROM dag_run WHERE state IN ('queued', 'running')").fetchone()
    return int(row[0])


def _ensure_there_is_room(store: Store, bed: Bed) -> int:
    """Return the size of the copy, in bytes; raise UsageError, with the bed still up, when the disk is too full."""
    size = size_of(bed.folder, contents.belongs)
    free = shutil.disk_usage(store.folder).free
    if free < size + _SPARE_BYTES:
        raise UsageError(
            f"the disk of {store.folder} has {free / 1e9:.1f} GB free, and the snapshot needs"
            f" {(size + _SPARE_BYTES) / 1e9:.1f} GB; make room, such as with: airbed snapshot rm"
        )
    return size


def _copy(store: Store, bed: Bed, name: str, size: int, progress: Progress) -> Snapshot:
    data = store.new_data(name)
    try:
        written = copy_tree(bed.folder, data, contents.belongs, counting(f"copying bed '{bed.name}'", size, progress))
        snapshot = Snapshot(
            name=name,
            made=datetime.now(UTC).isoformat(timespec="seconds"),
            bed=replace(bed.spec, ports={}),
            bytes=written,
            data=data.name,
            fingerprint=fingerprint(bed.settings, bed.spec),
        )
        store.publish(snapshot)
    except BaseException:
        store.clean(name)
        raise
    return snapshot
