"""`s3.object-replaced`: an object has another content than a moment ago."""

from __future__ import annotations

import base64
import binascii
import hashlib
from typing import TYPE_CHECKING, Any, ClassVar, Self

from pydantic import Field, model_validator

from airbed.errors import UsageError
from airbed.faults import objects
from airbed.faults.model import Fault, Level, Plan, Target

if TYPE_CHECKING:
    from airbed.bed import Bed


class ObjectReplaced(Fault):
    """The object gets another content, whole and valid for S3; its content type and metadata stay.

    Give one of `text`, `base64` and `first_bytes`. At the end the old content is put back, unless the object was
    written or deleted by somebody else in the meantime.
    """

    kind: ClassVar[str] = "s3.object-replaced"
    level: ClassVar[Level] = "platform"
    summary: ClassVar[str] = "an object gets another content while a run works on it"
    example: ClassVar[dict[str, Any]] = {
        "bucket": "raw-data",
        "key": "raw/2026/01/05/part-00000.parquet",
        "first_bytes": 100,
    }

    bucket: str = Field(description="the bucket", min_length=1)
    key: str = Field(description="the object's key", min_length=1)
    text: str | None = Field(None, description="the new content as text")
    base64: str | None = Field(None, description="the new content in Base64")
    first_bytes: int | None = Field(None, ge=0, description="the old content, cut after so many bytes")

    @model_validator(mode="after")
    def _has_one_content(self) -> Self:
        given = [name for name in ("text", "base64", "first_bytes") if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(f"give one of text, base64 and first_bytes, not {' and '.join(given) or 'none'}")
        if self.base64 is not None:
            try:
                base64.b64decode(self.base64, validate=True)
            except binascii.Error as error:
                raise ValueError(f"base64 is no Base64: {error}") from None
        return self

    def target(self) -> Target:
        """The object."""
        return "object", self.bucket, self.key

    def check(self, bed: Bed) -> None:
        """Refuse an object that is not there."""
        with objects.reaching(bed) as s3:
            objects.ensure_bucket_exists(s3, self.bucket)
            if objects.head(s3, self.bucket, self.key) is None:
                some = ", ".join(list(objects.keys(s3, self.bucket))[:5]) or "nothing"
                raise UsageError(f"{self.bucket} has no object '{self.key}'; it has: {some}")

    def apply(self, bed: Bed, plan: Plan) -> None:
        """Copy it aside, then write the other content."""
        with objects.reaching(bed) as s3:
            objects.keep(s3, self.bucket, plan["key"], [self.key])
            found = s3.head_object(Bucket=self.bucket, Key=self.key)
            body = self._content(s3, objects.aside(plan["key"]))
            kept = {"ContentType": found.get("ContentType", "binary/octet-stream"), "Metadata": found["Metadata"]}
            s3.put_object(Bucket=self.bucket, Key=self.key, Body=body, **kept)

    def undo(self, bed: Bed, plan: Plan) -> None:
        """Put the old content back, if the object is still the one that was written here."""
        with objects.reaching(bed) as s3:
            where = objects.aside(plan["key"])
            if not objects.has_bucket(s3, where) or objects.head(s3, where, self.key) is None:
                objects.forget(s3, plan["key"])
                return
            found = objects.head(s3, self.bucket, self.key)
            written = hashlib.md5(self._content(s3, where), usedforsecurity=False).hexdigest()
            if found is not None and found["ETag"].strip('"') == written:
                s3.copy_object(Bucket=self.bucket, Key=self.key, CopySource={"Bucket": where, "Key": self.key})
            objects.forget(s3, plan["key"])

    def _content(self, s3: Any, where: str) -> bytes:
        if self.text is not None:
            return self.text.encode()
        if self.base64 is not None:
            return base64.b64decode(self.base64)
        return bytes(s3.get_object(Bucket=where, Key=self.key)["Body"].read(self.first_bytes))
