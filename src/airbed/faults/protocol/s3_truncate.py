"""s3.truncate."""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import Field

from airbed.clients.director_rules import S3Action
from airbed.faults.s3rules import ChosenRequests


class S3Truncate(ChosenRequests):
    """The body of an object ends too early.

    Its Content-Length still says the whole, so that a client can see it; with `fit_length` it agrees with what comes,
    and only the content can tell. Bodies that do not have that byte are left whole and not counted.
    """

    kind: ClassVar[str] = "s3.truncate"
    action: ClassVar[S3Action] = "truncate"
    summary: ClassVar[str] = "S3 sends only a part of an object"
    example: ClassVar[dict[str, Any]] = {"bucket": "raw-data", "key": "*.csv", "at_byte": 1000, "nth": [1]}

    at_byte: int | None = Field(
        default=None, ge=0, description="the first byte that is missing, from 0 (default: by the hash, within the body)"
    )
    fit_length: bool = Field(default=False, description="make Content-Length agree with the short body")
