"""s3.error."""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import Field

from airbed.clients.director_rules import S3Action
from airbed.faults.s3rules import AnyRequest


class S3Error(AnyRequest):
    """S3 answers with an error instead of doing what was asked.

    Such as 503 SlowDown, 500 InternalError, 403 AccessDenied, 404 NoSuchKey.
    """

    kind: ClassVar[str] = "s3.error"
    action: ClassVar[S3Action] = "error"
    summary: ClassVar[str] = "S3 answers with an error"
    example: ClassVar[dict[str, Any]] = {"bucket": "raw-data", "key": "raw/2026/*", "status": 503, "times": 5}

    status: int = Field(default=503, ge=400, le=599, description="the HTTP status")
    code: str | None = Field(
        default=None, pattern=r"^[A-Za-z]+$", description="S3's code (default: the usual one of the status)"
    )
