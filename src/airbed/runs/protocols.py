"""What the runs need of a bed (`airbed.bed.Bed` has it all)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from airbed.clients.airflow import AirflowClient
    from airbed.clients.metadata import Metadata


class RunBed(Protocol):
    """A living bed with its Airflow."""

    @property
    def name(self) -> str:
        """The bed's name."""

    @property
    def airflow(self) -> AirflowClient:
        """The REST API."""

    @property
    def metadata(self) -> Metadata:
        """The metadata database."""


class StoringBed(RunBed, Protocol):
    """A bed with its S3 too."""

    @property
    def s3(self) -> Any:
        """A boto3 S3 client."""
