"""`kubernetes.node-gone`: the node that all pods run on is gone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from airbed.faults.kubernetes import KubernetesFault, administrator, events
from airbed.faults.model import Plan, Target
from airbed.topology import REGIONS

if TYPE_CHECKING:
    from airbed.bed import Bed
    from airbed.kubernetes.api import Api

_NODES = "/api/v1/nodes"


class NodeGone(KubernetesFault):
    """The bed's one node, which all regions share, is deleted with its pods, as a cloud does with a lost machine.

    Deployments have no available pods, new pods stay Pending (FailedScheduling) until the node is back.
    """

    kind: ClassVar[str] = "kubernetes.node-gone"
    summary: ClassVar[str] = "the node is gone with its pods; new ones stay Pending (FailedScheduling)"
    example: ClassVar[dict[str, Any]] = {}

    def target(self) -> Target:
        """All nodes."""
        return ("nodes",)

    def plan(self, bed: Bed, key: str) -> Plan:
        """What is needed to make the node again."""
        with administrator(bed) as api:
            found = api.call("GET", _NODES)["items"]
        kept = [{part: each["metadata"].get(part, {}) for part in ("name", "labels", "annotations")} for each in found]
        return super().plan(bed, key) | {"nodes": kept}

    def apply(self, bed: Bed, plan: Plan) -> None:
        """Delete the nodes, then the pods that were on them, at once."""
        with administrator(bed) as api:
            for node in plan["nodes"]:
                api.delete(_node(node))
            for region in REGIONS:
                for pod in _placed(api, region.cluster, plan):
                    at = f"/api/v1/namespaces/{region.cluster}/pods/{pod}"
                    api.request("DELETE", at, gracePeriodSeconds=0)

    def confirm(self, bed: Bed, plan: Plan) -> None:
        """Wait until no pod is placed anywhere."""
        with administrator(bed) as api:
            for region in REGIONS:
                api.wait_until(
                    f"the end of the pods of {region.cluster}",
                    f"/api/v1/namespaces/{region.cluster}/pods",
                    lambda found: not any(each["spec"].get("nodeName") for each in found["items"]),
                )

    def undo(self, bed: Bed, plan: Plan) -> None:
        """Make the nodes again and wait until they are ready."""
        with administrator(bed) as api:
            for node in plan["nodes"]:
                api.apply(_node(node))
                api.wait_until(f"node {node['name']}", f"{_NODES}/{node['name']}", _is_ready, timeout=60)

    def fired(self, bed: Bed, plan: Plan) -> int | None:
        """How many pods found no place."""
        return len(
            {(each.cluster, pod) for each in REGIONS for pod, _ in events(bed, each.cluster, plan, "FailedScheduling")}
        )


def _node(metadata: dict[str, Any]) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Node", "metadata": metadata}


def _placed(api: Api, namespace: str, plan: Plan) -> list[str]:
    nodes = {each["name"] for each in plan["nodes"]}
    found = api.call("GET", f"/api/v1/namespaces/{namespace}/pods")["items"]
    return [each["metadata"]["name"] for each in found if each["spec"].get("nodeName") in nodes]


def _is_ready(node: dict[str, Any]) -> bool:
    conditions = {each["type"]: each["status"] for each in node.get("status", {}).get("conditions", [])}
    taints = {each["key"] for each in node["spec"].get("taints", [])}
    return conditions.get("Ready") == "True" and not any(each.startswith("node.kubernetes.io/") for each in taints)
