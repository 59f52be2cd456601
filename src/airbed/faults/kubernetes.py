"""What the Kubernetes kinds have in common: regions, faults by Stages, events that tell what was hit."""

from __future__ import annotations

from abc import ABC
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from airbed.errors import Unavailable
from airbed.faults.model import Fault, Plan
from airbed.kubernetes import policies, stages
from airbed.kubernetes.api import Api

if TYPE_CHECKING:
    from airbed.bed import Bed

Cluster = Literal["prod-use1", "prod-usw2", "prod-euw1", "prod-apse1", "staging-use1"]
_SECONDS = len("2026-01-05T00:00:00")  # some events have parts of a second
KEY_LABEL = f"{stages.FAULT_LABEL}-key"


class KubernetesFault(Fault, ABC):
    """A fault of the bed's Kubernetes. Its plan has the moment, in whole seconds as the API's events have it."""

    level = "platform"

    def check(self, bed: Bed) -> None:
        """Refuse on a bed without Kubernetes, or while its API does not answer."""
        if not bed.spec.kubernetes:
            raise Unavailable(
                f"bed '{bed.name}' has no Kubernetes; add it: airbed up --name {bed.name} --with kubernetes"
            )
        with administrator(bed) as api:
            api.call("GET", "/api/v1/namespaces", limit=1)

    def plan(self, bed: Bed, key: str) -> Plan:
        """The fault's name and the moment."""
        return {"key": key, "since": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")}


class RegionFault(KubernetesFault, ABC):
    """A fault of one region."""

    region: Cluster = Field(description="the region's cluster, which is its namespace")


class StageFault(RegionFault, ABC):
    """A fault of pods that start; `stage` is its file in infra/kubernetes/stages, by which KWOK plays it.

    A real kubelet does it by itself: there the fault is a policy that changes pods on their way in.
    """

    stage: ClassVar[str]
    reason: ClassVar[str]
    words: ClassVar[str]

    image: str | None = Field(None, description="only pods of this image, such as web:1.2.4")

    def apply(self, bed: Bed, plan: Plan) -> None:
        """Create the Stages, or the policy, under the fault's name."""
        with administrator(bed) as api:
            if not stages.is_simulated(api):
                labels = {
                    stages.FAULT_LABEL: self.stage,
                    f"{stages.FAULT_LABEL}-cluster": self.region,
                    KEY_LABEL: plan["key"],
                }
                for each in policies.documents(
                    plan["key"], labels, self.stage, self.region, self.image, self._seconds()
                ):
                    api.apply(each)
                return
            infra = bed.settings.resources.infra / "kubernetes"
            for each in stages.fault_stages(infra, self.stage, self.region, self.image, self._seconds()):
                each["metadata"]["name"] = f"{plan['key']}.{each['metadata']['name']}"
                each["metadata"]["labels"][KEY_LABEL] = plan["key"]
                # What shows that a pod was met: a kubelet says it too.
                each["spec"]["next"].setdefault(
                    "event", {"type": "Normal", "reason": "Pulling", "message": "Pulling image"}
                )
                api.apply(each)

    def confirm(self, bed: Bed, plan: Plan) -> None:
        """See that the API serves the Stages to the kubelet's part, or that it changes pods."""
        with administrator(bed) as api:
            if not stages.is_simulated(api):
                policies.await_force(api, plan["key"], self.region, self.image)
                return
        if not _stages(bed, plan):
            raise Unavailable(f"the Stages of {self.kind} in {self.region} are gone; were all faults ended by a reset?")

    def undo(self, bed: Bed, plan: Plan) -> None:
        """Delete the Stages, or the policy; pods that they held recover within seconds."""
        with administrator(bed) as api:
            if not stages.is_simulated(api):
                for each in policies.present(api, f"{KEY_LABEL}={plan['key']}"):
                    policies.end(api, each)
                return
            for each in _stages(bed, plan):
                api.delete({"kind": "Stage", "metadata": each["metadata"]})

    def fired(self, bed: Bed, plan: Plan) -> int | None:
        """How many pods were met."""
        with administrator(bed) as api:
            if not stages.is_simulated(api):
                return policies.met(api, plan["key"], self.region)
        return len({name for name, message in events(bed, self.region, plan, self.reason) if self.words in message})

    def _seconds(self) -> float | None:
        return None


def administrator(bed: Bed) -> Api:
    """The API with all rights, past the fault plane; close it."""
    return Api(bed.endpoints.kubernetes.kubeconfig)


def events(bed: Bed, namespace: str, plan: Plan, reason: str) -> list[tuple[str, str]]:
    """Name of the object and message of the events with that reason since the fault was planned."""
    path = f"/api/v1/namespaces/{namespace}/events"
    with administrator(bed) as api:
        found = api.call("GET", path, fieldSelector=f"reason={reason}")["items"]
    return [
        (each["involvedObject"].get("name", ""), each.get("message") or "")
        for each in found
        if _last(each) >= plan["since"][:_SECONDS]
    ]


def _last(event: dict[str, Any]) -> str:
    found = event.get("lastTimestamp") or event.get("eventTime") or event["metadata"]["creationTimestamp"]
    return str(found)[:_SECONDS]


def _stages(bed: Bed, plan: Plan) -> list[dict[str, Any]]:
    with administrator(bed) as api:
        found: list[dict[str, Any]] = api.call("GET", stages.STAGES, labelSelector=f"{KEY_LABEL}={plan['key']}")[
            "items"
        ]
    return found
