"""s3.reset."""

from __future__ import annotations

from typing import Any, ClassVar

from airbed.clients.director_rules import S3Action
from airbed.faults.s3rules import AnyRequest


class S3Reset(AnyRequest):
    """The connection ends without an answer, and the request never reaches S3.

    The director resets it (RST); behind Toxiproxy the client sees an ordinary end, which botocore takes the same way.
    """

    kind: ClassVar[str] = "s3.reset"
    action: ClassVar[S3Action] = "reset"
    summary: ClassVar[str] = "S3 ends the connection without an answer"
    example: ClassVar[dict[str, Any]] = {"bucket": "processed-data", "methods": ["PUT"], "nth": [1]}
