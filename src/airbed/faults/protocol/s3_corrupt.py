"""s3.corrupt."""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import Field

from airbed.clients.director_rules import S3Action
from airbed.faults.s3rules import ChosenRequests


class S3Corrupt(ChosenRequests):
    """One byte in the body of an object is inverted; length and ETag stay.

    Bodies that do not have that byte are left as they are and not counted.
    """

    kind: ClassVar[str] = "s3.corrupt"
    action: ClassVar[S3Action] = "corrupt"
    summary: ClassVar[str] = "S3 sends an object with a wrong byte"
    example: ClassVar[dict[str, Any]] = {"bucket": "raw-data", "key": "*.csv", "at_byte": 10}

    at_byte: int | None = Field(
        default=None, ge=0, description="the byte, from 0 (default: by the hash, within the body)"
    )
