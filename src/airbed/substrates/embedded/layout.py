"""Everything that is decided about a new bed before its first process starts: ports, credentials, addresses."""

from __future__ import annotations

import secrets

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
from airbed.settings import Settings
from airbed.spec import BedFiles, BedSpec
from airbed.substrates.embedded import airflow, object_store, ports, postgres, toxiproxy
from airbed.substrates.shared import LOOPBACK, password, ports_of_other_beds, prepare_roots
from airbed.topology import DATABASE_SERVICES, DATABASES, REGIONS, S3_WAY

__all__ = ["LOOPBACK", "allocate_ports", "make_endpoints", "make_folders", "prepare_roots"]


def allocate_ports(settings: Settings, spec: BedSpec) -> dict[str, int]:
    """Free ports for every part of a bed; the caller holds the lock on all beds."""
    from airbed.kubernetes import control_plane

    purposes = (
        *("keeper", "director", S3_WAY, "statsd", "template"),
        *DATABASE_SERVICES,
        *airflow.PORTS,
        *object_store.PORTS,
        *control_plane.PORTS,
        *toxiproxy.ports(),
    )
    return ports.allocate(purposes, ports_of_other_beds(settings, spec.name), object_store.OFFSETS)


def make_endpoints(spec: BedSpec, files: BedFiles) -> Endpoints:
    """Addresses and fresh credentials of a new bed.

    Tasks go through Toxiproxy where the bed has it, and else directly; to S3 always through the director.
    """

    def local(purpose: str) -> Address:
        return Address(host=LOOPBACK, port=spec.ports[purpose])

    def url(purpose: str, scheme: str = "http") -> str:
        return f"{scheme}://{LOOPBACK}:{spec.ports[purpose]}"

    def task(proxy: str) -> str:
        return toxiproxy.port_of(proxy) if spec.tcp_faults else proxy

    return Endpoints(
        bed=spec.name,
        mark=spec.mark,
        substrate=spec.substrate,
        databases={
            database.service: PostgresEndpoint(
                direct=local(database.service),
                task=local(task(database.service)),
                database=database.database,
                user=database.user,
                password=password(),
                admin_user=postgres.ADMIN,
                admin_password=password(),
            )
            for database in DATABASES
        },
        s3=S3Endpoint(
            direct=url("s3"),
            task=url(toxiproxy.port_of("s3") if spec.tcp_faults else S3_WAY),
            access_key=f"AB{secrets.token_hex(9).upper()}",
            secret_key=password(),
        ),
        airflow=AirflowEndpoint(
            url=url("api-server"), user=airflow.ADMIN, password=password(), task_url=url(task("api-server"))
        ),
        director=DirectorEndpoint(
            url=url("director"), task_url=url("director"), token=password(), statsd=local("statsd")
        ),
        kubernetes=KubernetesEndpoint(
            direct=url("kube-apiserver", "https"),
            task=url(task("kube-apiserver"), "https"),
            kubeconfig=files.kubernetes / "admin.kubeconfig",
            regions={
                region.cluster: RegionEndpoint(
                    namespace=region.cluster, kubeconfig=files.kubernetes / f"regions/{region.cluster}.kubeconfig"
                )
                for region in REGIONS
            },
        ),
        toxiproxy=url(toxiproxy.API_PORT) if spec.tcp_faults else None,
    )


def make_folders(files: BedFiles) -> None:
    """The bed's folders: closed, but for those that Postgres' own user must pass through."""
    for folder in (files.folder, files.postgres):
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o711)
    for folder in (files.logs, files.airflow, files.home, files.s3, files.director, files.toxiproxy, files.kubernetes):
        folder.mkdir(exist_ok=True)
        folder.chmod(0o700)
