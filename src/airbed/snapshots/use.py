"""Make a bed of a snapshot: a copy of its data with a mark and ports of its own."""

from __future__ import annotations

import secrets
import time
from dataclasses import replace
from datetime import UTC, datetime

from airbed.bed import Bed
from airbed.disk import ensure_disk_has_room, ensure_writable
from airbed.endpoints import Endpoints
from airbed.errors import AirbedError, UsageError
from airbed.lifecycle import Came, Progress, bring_up, lay_out
from airbed.locks import locked
from airbed.records import from_json
from airbed.removal import remove, remove_half_made
from airbed.request import Request
from airbed.settings import Settings
from airbed.snapshots import contents
from airbed.snapshots.copying import copy_tree
from airbed.snapshots.pace import counting
from airbed.snapshots.state import ensure_usable
from airbed.snapshots.store import Snapshot, Store
from airbed.spec import BedFiles
from airbed.substrates.registry import EMBEDDED, beds_on
from airbed.substrates.shared import prepare_roots


def use(settings: Settings, snapshot: str, name: str, progress: Progress, *, anew: bool = False) -> tuple[Bed, Came]:
    """Make the bed `name` of a snapshot and bring it up; the bed that was saved, and others of it, may be up beside it.

    `anew` takes down a bed of that name first. Raises UsageError, before anything is started or deleted, for a snapshot
    that is not there or does not fit, or a bed that exists; Unavailable when a part does not start.
    """
    start = time.monotonic()
    files, store = BedFiles(settings, name), Store(settings)
    ensure_usable(settings, store, found := store.read(snapshot))
    for folder in (settings.state, settings.cache):
        ensure_writable(folder)
    ensure_disk_has_room(settings, found.bytes)
    prepare_roots(settings)
    beds_on(EMBEDDED).prepare(settings, Request(name=name, project=found.bed.project), progress)
    with locked(files, progress):
        _ensure_is_free(files, snapshot, progress, anew=anew)
        with store.held(snapshot, progress):
            # It may have been replaced while this command waited.
            ensure_usable(settings, store, found := store.read(snapshot))
            if files.exists():
                progress(f"taking bed '{name}' down")
                remove(files, progress)
            progress(f"making bed '{name}' of snapshot '{snapshot}' (bed '{found.bed.name}', {found.made})")
            try:
                _lay_down(settings, store, found, files, progress)
            except AirbedError:
                # Half a copy is of no use to anybody, and the disk may be full of it.
                remove(files, progress)
                raise
        came = Came("restored", 0, bring_up(settings, files, progress))
    came.seconds = time.monotonic() - start
    return Bed(settings, files), came


def _ensure_is_free(files: BedFiles, snapshot: str, progress: Progress, *, anew: bool) -> None:
    """Nothing of that name, or only what a killed command left, or a bed that is to be replaced."""
    if anew and files.exists():
        return
    remove_half_made(files, progress)
    if files.exists():
        raise UsageError(
            f"bed '{files.name}' exists: give the new one another --name, or replace it:"
            f" airbed snapshot use {snapshot} --name {files.name} --replace"
        )


def _lay_down(settings: Settings, store: Store, snapshot: Snapshot, files: BedFiles, progress: Progress) -> None:
    """Everything of the bed before its first process; until it was up it counts as half made."""
    beds, data = beds_on(EMBEDDED), store.data_of(snapshot)
    spec = replace(
        snapshot.bed,
        name=files.name,
        mark=secrets.token_hex(8),
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        state="creating",
    )
    lay_out(beds, settings, files, spec)
    told = counting("copying", snapshot.bytes, progress)
    copy_tree(data, files.folder, contents.belongs_to_new_bed, told)
    saved = from_json(Endpoints, (data / contents.ENDPOINTS).read_bytes())
    files.write_endpoints(contents.with_credentials_of(saved, beds.make_endpoints(spec, files)))
