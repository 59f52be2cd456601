"""s3.latency."""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import Field

from airbed.clients.director_rules import S3Action
from airbed.faults.s3rules import AnyRequest


class S3Latency(AnyRequest):
    """Requests are held back before they reach S3."""

    kind: ClassVar[str] = "s3.latency"
    action: ClassVar[S3Action] = "latency"
    summary: ClassVar[str] = "S3 answers later"
    example: ClassVar[dict[str, Any]] = {"bucket": "raw-data", "key": "*.csv", "seconds": 0.5}

    seconds: float = Field(gt=0, le=3600, description="seconds that a request is held back")
