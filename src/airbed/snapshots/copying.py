"""Copy a folder in this process: one that is killed leaves no child behind that goes on writing.

Files share their blocks with the original where the file system can (reflinks), and holes stay holes. Owners, modes,
times and symbolic links stay; sockets and pipes are left out.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable
from pathlib import Path

from airbed.errors import Unavailable

Wanted = Callable[[Path], bool]
# What `os.copy_file_range` says where the kernel or the file system cannot do it.
_CANNOT = {errno.EXDEV, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL, errno.EPERM}
_CHUNK = 1 << 20


def size_of(folder: Path, wanted: Wanted) -> int:
    """The bytes on disk of the files below a folder, of those whose path below it is `wanted`."""
    return sum(info.st_blocks * 512 for _, info in _entries(folder, wanted) if stat.S_ISREG(info.st_mode))


def copy_tree(source: Path, target: Path, wanted: Wanted, copied: Callable[[int], None] = lambda size: None) -> int:
    """Copy what is `wanted` of a folder into `target`, which may be there; returns how many bytes of data that were.

    `wanted` is asked with each path below `source`; a folder that is not wanted is not looked into. `copied` is told
    the bytes so far after each file. Raises Unavailable when something cannot be read or written, such as on a full
    disk.
    """
    try:
        return _copy_tree(source, target, wanted, copied)
    except OSError as error:
        what = f" ({error.filename})" if error.filename else ""
        raise Unavailable(
            f"copying {source} to {target} failed: {error.strerror}{what}; make room, or mend what cannot be read"
        ) from None


def _copy_tree(source: Path, target: Path, wanted: Wanted, copied: Callable[[int], None]) -> int:
    target.mkdir(parents=True, exist_ok=True)
    total = 0
    folders = []
    for path, info in _entries(source, wanted):
        new = target / path
        if stat.S_ISDIR(info.st_mode):
            new.mkdir(exist_ok=True)
            folders.append((new, info))
            continue
        if stat.S_ISLNK(info.st_mode):
            new.symlink_to((source / path).readlink())
        elif stat.S_ISREG(info.st_mode):
            total += _copy_file(source / path, new, info.st_size)
        else:
            continue
        _set(new, info)
        copied(total)
    # Last, and the inner ones first: a folder may be one that may not be written to, and writing changes its time.
    for new, info in reversed(folders):
        _set(new, info)
    return total


def _entries(folder: Path, wanted: Wanted) -> list[tuple[Path, os.stat_result]]:
    """What is below a folder, by its path below it, folders before what they hold."""
    found: list[tuple[Path, os.stat_result]] = []
    waiting = [Path()]
    while waiting:
        inner = waiting.pop()
        with os.scandir(folder / inner) as entries:
            for entry in sorted(entries, key=lambda each: each.name):
                path = inner / entry.name
                if not wanted(path):
                    continue
                found.append((path, entry.stat(follow_symlinks=False)))
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(path)
    return found


def _set(path: Path, info: os.stat_result) -> None:
    """Owner, mode and times; the owner first, because a change of it takes bits of the mode away."""
    if os.geteuid() == 0:
        os.chown(path, info.st_uid, info.st_gid, follow_symlinks=False)
    if not stat.S_ISLNK(info.st_mode):
        path.chmod(stat.S_IMODE(info.st_mode))
    os.utime(path, ns=(info.st_atime_ns, info.st_mtime_ns), follow_symlinks=False)


def _copy_file(source: Path, target: Path, size: int) -> int:
    """Copy one file's data, piece by piece between its holes; returns how many bytes that were."""
    total = 0
    here = os.open(source, os.O_RDONLY)
    try:
        # Closed to others until `_set` gives it the mode of the original.
        there = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            for start, end in _pieces(here, size):
                _copy_piece(here, there, start, end)
                total += end - start
            if size:
                os.ftruncate(there, size)
        finally:
            os.close(there)
    finally:
        os.close(here)
    return total


def _pieces(file: int, size: int) -> list[tuple[int, int]]:
    """Where a file has data: beginnings and ends."""
    found = []
    end = 0
    while end < size:
        try:
            start = os.lseek(file, end, os.SEEK_DATA)
        except OSError as error:
            if error.errno == errno.ENXIO:
                break
            return [(0, size)]
        end = min(os.lseek(file, start, os.SEEK_HOLE), size)
        found.append((start, end))
    return found


def _copy_piece(here: int, there: int, start: int, end: int) -> None:
    while start < end:
        try:
            done = os.copy_file_range(here, there, end - start, start, start)
        except OSError as error:
            if error.errno not in _CANNOT:
                raise
            break
        if not done:
            break
        start += done
    while start < end and (content := os.pread(here, min(_CHUNK, end - start), start)):
        start += os.pwrite(there, content, start)
