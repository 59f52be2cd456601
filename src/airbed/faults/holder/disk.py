"""Move a database to a disk of its own that is full: a tmpfs which only this process, and who asks it, can see.

The mount lies in a mount namespace of this process, so nothing of it is left when the process ends, however it ends.
The server reaches it as the working directory of a child that runs as the server's user.
"""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg import sql

from airbed.errors import Unavailable
from airbed.faults.holder import mounts
from airbed.faults.postgres import ask, superuser
from airbed.substrates.embedded.postgres import LOST_DISKS, server_user

if TYPE_CHECKING:
    from airbed.bed import Bed
    from airbed.faults.holder.report import Report

_KINDS = ("TABLE", "INDEX", "MATERIALIZED VIEW")
_PATIENCE = 15.0  # seconds
_ROOM = 64 * 1024 * 1024  # bytes more than the database has now, while it is moved


def hold(bed: Bed, key: str, parameters: dict[str, Any], report: Report) -> None:
    """Move the database's tables and indexes, new tables and temporary files to a disk with `free_mb` left.

    What fails is told, and the disk held on: what was moved to it has to be moved back.
    """
    service = parameters["service"]
    link = place(bed, key)
    point = link.with_suffix(".mount")
    point.mkdir(mode=0o700, exist_ok=True)
    mounts.enter_namespace()
    owner = _server_account()
    with superuser(bed, service, key) as session:
        size = session.execute("SELECT pg_database_size(current_database())").fetchone()
        mounts.mount_memory(point, int(size[0] if size else 0) + _ROOM, *owner)
        # By a name that stays: a server that was killed goes there again before it lets anybody in.
        link.symlink_to(f"/proc/{mounts.open_door(point, *owner)}/cwd")
        try:
            _move_all(bed, session, key, parameters)
            usage = os.statvfs(link)
            used = (usage.f_blocks - usage.f_bfree) * usage.f_frsize
            mounts.resize(point, used + int(parameters["free_mb"] * 1024 * 1024))
            report.tell(state="holding", used=used)
        except (psycopg.Error, OSError) as error:
            reason = " ".join(str(error).split())
            report.tell(state="failed", problem=f"{service} was not moved to a full disk: {reason}")
    while True:
        time.sleep(3600)


def _move_all(bed: Bed, session: psycopg.Connection[Any], key: str, parameters: dict[str, Any]) -> None:
    space = sql.Identifier(key)
    database = sql.Identifier(bed.endpoints.databases[parameters["service"]].database)
    session.execute("SET lock_timeout = '15s'")
    # All tables at once may run into somebody's transaction: then this one gives way, and tries again.
    session.execute("SET deadlock_timeout = '100ms'")
    session.execute(sql.SQL("CREATE TABLESPACE {} LOCATION {}").format(space, str(place(bed, key))))
    session.execute(sql.SQL("GRANT CREATE ON TABLESPACE {} TO PUBLIC").format(space))
    deadline = time.monotonic() + _PATIENCE
    while True:
        try:
            move(session, "pg_default", key)
            break
        except psycopg.errors.DeadlockDetected:
            if time.monotonic() > deadline:
                raise
    for name, value in _settings(key, parameters["work_mem_kb"]).items():
        session.execute(sql.SQL("ALTER DATABASE {} SET {} = {}").format(database, sql.Identifier(name), value))


def move(session: psycopg.Connection[Any], source: str, target: str) -> None:
    """Move all tables, indexes and materialized views of the database from a tablespace to another, all or none."""
    with session.transaction():
        for kind in _KINDS:
            statement = "ALTER {} ALL IN TABLESPACE {} SET TABLESPACE {}"
            names = sql.SQL(kind), sql.Identifier(source), sql.Identifier(target)
            session.execute(sql.SQL(statement).format(*names))


def settings(work_mem_kb: int | None) -> tuple[str, ...]:
    """The settings of the database that `hold` changes."""
    return tuple(_settings("", work_mem_kb))


def _settings(space: str, work_mem_kb: int | None) -> dict[str, str]:
    more = {} if work_mem_kb is None else {"work_mem": f"{work_mem_kb}kB"}
    return {"default_tablespace": space, "temp_tablespaces": space, **more}


def place(bed: Bed, key: str) -> Path:
    """Where the server finds the disk of a fault: a link, in the folder that its user may enter."""
    return bed.files.postgres / f"{key}{LOST_DISKS}"


def forget(bed: Bed, key: str) -> None:
    """Remove the link to the disk, or what `postgres.replace_lost_disks` put there, and the mount's empty folder."""
    link = place(bed, key)
    if link.is_dir() and not link.is_symlink():
        shutil.rmtree(link)
    else:
        link.unlink(missing_ok=True)
    if link.with_suffix(".mount").is_dir():
        link.with_suffix(".mount").rmdir()


def ensure_possible() -> None:
    """Raise Unavailable when this user may not have a disk of their own on this machine."""
    command = [sys.executable, "-S", mounts.__file__]
    if subprocess.run(command, env={}, capture_output=True, check=False).returncode:
        raise Unavailable(
            "this machine lets you mount no disk of your own (neither CAP_SYS_ADMIN nor user namespaces);"
            " in a container add --cap-add SYS_ADMIN, else allow user namespaces (sysctl user.max_user_namespaces,"
            " kernel.apparmor_restrict_unprivileged_userns)"
        )


def ensure_memory(bed: Bed, service: str, free_mb: float) -> None:
    """Raise Unavailable when the database would take more than half of the memory that is left."""
    database = int(ask(bed, service, "SELECT pg_database_size(current_database())")[0][0])
    lines = dict(line.split(":", 1) for line in Path("/proc/meminfo").read_text().splitlines())
    left = int(lines["MemAvailable"].split()[0]) * 1024
    needed = database + _ROOM + int(free_mb * 1024 * 1024)
    if 2 * needed > left:
        raise Unavailable(
            f"the full disk of {service} needs {needed >> 20} MB of memory and {left >> 20} MB are left;"
            " seed fewer rows, or end other programs"
        )


def _server_account() -> tuple[int, int]:
    user = server_user()
    if user is None:
        return os.geteuid(), os.getegid()
    account = pwd.getpwnam(user)
    return account.pw_uid, account.pw_gid
