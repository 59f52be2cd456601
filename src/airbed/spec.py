"""What a bed was asked to be, and where its files lie."""

from __future__ import annotations

import base64
import json
import os
import re
import secrets
import tempfile
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from airbed.endpoints import Endpoints
from airbed.errors import Unavailable, UsageError
from airbed.records import from_json, to_json
from airbed.settings import Settings

DEFAULT_NAME = "bed"
NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?")


@dataclass
class BedSpec:
    """One bed as asked for by `airbed up`, kept in its folder as bed.json.

    `mark` is in the environment of each of its processes. `time_scale` divides retry delays (1: as written in the DAG).
    `schedules` lets DAGs start runs by themselves; otherwise a run exists only because somebody asked for it.
    `airflow` are settings of Airflow that a scenario changed for a while, such as WORKERS__EXECUTION_API_TIMEOUT.
    `levers_off` names what of `airbed.levers` this bed goes without. `ports` are the loopback ports by purpose. `state`
    is `creating` until the bed was healthy once; `unreadable` is never written, it stands for a file that cannot be
    read. `tcp_faults` says that tasks reach every service through Toxiproxy; without it (no Go to build it with, or a
    bed of an earlier airbed) they go directly. `subnet` are the addresses of the network that a bed of containers has
    to itself, `engine` the Docker engine that they are on: `socket` and `id`.
    """

    name: str
    mark: str = field(default_factory=lambda: secrets.token_hex(8))
    created: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))
    state: Literal["creating", "up", "stopped", "unreadable"] = "creating"
    substrate: str = "embedded"
    dags: list[str] = field(default_factory=list)
    project: str | None = None
    env_file: str | None = None
    s3: Literal["seaweedfs", "moto", "minio"] = "seaweedfs"
    kubernetes: bool = False
    time_scale: float = 1
    schedules: bool = False
    parallelism: int = 24
    tcp_faults: bool = False
    airflow: dict[str, str] = field(default_factory=dict)
    levers_off: list[str] = field(default_factory=list)
    allow_external: list[str] = field(default_factory=list)
    ports: dict[str, int] = field(default_factory=dict)
    subnet: str | None = None
    engine: dict[str, str] = field(default_factory=dict)


class BedFiles:
    """The folder of one bed: `<state>/beds/<name>`."""

    def __init__(self, settings: Settings, name: str) -> None:
        self.name = ensure_name_is_valid(name)
        self.folder = settings.beds / name
        self.spec = self.folder / "bed.json"
        self.endpoints = self.folder / "endpoints.json"
        self.logs = self.folder / "logs"
        self.airflow = self.folder / "airflow"
        self.scenario_dags = self.airflow / "scenario-dags"
        # There while a scenario runs: the bed's plugin looks for it.
        self.armed = self.airflow / "armed"
        self.home = self.folder / "home"
        self.postgres = self.folder / "postgres"
        self.s3 = self.folder / "s3"
        self.director = self.folder / "director"
        self.toxiproxy = self.folder / "toxiproxy"
        self.kubernetes = self.folder / "kubernetes"
        self.supervisor_conf = self.folder / "supervisord.conf"
        self.lock = settings.beds / f".{name}.lock"

    def exists(self) -> bool:
        """Whether such a bed was made and not taken down."""
        return self.spec.is_file()

    def read_spec(self) -> BedSpec:
        """The bed's spec; Unavailable when there is no such bed."""
        if not self.exists():
            raise Unavailable(
                f"no bed named '{self.name}': looked in {self.folder}; start one with: airbed up --name {self.name}"
            )
        try:
            return from_json(BedSpec, self.spec.read_bytes())
        except ValueError:
            raise Unavailable(
                f"bed '{self.name}' cannot be used: {self.spec} is not readable;"
                f" delete the bed: airbed down --name {self.name}"
            ) from None

    def write_spec(self, spec: BedSpec) -> None:
        """Replace bed.json."""
        write_private(self.spec, to_json(spec))

    def read_endpoints(self) -> Endpoints:
        """The bed's addresses and credentials."""
        if not self.endpoints.is_file():
            raise Unavailable(
                f"bed '{self.name}' was never finished: {self.endpoints} is missing; run: airbed up --name {self.name}"
            )
        return from_json(Endpoints, self.endpoints.read_bytes())

    def read_secrets(self) -> dict[str, str]:
        """Keys that only the bed's own processes need: `fernet`, `jwt`, `email_hash_key`, `keeper`; made at first."""
        path = self.folder / "secrets.json"
        if not path.is_file():
            made = {
                "fernet": base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
                "jwt": secrets.token_hex(48),
                "email_hash_key": secrets.token_hex(32),
                "keeper": secrets.token_hex(16),
            }
            write_private(path, json.dumps(made))
        found: dict[str, str] = json.loads(path.read_text())
        return found

    def write_endpoints(self, endpoints: Endpoints) -> None:
        """Replace endpoints.json."""
        write_private(self.endpoints, to_json(endpoints))


def ensure_name_is_valid(name: str) -> str:
    """Return the name, or raise UsageError."""
    if not NAME.fullmatch(name):
        raise UsageError(
            f"'{name}' is not a bed name: use 1 to 32 lower-case letters, digits, hyphens, such as 'incident-7'"
        )
    return name


def bed_names(settings: Settings) -> list[str]:
    """All beds of this user on this machine, sorted; not what somebody renamed to what no bed can be called."""
    if not settings.beds.is_dir():
        return []
    return sorted(
        each.name for each in settings.beds.iterdir() if NAME.fullmatch(each.name) and (each / "bed.json").is_file()
    )


def write_private(path: Path, text: str) -> None:
    """Write a file of mode 0600, whole or not at all: readers never see a half-written one."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w") as file:
            file.write(text)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
