"""`kubernetes.quota`: a region may have fewer pods than it needs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from airbed.faults.kubernetes import RegionFault, administrator, events
from airbed.faults.model import Plan

if TYPE_CHECKING:
    from airbed.bed import Bed


class Quota(RegionFault):
    """A second ResourceQuota in the region's namespace: what exceeds it is refused by the API (403 exceeded quota).

    Pods that are there stay; a rollout that needs more hangs with FailedCreate until its deadline.
    """

    kind: ClassVar[str] = "kubernetes.quota"
    summary: ClassVar[str] = "a region's quota allows too few pods (403, FailedCreate)"
    example: ClassVar[dict[str, Any]] = {"region": "prod-use1", "pods": 5}

    pods: int = Field(ge=0, description="pods that the region may have, the present ones included")

    def apply(self, bed: Bed, plan: Plan) -> None:
        """Create the quota."""
        with administrator(bed) as api:
            api.apply(self._quota(plan) | {"spec": {"hard": {"pods": str(self.pods)}}})

    def confirm(self, bed: Bed, plan: Plan) -> None:
        """Wait until it is counted: admission decides by the status, which a controller brings up to date."""
        wanted = {"pods": str(self.pods)}
        with administrator(bed) as api:
            api.wait_until(
                f"the quota of {self.region}",
                f"/api/v1/namespaces/{self.region}/resourcequotas/{plan['key']}",
                lambda found: found.get("status", {}).get("hard") == wanted,
            )

    def undo(self, bed: Bed, plan: Plan) -> None:
        """Delete it."""
        with administrator(bed) as api:
            api.delete(self._quota(plan))
            api.wait_until(
                f"the end of the quota of {self.region}",
                f"/api/v1/namespaces/{self.region}/resourcequotas",
                lambda found: all(each["metadata"]["name"] != plan["key"] for each in found["items"]),
            )

    def fired(self, bed: Bed, plan: Plan) -> int | None:
        """How many kinds of refusal the controllers have reported."""
        refused = events(bed, self.region, plan, "FailedCreate")
        return sum(f"exceeded quota: {plan['key']}" in message for _, message in refused)

    def _quota(self, plan: Plan) -> dict[str, Any]:
        metadata = {"name": plan["key"], "namespace": self.region}
        return {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": metadata}
