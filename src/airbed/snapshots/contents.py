"""What of a bed's folder a snapshot has, and how the copy becomes another bed's.

A snapshot has no file that is about processes, addresses or this folder, as far as the bed's start writes those anew.
What data still says about the old ports does not matter, or is set right by the start:

- etcd keeps the peer address that its only member began with; nobody dials it.
- kubeconfigs are written anew when their address is not the bed's (`control_plane.prepare`, `regions.configure`).
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from airbed.endpoints import Endpoints

# Patterns of paths below a bed's folder; what lies in a folder of these is left out too.
LEFT_OUT = (
    # Of processes: their output, temporary files, configuration that the start writes.
    *("logs", "tmp", "supervisord.*", "toxiproxy", "bed.json", "faults.json", ".*"),
    # Postgres takes port and mark from its command line, and notes them here.
    *("postgres/*/postmaster.pid", "postgres/*/postmaster.opts", "postgres/template", "postgres/.*"),
    # Airflow writes it at its first start, with the folder in it; all that counts comes from the environment.
    *("airflow/airflow.cfg", "airflow/*.lock", "airflow/armed", "airflow/reconfiguring", "airflow/migrate"),
    # SeaweedFS: the options of its last start, and the election of its master, in a folder named by the port; a master
    # begins with a new one at each start, and learns of its volumes from the volume server.
    *("s3/mini.options", "s3/m[0-9]*"),
    # 64 MB each that etcd keeps for the file after the next.
    "kubernetes/etcd/member/wal/*.tmp",
)
ENDPOINTS = "endpoints.json"


def belongs(path: Path) -> bool:
    """Whether a path below a bed's folder goes into a snapshot."""
    # A pattern is matched from the right: without the depth, `logs` would be Airflow's too.
    return not any(len(path.parts) == pattern.count("/") + 1 and path.match(pattern) for pattern in LEFT_OUT)


def belongs_to_new_bed(path: Path) -> bool:
    """Whether a path below a snapshot's data goes into a bed that is made of it: all but the old addresses."""
    return path != Path(ENDPOINTS)


def with_credentials_of(saved: Endpoints, new: Endpoints) -> Endpoints:
    """The addresses of `new` with the passwords and keys of `saved`, which the databases and buckets know."""
    databases = {
        name: replace(
            each, password=saved.databases[name].password, admin_password=saved.databases[name].admin_password
        )
        for name, each in new.databases.items()
    }
    return replace(
        new,
        databases=databases,
        s3=replace(new.s3, access_key=saved.s3.access_key, secret_key=saved.s3.secret_key),
        airflow=replace(new.airflow, password=saved.airflow.password),
        director=replace(new.director, token=saved.director.token),
    )
