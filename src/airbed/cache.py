"""What all beds of a user share on disk, and how to get rid of it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from airbed.disk import delete_folder
from airbed.errors import Unavailable, UsageError
from airbed.settings import Settings
from airbed.spec import BedFiles, bed_names
from airbed.substrates.embedded import processes

KINDS = {
    "templates": "Postgres data folders that beds are copied from; made anew in 10 s",
    "kubernetes": "built Kubernetes tools and Go; built anew in minutes",
    "toxiproxy": "built Toxiproxy; built anew in a minute",
    "overlays": "requirements of projects; installed anew when asked for",
    "postgres": "Postgres' programs, as root only; copied anew in 1 s",
    "engine": "the Docker engine of `make engine` with its images; made anew in a minute, without the images",
    "images": "stand-ins for images that cannot be pulled, saved; built anew in minutes",
}


@dataclass(frozen=True)
class Kind:
    """One folder of the cache: its size in bytes on disk, and how many entries it has."""

    name: str
    bytes: int
    entries: int
    what: str


def kinds(settings: Settings) -> list[Kind]:
    """The kinds of things in the cache, those that are empty too; whatever else lies in its folder is not airbed's."""
    return [_kind(settings, name) for name in KINDS]


def _kind(settings: Settings, name: str) -> Kind:
    folder = settings.cache / name
    entries = [each for each in folder.iterdir() if not each.name.startswith(".")] if folder.is_dir() else []
    return Kind(name, _size(folder), len(entries), KINDS[name])


def _size(folder: Path) -> int:
    """What it takes on its own disk: not what containers that run have mounted there."""
    total = 0
    for root, folders, files in os.walk(folder):
        device = os.lstat(root).st_dev
        for name in (*folders, *files):
            try:
                info = (Path(root) / name).lstat()
            except OSError:
                continue
            if info.st_dev == device:
                total += info.st_blocks * 512
            elif name in folders:
                folders.remove(name)
    return total


def remove(settings: Settings, only: str | None = None) -> list[Kind]:
    """Delete the cache, or one kind of it; returns what was there.

    Raises UsageError for an unknown kind, Unavailable while a bed exists that is up (its processes use the cache), or
    while the engine of `make engine` runs and is to be deleted.
    """
    there = kinds(settings)
    if only is not None and only not in {each.name for each in there}:
        raise UsageError(f"the cache has no '{only}'; it has: {', '.join(each.name for each in there)}")
    # Of a bed that is noted as stopped, an interrupted start may have left processes.
    living = processes.marks_by_folder()
    beds = [BedFiles(settings, name) for name in bed_names(settings)]
    using = [bed.name for bed in beds if bed.read_spec().state != "stopped" or str(bed.folder) in living]
    if using:
        raise Unavailable(
            f"the cache {settings.cache} is in use by {', '.join(using)}: take the beds down first (airbed down --all)"
        )
    gone = [each for each in there if only in (None, each.name)]
    if any(each.name == "engine" for each in gone) and (settings.cache / "engine/pid").exists():
        raise Unavailable(f"a Docker engine runs from {settings.cache / 'engine'}: end it first (make engine-down)")
    for each in gone:
        delete_folder(settings.cache / each.name)
    return gone
