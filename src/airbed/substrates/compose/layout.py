"""Everything that is decided about a new bed of containers: ports, addresses, credentials, folders."""

from __future__ import annotations

import random
import secrets
from ipaddress import IPv4Network
from pathlib import Path

from airbed.endpoints import (
    Address,
    AirflowEndpoint,
    DirectorEndpoint,
    Endpoints,
    KubernetesEndpoint,
    PostgresEndpoint,
    RegionEndpoint,
    S3Endpoint,
)
from airbed.errors import Unavailable
from airbed.settings import Settings
from airbed.spec import BedFiles, BedSpec
from airbed.substrates.embedded import ports
from airbed.substrates.shared import LOOPBACK, other_beds, password, ports_of_other_beds
from airbed.topology import DATABASE_SERVICES, DATABASES, REGIONS

POSTGRES_ADMIN = "postgres"
AIRFLOW_ADMIN = "admin"
# The ports that the host publishes, by purpose; the containers' own are fixed.
PORTS = (*DATABASE_SERVICES, "s3", "director", "statsd", "toxiproxy", "api-server", "kube-apiserver")
# What listens inside the project's network.
POSTGRES, S3, DIRECTOR, DIRECTOR_S3, STATSD, TOXIPROXY, API_SERVER = 5432, 8333, 8080, 8333, 8125, 8474, 8080
KUBE_APISERVER = 6443
PROXY_PORTS = {
    **{service: 15432 + number for number, service in enumerate(DATABASE_SERVICES)},
    "s3": 18333,
    "kube-apiserver": 16443,
    "api-server": 18080,
}
# Toxiproxy's address in the network of each bed. The same from containers and from the host, so that a client of the
# host can go the tasks' way: a published port would accept what the proxy refuses.
TOXIPROXY_HOST = 200
# The engine gives all others addresses out of the first half.
OTHERS = 25
_SUBNETS = "10.213.0.0/16"


def project(name: str) -> str:
    """The Compose project of a bed, and the name of its kind cluster."""
    return f"airbed-{name}"


def container(name: str, service: str) -> str:
    """The container of a service."""
    return f"{project(name)}-{service}-1"


def network(name: str) -> str:
    """The network of a bed."""
    return f"{project(name)}_default"


def node(name: str) -> str:
    """The container that is the one node of the bed's kind cluster."""
    return f"{project(name)}-control-plane"


def allocate_ports(settings: Settings, spec: BedSpec) -> dict[str, int]:
    """Free loopback ports, and addresses for the bed's network (`spec.subnet`)."""
    spec.subnet = _free_subnet({each.subnet for each in other_beds(settings, spec.name) if each.subnet})
    return ports.allocate(PORTS, ports_of_other_beds(settings, spec.name))


def _free_subnet(taken: set[str], routes: Path = Path("/proc/net/route")) -> str:
    """A /24 that no other bed has and no route of this machine leads to."""
    used = [IPv4Network(each) for each in taken]
    try:
        rows = [line.split() for line in routes.read_text().splitlines()[1:]]
    except OSError:
        rows = []
    for row in rows:
        address, mask = (int.from_bytes(bytes.fromhex(row[place]), "little") for place in (1, 7))
        if mask:
            used.append(IPv4Network((address, mask.bit_count())))
    candidates = list(IPv4Network(_SUBNETS).subnets(new_prefix=24))
    random.shuffle(candidates)
    for candidate in candidates:
        if not any(candidate.overlaps(each) for each in used):
            return str(candidate)
    raise Unavailable(f"no free addresses for a network in {_SUBNETS}; end some beds: airbed down --all")


def addresses(spec: BedSpec) -> dict[str, str]:
    """The bed's network for Compose."""
    subnet = IPv4Network(spec.subnet or _SUBNETS)
    return {"subnet": str(subnet), "ip_range": str(next(subnet.subnets(new_prefix=OTHERS)))}


def toxiproxy_address(spec: BedSpec) -> str:
    """Toxiproxy's address in the bed's network."""
    return str(IPv4Network(spec.subnet or _SUBNETS)[TOXIPROXY_HOST])


def make_endpoints(spec: BedSpec, files: BedFiles) -> Endpoints:
    """Addresses and fresh credentials: published ports for the host, Toxiproxy for tasks."""
    proxy = toxiproxy_address(spec)

    def local(purpose: str) -> Address:
        return Address(host=LOOPBACK, port=spec.ports[purpose])

    def url(purpose: str, scheme: str = "http") -> str:
        return f"{scheme}://{LOOPBACK}:{spec.ports[purpose]}"

    def task(service: str, scheme: str = "http") -> str:
        return f"{scheme}://{proxy}:{PROXY_PORTS[service]}"

    return Endpoints(
        bed=spec.name,
        mark=spec.mark,
        substrate=spec.substrate,
        databases={
            database.service: PostgresEndpoint(
                direct=local(database.service),
                task=Address(host=proxy, port=PROXY_PORTS[database.service]),
                database=database.database,
                user=database.user,
                password=password(),
                admin_user=POSTGRES_ADMIN,
                admin_password=password(),
            )
            for database in DATABASES
        },
        s3=S3Endpoint(
            direct=url("s3"),
            task=task("s3"),
            access_key=f"AB{secrets.token_hex(9).upper()}",
            secret_key=password(),
        ),
        airflow=AirflowEndpoint(
            url=url("api-server"), user=AIRFLOW_ADMIN, password=password(), task_url=task("api-server")
        ),
        director=DirectorEndpoint(
            url=url("director"), task_url=f"http://director:{DIRECTOR}", token=password(), statsd=local("statsd")
        ),
        kubernetes=KubernetesEndpoint(
            direct=url("kube-apiserver", "https"),
            task=task("kube-apiserver", "https"),
            kubeconfig=files.kubernetes / "admin.kubeconfig",
            regions={
                # Tasks read them: they lie in the folder that is the same inside Airflow's containers.
                region.cluster: RegionEndpoint(
                    namespace=region.cluster, kubeconfig=files.airflow / f"kubernetes/{region.cluster}.kubeconfig"
                )
                for region in REGIONS
            },
        ),
        toxiproxy=url("toxiproxy"),
    )


def make_folders(files: BedFiles) -> None:
    """The bed's folders: closed to all but this user, who is also the user inside Airflow's containers."""
    files.folder.mkdir(parents=True, exist_ok=True)
    files.folder.chmod(0o711)
    folders = (files.logs, files.airflow, files.home, files.director, files.toxiproxy, files.kubernetes)
    for folder in (*folders, files.scenario_dags, files.airflow / "kubernetes"):
        folder.mkdir(exist_ok=True)
        folder.chmod(0o700)
