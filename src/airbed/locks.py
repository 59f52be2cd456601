"""Who may change a bed: one command at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from filelock import FileLock, Timeout

from airbed.errors import Unavailable, UsageError
from airbed.spec import BedFiles

Progress = Callable[[str], None]


@contextmanager
def locked(files: BedFiles, progress: Progress) -> Iterator[None]:
    """One command at a time may change a bed; a second one waits and says so."""
    files.lock.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(files.lock, mode=0o600)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        progress(f"another airbed command is working on bed '{files.name}': waiting for it")
        try:
            lock.acquire(timeout=600)
        except Timeout:
            raise Unavailable(
                f"another airbed command holds bed '{files.name}' for ten minutes (lock {files.lock}); find it with: ps"
            ) from None
    except PermissionError:
        raise UsageError(
            f"the state folder {files.lock.parent} belongs to someone else; set AIRBED_STATE_DIR"
        ) from None
    try:
        yield
    finally:
        lock.release()
