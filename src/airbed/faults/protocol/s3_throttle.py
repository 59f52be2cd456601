"""s3.throttle."""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import Field

from airbed.clients.director_rules import S3Action
from airbed.faults.s3rules import AnyRequest


class S3Throttle(AnyRequest):
    """The bodies of requests and answers pass at so many bytes a second."""

    kind: ClassVar[str] = "s3.throttle"
    action: ClassVar[S3Action] = "throttle"
    summary: ClassVar[str] = "S3 is slow to send and to take"
    example: ClassVar[dict[str, Any]] = {"bucket": "raw-data", "bytes_per_second": 100_000}

    bytes_per_second: int = Field(ge=1, description="bytes a second, for each request")
