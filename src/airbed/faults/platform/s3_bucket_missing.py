"""`s3.bucket-missing`: a bucket is not there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from airbed.errors import Unavailable
from airbed.faults import objects
from airbed.faults.model import Fault, Level, Plan, Target

if TYPE_CHECKING:
    from airbed.bed import Bed


class BucketMissing(Fault):
    """The bucket is deleted with all its objects: 404 NoSuchBucket.

    At the end it is made again and its objects are put back, but for those that were written in the meantime, should
    a task have made the bucket itself.
    """

    kind: ClassVar[str] = "s3.bucket-missing"
    level: ClassVar[Level] = "platform"
    summary: ClassVar[str] = "a bucket and all its objects are gone (404 NoSuchBucket)"
    example: ClassVar[dict[str, Any]] = {"bucket": "processed-data"}

    bucket: str = Field(description="the bucket", min_length=1)

    def target(self) -> Target:
        """Every object of the bucket."""
        return "object", self.bucket, None

    def check(self, bed: Bed) -> None:
        """Refuse a bucket that is not there."""
        with objects.reaching(bed) as s3:
            objects.ensure_bucket_exists(s3, self.bucket)

    def apply(self, bed: Bed, plan: Plan) -> None:
        """Copy everything aside, then delete the bucket."""
        with objects.reaching(bed) as s3:
            objects.keep(s3, self.bucket, plan["key"], list(objects.keys(s3, self.bucket)))
            objects.delete_all(s3, self.bucket)
            s3.delete_bucket(Bucket=self.bucket)

    def confirm(self, bed: Bed, plan: Plan) -> None:
        """See that it is gone."""
        with objects.reaching(bed) as s3:
            if objects.has_bucket(s3, self.bucket):
                raise Unavailable(f"bucket {self.bucket} is still there after its deletion: a task has made it anew")

    def undo(self, bed: Bed, plan: Plan) -> None:
        """Make it again with its objects."""
        with objects.reaching(bed) as s3:
            # Without the copies nothing was deleted yet, or everything is back.
            if objects.has_bucket(s3, objects.aside(plan["key"])) and not objects.has_bucket(s3, self.bucket):
                s3.create_bucket(Bucket=self.bucket)
            objects.give_back(s3, self.bucket, plan["key"])
