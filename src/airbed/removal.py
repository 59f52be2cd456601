"""Take a bed down, whatever became of it, and look again that nothing is left."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from airbed.disk import delete_folder
from airbed.errors import Unavailable
from airbed.locks import locked
from airbed.settings import Settings
from airbed.spec import NAME, BedFiles
from airbed.substrates.base import Removed
from airbed.substrates.registry import all_beds, beds_on

Progress = Callable[[str], None]


@dataclass(frozen=True)
class Gone:
    """What `down` ended and deleted, proven by looking again.

    `ports` are free; those in `taken` are held by a program that is not of the bed.
    """

    name: str
    processes: int
    ports: int
    taken: list[int]
    folder: str
    seconds: float


def down(settings: Settings, name: str, progress: Progress) -> Gone:
    """End every process of a bed, delete its folder, and look again that nothing is left."""
    files = BedFiles(settings, name)
    if not files.folder.exists() and not _marks(files):
        files.read_spec()
    start = time.monotonic()
    with locked(files, progress):
        gone = remove(files, progress)
        # Whoever waits for the lock notices that its file is another one now.
        files.lock.unlink(missing_ok=True)
    return Gone(name, gone.ended, gone.free, gone.taken, str(files.folder), time.monotonic() - start)


def every_name(settings: Settings) -> list[str]:
    """All that `down` can take down: beds, half-made ones, and those whose folder is gone while processes live."""
    found = settings.beds.iterdir() if settings.beds.is_dir() else ()
    # Somebody may have put a folder aside there, under a name that no bed can have.
    folders = [each.name for each in found if each.is_dir() and NAME.fullmatch(each.name)]
    return sorted({*folders, *(name for kind in all_beds() for name in kind.strays(settings))})


def _marks(files: BedFiles) -> set[str]:
    """The marks of what lives and belongs to a bed's folder, whatever became of the folder."""
    return {mark for kind in all_beds() for mark in kind.marks_of(files)}


def remove(files: BedFiles, progress: Progress) -> Removed:
    """End and delete; a bed of which nothing tells what it was on is looked for everywhere."""
    ports: dict[str, int] = {}
    own: set[str] = set()
    kinds = list(all_beds())
    try:
        spec = files.read_spec()
        own, ports, kinds = {spec.mark}, spec.ports, [beds_on(spec.substrate)]
    except Unavailable as error:
        if files.exists():
            progress(f"{error}: its processes are found by their folder")
    gone = [kind.remove(files, own | kind.marks_of(files), ports, progress) for kind in kinds]
    # First what makes it a bed: a deletion that is interrupted leaves no bed with half of its data.
    files.spec.unlink(missing_ok=True)
    delete_folder(files.folder)
    return Removed(sum(each.ended for each in gone), gone[0].free, gone[0].taken)


def remove_half_made(files: BedFiles, progress: Progress) -> None:
    """Remove what a killed `up` or `snapshot use` left of a bed, or a killed `down`; a finished bed is left alone.

    Raises Unavailable when the bed's spec cannot be read.
    """
    if not files.exists():
        if files.folder.exists() or _marks(files):
            progress(f"removing what is left of an earlier bed '{files.name}'")
            remove(files, progress)
    elif files.read_spec().state == "creating":
        progress(f"an earlier start of bed '{files.name}' was interrupted: removing what it left")
        remove(files, progress)
