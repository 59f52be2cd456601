"""Whether a folder is this user's to write, has room, and how it is deleted for good."""

from __future__ import annotations

import os
import shutil
import stat
from pathlib import Path

from airbed.errors import Unavailable, UsageError
from airbed.settings import Settings

LEAST_FREE_BYTES = 2_000_000_000


def ensure_disk_has_room(settings: Settings, more: int = 0) -> None:
    """Raise UsageError when the state folder's disk has no room for a bed with `more` bytes of data."""
    existing = next(path for path in (settings.state, *settings.state.parents) if path.exists())
    free, needed = shutil.disk_usage(existing).free, LEAST_FREE_BYTES + more
    if free < needed:
        raise UsageError(
            f"the disk of {existing} has {free / 1e9:.1f} GB free and a bed needs {needed / 1e9:.3g} GB;"
            " make room, or set AIRBED_STATE_DIR to another disk"
        )


def ensure_writable(folder: Path) -> None:
    """Raise UsageError when a folder is not this user's, or cannot be made where it shall be."""
    remedy = "set AIRBED_STATE_DIR and AIRBED_CACHE_DIR to folders of your own"
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    if not existing.is_dir():
        raise UsageError(f"{existing} is a file, and airbed needs a folder {folder}; {remedy}")
    if existing == folder and folder.stat().st_uid != os.geteuid():
        raise UsageError(f"{folder} belongs to someone else; {remedy}")
    if not os.access(existing, os.W_OK | os.X_OK):
        raise UsageError(f"{folder} cannot be made: you may not write to {existing}; {remedy}")


def delete_folder(folder: Path) -> None:
    """Delete a folder with all that is in it, read-only folders too, such as Go's module cache; none is fine.

    Raises Unavailable, with what is in the way, when it cannot be deleted.
    """
    if not folder.is_dir():
        return
    try:
        _open(folder)
        for root, folders, _ in os.walk(folder):
            for name in folders:
                _open(Path(root) / name)
        shutil.rmtree(folder)
    except OSError as error:
        raise Unavailable(
            f"{error.filename or folder} cannot be deleted ({error.strerror}); whoever owns it must, then try again"
        ) from None


def _open(folder: Path) -> None:
    """Let its owner read and change a folder; a link to one is left alone."""
    mode = folder.lstat().st_mode
    if stat.S_ISDIR(mode) and mode & stat.S_IRWXU != stat.S_IRWXU:
        folder.chmod(stat.S_IMODE(mode) | stat.S_IRWXU)
