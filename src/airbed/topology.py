"""The one list of what a bed has: databases, buckets, regions, pools, services.

Embedded processes, the compose file, Airflow connections and sample data all follow it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Database:
    """One Postgres server with one database.

    `service` is the name of the part, `user` the role that tasks log in as, `conn_id` the Airflow connection (None: no
    DAG may reach it), `schema` the file in infra/postgres that creates its tables (None: it has none of ours),
    `namespace` the Postgres schema that the file creates them in.
    """

    service: str
    database: str
    user: str
    conn_id: str | None
    schema: str | None
    namespace: str | None = None

    def tables_sql(self, infra: Path) -> str | None:
        """The SQL that creates its tables, from the `infra` folder; None when it has none.

        Superuser's work; the role `user` must exist. It has several statements and can be run twice.
        """
        if self.schema is None or self.namespace is None:
            return None
        return (infra / "postgres" / self.schema).read_text().replace("{{namespace}}", self.namespace)


@dataclass(frozen=True)
class Region:
    """One deployment target: a namespace with rights of its own.

    `cluster` is also the namespace. `replicas` is what `multi_region_deploy` asks for.
    """

    region: str
    cluster: str
    replicas: int
    env: str

    @property
    def conn_id(self) -> str:
        """The Airflow connection that reaches this cluster, and no other."""
        return f"kubernetes_{self.cluster.replace('-', '_')}"


@dataclass(frozen=True)
class Pool:
    """An Airflow pool with its slots."""

    name: str
    slots: int
    description: str


METADATA = Database("metadata", "airflow", "airflow", None, None)
SHARDS = tuple(
    Database(f"shard-{n}", f"shard_{n}", "etl", f"shard_{n}_db", "shard.sql", namespace)
    for n, namespace in enumerate(("users_0_to_1M", "users_1M_to_2M", "users_2M_to_3M"))
)
WAREHOUSE = Database("warehouse", "warehouse", "loader", "warehouse", "warehouse.sql", "warehouse_events")
DATABASES = (METADATA, *SHARDS, WAREHOUSE)

BUCKETS = ("raw-data", "processed-data", "airflow-xcom", "artifacts")
S3_CONN_ID = "aws_default"
S3_REGION = "us-east-1"
XCOM_PATH = f"s3://{S3_CONN_ID}@airflow-xcom/xcom"
XCOM_THRESHOLD_BYTES = 4096

REGIONS = (
    Region("us-east-1", "prod-use1", 5, "prod"),
    Region("us-west-2", "prod-usw2", 3, "prod"),
    Region("eu-west-1", "prod-euw1", 3, "prod"),
    Region("ap-southeast-1", "prod-apse1", 2, "prod"),
    Region("us-east-1", "staging-use1", 1, "staging"),
)

POOLS = (
    Pool("db_etl", 4, "Readers of the shards, across all DAGs"),
    Pool("s3_etl", 8, "Readers and writers of S3, across all DAGs"),
)

AIRFLOW_SERVICES = ("api-server", "scheduler", "dag-processor", "triggerer")
KUBERNETES_SERVICES = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kwok")
DATABASE_SERVICES = tuple(database.service for database in DATABASES)
CORE_SERVICES = (*DATABASE_SERVICES, "s3", "director", "toxiproxy", *AIRFLOW_SERVICES)
SERVICES = (*CORE_SERVICES, *KUBERNETES_SERVICES)

# What tasks reach through Toxiproxy: each proxy is named by the service it leads to, and has the services on its way.
PROXIES: dict[str, tuple[str, ...]] = {
    **{service: (service,) for service in DATABASE_SERVICES},
    "s3": ("director", "s3"),
    "kube-apiserver": ("kube-apiserver",),
    "api-server": ("api-server",),
}
# The port of the director that stands before S3.
S3_WAY = "director-s3"


def database(name: str) -> Database:
    """The database of that service name; KeyError when there is none."""
    return {each.service: each for each in DATABASES}[name]
