"""Addresses and credentials of a living bed: all that a client needs.

`direct` is for the host (tests, the command line), `task` for DAG tasks, who reach every service only through the fault
plane. Written to the bed's folder with mode 0600.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from airbed.topology import DATABASES, REGIONS, S3_CONN_ID, S3_REGION


@dataclass
class Address:
    """A TCP address."""

    host: str
    port: int


@dataclass
class PostgresEndpoint:
    """One database. `user` is the role of the tasks, `admin_user` the superuser of tests and the command line."""

    direct: Address
    task: Address
    database: str
    user: str
    password: str
    admin_user: str
    admin_password: str

    def url(self, *, admin: bool = False, task: bool = False) -> str:
        """A `postgresql://` URL with credentials."""
        user, password = (self.admin_user, self.admin_password) if admin else (self.user, self.password)
        at = self.task if task else self.direct
        return f"postgresql://{quote(user)}:{quote(password)}@{at.host}:{at.port}/{self.database}"


@dataclass
class S3Endpoint:
    """The S3 service: two URLs, one pair of keys."""

    direct: str
    task: str
    access_key: str
    secret_key: str
    region: str = S3_REGION


@dataclass
class AirflowEndpoint:
    """The API server (UI, REST, execution API) and the login; `task_url` is the way of the tasks (None: the same)."""

    url: str
    user: str
    password: str
    task_url: str | None = None

    @property
    def execution_url(self) -> str:
        """The execution API as tasks reach it."""
        return f"{self.task_url or self.url}/execution/"


@dataclass
class DirectorEndpoint:
    """The director: task rules over HTTP (`Authorization: Bearer <token>`), StatsD over UDP."""

    url: str
    task_url: str
    token: str
    statsd: Address


@dataclass
class RegionEndpoint:
    """One region: its namespace and a kubeconfig with that namespace's rights only."""

    namespace: str
    kubeconfig: Path


@dataclass
class KubernetesEndpoint:
    """The Kubernetes API. `kubeconfig` has all rights; the regions' ones only their own."""

    direct: str
    task: str
    kubeconfig: Path
    regions: dict[str, RegionEndpoint]


@dataclass
class Endpoints:
    """Everything a client of one bed needs. `databases` is keyed by service name, `kubernetes.regions` by cluster.

    `toxiproxy` is the URL of its API, None when the bed has none and tasks go directly.
    """

    bed: str
    mark: str
    substrate: str
    databases: dict[str, PostgresEndpoint]
    s3: S3Endpoint
    airflow: AirflowEndpoint
    director: DirectorEndpoint
    kubernetes: KubernetesEndpoint
    toxiproxy: str | None = None


def airflow_connections(endpoints: Endpoints) -> dict[str, dict[str, object]]:
    """The Airflow connections of a bed as tasks see them: conn_id to the fields of Airflow's JSON connection format."""
    connections: dict[str, dict[str, object]] = {
        S3_CONN_ID: {
            "conn_type": "aws",
            "login": endpoints.s3.access_key,
            "password": endpoints.s3.secret_key,
            "extra": {
                "region_name": endpoints.s3.region,
                "endpoint_url": endpoints.s3.task,
                "config_kwargs": {"s3": {"addressing_style": "path"}},
            },
        }
    }
    for database in DATABASES:
        if database.conn_id is None:
            continue
        endpoint = endpoints.databases[database.service]
        connections[database.conn_id] = {
            "conn_type": "postgres",
            "host": endpoint.task.host,
            "port": endpoint.task.port,
            "schema": endpoint.database,
            "login": endpoint.user,
            "password": endpoint.password,
        }
    for region in REGIONS:
        target = endpoints.kubernetes.regions[region.cluster]
        connections[region.conn_id] = {
            "conn_type": "kubernetes",
            "extra": {"kube_config_path": str(target.kubeconfig), "namespace": target.namespace},
        }
    return connections
