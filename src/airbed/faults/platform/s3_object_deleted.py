"""`s3.object-deleted`: objects are gone, though they were there a moment ago."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from airbed.errors import Unavailable, UsageError
from airbed.faults import objects
from airbed.faults.model import Fault, Level, Plan, Target

if TYPE_CHECKING:
    from airbed.bed import Bed


class ObjectDeleted(Fault):
    """The objects that match now are deleted: readers get 404 NoSuchKey, listings do not show them.

    At the end each is put back, unless something of its key was written in the meantime.
    """

    kind: ClassVar[str] = "s3.object-deleted"
    level: ClassVar[Level] = "platform"
    summary: ClassVar[str] = "objects are deleted while a run works on them (404)"
    example: ClassVar[dict[str, Any]] = {"bucket": "raw-data", "key": "raw/2026/01/05/*"}

    bucket: str = Field(description="the bucket", min_length=1)
    key: str = Field(description="the object's key; * and ? stand for any characters", min_length=1)

    def target(self) -> Target:
        """The objects."""
        return "object", self.bucket, self.key

    def check(self, bed: Bed) -> None:
        """Refuse when no object matches."""
        with objects.reaching(bed) as s3:
            objects.ensure_bucket_exists(s3, self.bucket)
            if not self._matching(s3):
                some = ", ".join(list(objects.keys(s3, self.bucket))[:5]) or "nothing"
                raise UsageError(f"no object of {self.bucket} matches '{self.key}'; it has: {some}")

    def plan(self, bed: Bed, key: str) -> Plan:
        """The keys of the objects."""
        with objects.reaching(bed) as s3:
            return {"key": key, "objects": self._matching(s3)}

    def apply(self, bed: Bed, plan: Plan) -> None:
        """Copy them aside, then delete them."""
        with objects.reaching(bed) as s3:
            objects.keep(s3, self.bucket, plan["key"], plan["objects"])
            for each in plan["objects"]:
                s3.delete_object(Bucket=self.bucket, Key=each)

    def confirm(self, bed: Bed, plan: Plan) -> None:
        """See that they are gone."""
        with objects.reaching(bed) as s3:
            left = [each for each in plan["objects"] if objects.head(s3, self.bucket, each)]
        if left:
            raise Unavailable(
                f"{left[0]} of {self.bucket} is still there after its deletion: a task has written it anew"
            )

    def undo(self, bed: Bed, plan: Plan) -> None:
        """Put back what is missing."""
        with objects.reaching(bed) as s3:
            objects.give_back(s3, self.bucket, plan["key"])

    def _matching(self, s3: Any) -> list[str]:
        return [each for each in objects.keys(s3, self.bucket) if fnmatchcase(each, self.key)]
