"""A disk that only one process sees: a mount namespace, with a user namespace around it for everybody but root.

Standard library only, and a script too: `python -S mounts.py` ends with 0 where this user may have such a disk.
"""

from __future__ import annotations

import ctypes
import os
import signal
from pathlib import Path
from typing import Any

# From linux/sched.h, sys/mount.h and sys/prctl.h.
_NEWNS, _NEWUSER = 0x20000, 0x10000000
_REC, _PRIVATE, _REMOUNT = 0x4000, 0x40000, 32
_PDEATHSIG, _SET_DUMPABLE = 1, 4


def enter_namespace() -> None:
    """Give this process mounts of its own, seen by nobody else; OSError when that is not allowed."""
    uid, gid = os.geteuid(), os.getegid()
    _call("unshare", _NEWNS if uid == 0 else _NEWNS | _NEWUSER)
    if uid != 0:
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"{uid} {uid} 1")
        Path("/proc/self/gid_map").write_text(f"{gid} {gid} 1")
    _mount(b"none", Path("/"), None, _REC | _PRIVATE, "")


def mount_memory(point: Path, size: int, uid: int, gid: int) -> None:
    """Mount a tmpfs of `size` bytes that belongs to a user."""
    _mount(b"tmpfs", point, b"tmpfs", 0, f"size={size},mode=700,uid={uid},gid={gid}")


def resize(point: Path, size: int) -> None:
    """Give it another size in bytes, not less than is used; 0 would be no limit at all."""
    _mount(b"tmpfs", point, None, _REMOUNT, f"size={max(size, 4096)}")


def open_door(point: Path, uid: int, gid: int) -> int:
    """Start a child of that user whose working directory is the disk; returns its pid, for /proc/<pid>/cwd.

    The kernel lets only the same user pass there. The child ends with this process. OSError when it cannot be.
    """
    reading, writing = os.pipe()
    parent = os.getpid()
    child = os.fork()
    if child == 0:
        try:
            os.chdir(point)
            if os.geteuid() == 0:
                os.setgroups([])
                os.setgid(gid)
                os.setuid(uid)
            # Both are lost when the user changes.
            _call("prctl", _SET_DUMPABLE, 1, 0, 0, 0)
            _call("prctl", _PDEATHSIG, signal.SIGKILL, 0, 0, 0)
            if os.getppid() == parent:
                os.write(writing, b"1")
                while True:
                    signal.pause()
        finally:
            os._exit(1)
    os.close(writing)
    with os.fdopen(reading, "rb") as answer:
        if not answer.read(1):
            raise PermissionError(f"no way to the disk at {point} for user {uid}")
    return child


def _mount(source: bytes, target: Path, kind: bytes | None, flags: int, options: str) -> None:
    _call("mount", source, os.fsencode(target), kind, ctypes.c_ulong(flags), options.encode() or None)


def _call(name: str, *arguments: Any) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if getattr(libc, name)(*arguments):
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")


if __name__ == "__main__":
    enter_namespace()
