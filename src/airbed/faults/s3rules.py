"""What the kinds that break chosen S3 requests of tasks have in common: a rule at the director on their way."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

from airbed.clients.director_rules import S3Action
from airbed.errors import Unavailable
from airbed.faults.model import Fault, Level, Plan

if TYPE_CHECKING:
    from airbed.bed import Bed

FromOne = Annotated[int, Field(ge=1)]
Method = Literal["GET", "HEAD", "PUT", "POST", "DELETE"]


class ChosenRequests(Fault):
    """A fault of chosen S3 requests on the way of the tasks; requests on the direct address are left alone.

    Of those that bucket and key choose, each key's hits are counted from 1, repeats by the client's own retries
    included. A listing has its prefix for a key.
    """

    level: ClassVar[Level] = "protocol"
    action: ClassVar[S3Action]

    bucket: str | None = Field(default=None, min_length=1, description="the bucket, a glob (default: every one)")
    key: str | None = Field(
        default=None, min_length=1, description="the key, a glob in which * takes slashes too (default: every one)"
    )
    nth: FromOne | list[FromOne] | None = Field(
        default=None, description="which hits of each key, from 1; one or a list (default: all)"
    )
    share: float | None = Field(
        default=None, ge=0, le=1, description="part of the hits, by a hash of seed, bucket, key and hit (default: all)"
    )
    seed: int = Field(default=0, description="for share, and for a byte that is not given")
    times: FromOne | None = Field(default=None, description="firings at most, over all keys (default: no limit)")

    def check(self, bed: Bed) -> None:
        """Refuse a bucket that is not there, and a bed whose tasks reach S3 directly."""
        from airbed.faults.objects import ensure_bucket_exists, reaching

        if bed.endpoints.s3.task == bed.endpoints.s3.direct:
            raise Unavailable(
                f"the tasks of bed '{bed.name}' reach S3 directly, there is no director on their way;"
                f" make the bed anew: airbed down --name {bed.name}, airbed up --name {bed.name}"
            )
        if self.bucket is not None and not set(self.bucket) & set("*?["):
            try:
                with reaching(bed) as s3:
                    ensure_bucket_exists(s3, self.bucket)
            except Unavailable:
                # S3 itself may be down by another fault.
                return

    def apply(self, bed: Bed, plan: Plan) -> None:
        """Give the director the rule, under the key of this injection."""
        fields = self.model_dump(exclude_none=True)
        bed.director.add_s3_rule(**{**fields, "action": self.action, "id": plan["key"]})

    def undo(self, bed: Bed, plan: Plan) -> None:
        """Take the rule back."""
        bed.director.remove_s3_rule(plan["key"])

    def fired(self, bed: Bed, plan: Plan) -> int | None:
        """How many requests had the fault."""
        rule = bed.director.s3_rule(plan["key"])
        return None if rule is None else int(rule["fired"])


class AnyRequest(ChosenRequests):
    """A fault of requests of chosen methods."""

    methods: list[Method] | None = Field(default=None, min_length=1, description="the methods (default: every one)")
