"""A bed: everything above the substrate uses this one object."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

from airbed.endpoints import Endpoints
from airbed.errors import Unavailable, UsageError
from airbed.settings import Settings, load_settings
from airbed.spec import DEFAULT_NAME, BedFiles, BedSpec
from airbed.topology import DATABASE_SERVICES

if TYPE_CHECKING:
    from pathlib import Path

    import psycopg

    from airbed.clients.airflow import AirflowClient
    from airbed.clients.director import DirectorClient
    from airbed.clients.metadata import Metadata
    from airbed.clients.toxiproxy import ToxiproxyClient
    from airbed.substrates.base import Substrate


class Bed:
    """One bed that was brought up: its addresses, clients for its services, and the verbs of its substrate."""

    def __init__(self, settings: Settings, files: BedFiles) -> None:
        self.settings = settings
        self.files = files
        self.spec: BedSpec = files.read_spec()
        self.endpoints: Endpoints = files.read_endpoints()

    @classmethod
    def open(cls, name: str | None = None) -> Bed:
        """The bed of that name (default: `bed`). Raises Unavailable when there is none."""
        settings = load_settings()
        return cls(settings, BedFiles(settings, name or DEFAULT_NAME))

    @property
    def name(self) -> str:
        """The bed's name."""
        return self.spec.name

    @property
    def folder(self) -> Path:
        """The bed's folder, deleted by `airbed down`."""
        return self.files.folder

    @cached_property
    def substrate(self) -> Substrate:
        """How the bed's services exist: stop, start, restart, kill, pause, unpause them."""
        from airbed.substrates.registry import beds_on

        return beds_on(self.spec.substrate).open_bed(self.settings, self.files, self.spec, self.endpoints)

    def database(self, service: str) -> psycopg.Connection[Any]:
        """A new superuser connection (autocommit) to a database, such as `shard-0` or `warehouse`; close it."""
        from airbed.clients.postgres import connect

        if service not in DATABASE_SERVICES:
            raise UsageError(f"there is no database '{service}'; there are: {', '.join(DATABASE_SERVICES)}")
        return connect(self.endpoints.databases[service])

    @cached_property
    def s3(self) -> Any:
        """A boto3 S3 client."""
        from airbed.clients.s3 import s3_client

        return s3_client(self.endpoints.s3)

    @cached_property
    def airflow(self) -> AirflowClient:
        """Airflow's REST API."""
        from airbed.clients.airflow import AirflowClient

        return AirflowClient(self.endpoints.airflow)

    @cached_property
    def metadata(self) -> Metadata:
        """Airflow's metadata database, read only."""
        from airbed.clients.metadata import Metadata

        return Metadata(self.endpoints.databases["metadata"].url(admin=True))

    @cached_property
    def director(self) -> DirectorClient:
        """Task rules and metrics."""
        from airbed.clients.director import DirectorClient

        return DirectorClient(self.endpoints.director)

    @cached_property
    def toxiproxy(self) -> ToxiproxyClient:
        """The proxies between tasks and services; Unavailable when the bed has none."""
        from airbed.clients.toxiproxy import ToxiproxyClient

        if self.endpoints.toxiproxy is None:
            raise Unavailable(
                f"bed '{self.name}' has no Toxiproxy, its tasks reach services directly: see `airbed doctor` for Go,"
                f" then make the bed anew: airbed down --name {self.name}, airbed up --name {self.name}"
            )
        return ToxiproxyClient(self.endpoints.toxiproxy)

    def kubernetes(self, cluster: str | None = None) -> Any:
        """A kubernetes.client.ApiClient with the rights of one region's account, or with all rights."""
        from kubernetes import config

        if not self.spec.kubernetes:
            raise Unavailable(
                f"bed '{self.name}' has no Kubernetes; add it: airbed up --name {self.name} --with kubernetes"
            )
        endpoint = self.endpoints.kubernetes
        path = endpoint.regions[cluster].kubeconfig if cluster else endpoint.kubeconfig
        return config.new_client_from_config(str(path))
