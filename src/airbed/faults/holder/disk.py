"""Move a database to a disk of its own that is full: a tmpfs which only this process, and who asks it, can see.

The mount lies in a mount namespace of this process, so nothing of it is left when the process ends, however it ends.
The server reaches it through /proc/<door>/cwd. `door` is a child that runs as the server's user, because the kernel
lets only the same user pass there; the disk is mounted by this process, which as root may, and as anybody else may in
a user namespace of its own.
"""

from __future__ import annotations

import ctypes
import os
import pwd
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg import sql

from airbed.errors import Unavailable
from airbed.faults.postgres import superuser
from airbed.substrates.embedded.postgres import server_user

if TYPE_CHECKING:
    from airbed.bed import Bed
    from airbed.faults.holder.report import Report

# From linux/sched.h, sys/mount.h and sys/prctl.h.
_NEWNS, _NEWUSER = 0x20000, 0x10000000
_REC, _PRIVATE, _REMOUNT = 0x4000, 0x40000, 32
_PDEATHSIG, _SET_DUMPABLE = 1, 4
KINDS = ("TABLE", "INDEX", "MATERIALIZED VIEW")
_ROOM = 64 * 1024 * 1024  # bytes more than the database has now, while it is moved


def hold(bed: Bed, key: str, parameters: dict[str, Any], report: Report) -> None:
    """Move the database's tables and indexes, new tables and temporary files to a disk with `free_mb` left."""
    service = parameters["service"]
    point = _point(bed, key)
    point.mkdir(mode=0o700, exist_ok=True)
    enter_namespace()
    uid, gid = _server_account()
    with superuser(bed, service, key) as session:
        size = session.execute("SELECT pg_database_size(current_database())").fetchone()
    _mount(b"tmpfs", point, b"tmpfs", 0, f"size={int(size[0]) + _ROOM if size else _ROOM},mode=700,uid={uid},gid={gid}")
    door = _open_door(point, uid, gid)
    with superuser(bed, service, key) as session:
        space = sql.Identifier(key)
        session.execute("SET lock_timeout = '15s'")
        session.execute(sql.SQL("CREATE TABLESPACE {} LOCATION {}").format(space, f"/proc/{door}/cwd"))
        session.execute(sql.SQL("GRANT CREATE ON TABLESPACE {} TO PUBLIC").format(space))
        move(session, "pg_default", key)
        for name, value in _settings(key, parameters["work_mem_kb"]).items():
            database = sql.Identifier(bed.endpoints.databases[service].database)
            session.execute(sql.SQL("ALTER DATABASE {} SET {} = {}").format(database, sql.Identifier(name), value))
        # What is still in memory only has its place already, but its pages may not have been written.
        session.execute("CHECKPOINT")
    usage = os.statvfs(f"/proc/{door}/cwd")
    used = (usage.f_blocks - usage.f_bfree) * usage.f_frsize
    room = used + int(parameters["free_mb"] * 1024 * 1024)
    # A tmpfs of 0 bytes would be one without a limit.
    _mount(b"tmpfs", point, None, _REMOUNT, f"size={max(room, 4096)},mode=700,uid={uid},gid={gid}")
    report.tell(state="holding", used=used, size=room)
    while True:
        time.sleep(3600)


def move(session: psycopg.Connection[Any], source: str, target: str) -> None:
    """Move all tables, indexes and materialized views of the database from a tablespace to another, all or none."""
    with session.transaction():
        for kind in KINDS:
            statement = "ALTER {} ALL IN TABLESPACE {} SET TABLESPACE {}"
            names = sql.SQL(kind), sql.Identifier(source), sql.Identifier(target)
            session.execute(sql.SQL(statement).format(*names))


def settings(work_mem_kb: int | None) -> tuple[str, ...]:
    """The settings of the database that `hold` changes."""
    return tuple(_settings("", work_mem_kb))


def _settings(space: str, work_mem_kb: int | None) -> dict[str, str]:
    more = {} if work_mem_kb is None else {"work_mem": f"{work_mem_kb}kB"}
    return {"default_tablespace": space, "temp_tablespaces": space, **more}


def forget(bed: Bed, key: str) -> None:
    """Remove the folder on which the disk was mounted; empty now, and for everybody else all the time."""
    if _point(bed, key).is_dir():
        _point(bed, key).rmdir()


def _point(bed: Bed, key: str) -> Path:
    return bed.folder / "faults" / f"{key}.disk"


def ensure_possible() -> None:
    """Raise Unavailable when this user may not have a mount of their own on this machine."""
    child = os.fork()
    if child == 0:
        try:
            enter_namespace()
        except BaseException:
            os._exit(1)
        os._exit(0)
    if os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]):
        raise Unavailable(
            "this machine lets you mount no disk of your own (neither CAP_SYS_ADMIN nor user namespaces);"
            " in a container add --cap-add SYS_ADMIN, else allow user namespaces (sysctl user.max_user_namespaces,"
            " kernel.apparmor_restrict_unprivileged_userns)"
        )


def enter_namespace() -> None:
    """Give this process mounts of its own, seen by nobody else; OSError when that is not allowed."""
    uid, gid = os.geteuid(), os.getegid()
    _call("unshare", _NEWNS if uid == 0 else _NEWNS | _NEWUSER)
    if uid != 0:
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"{uid} {uid} 1")
        Path("/proc/self/gid_map").write_text(f"{gid} {gid} 1")
    _mount(b"none", Path("/"), None, _REC | _PRIVATE, None)


def _server_account() -> tuple[int, int]:
    user = server_user()
    if user is None:
        return os.geteuid(), os.getegid()
    account = pwd.getpwnam(user)
    return account.pw_uid, account.pw_gid


def _open_door(point: Path, uid: int, gid: int) -> int:
    """Start the child through whose working directory the server comes to the disk; returns its pid."""
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
    if not os.read(reading, 1):
        raise Unavailable(f"no way to the disk at {point} for the server's user {uid}")
    os.close(reading)
    return child


def _mount(source: bytes, target: Path, kind: bytes | None, flags: int, options: str | None) -> None:
    _call("mount", source, os.fsencode(target), kind, ctypes.c_ulong(flags), options.encode() if options else None)


def _call(name: str, *arguments: Any) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if getattr(libc, name)(*arguments):
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")
