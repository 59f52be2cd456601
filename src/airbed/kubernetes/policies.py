"""Faults of a region on a cluster with a real kubelet: a MutatingAdmissionPolicy changes pods on their way in.

What a Stage tells KWOK to play, a kubelet does by itself when a pod asks for it: an image that must be pulled and
cannot be, a program that ends, a container that takes its time. Pods that were changed are deleted when the fault
ends, so that their owner makes them anew.
"""

from __future__ import annotations

import json
import time
from typing import Any

from airbed.errors import Unavailable
from airbed.kubernetes.api import Api, message

POLICY, BINDING = "MutatingAdmissionPolicy", "MutatingAdmissionPolicyBinding"
POLICIES = "/apis/admissionregistration.k8s.io/v1beta1/mutatingadmissionpolicies"
BINDINGS = "/apis/admissionregistration.k8s.io/v1beta1/mutatingadmissionpolicybindings"
# On each pod that a fault has changed.
MET = "airbed-fault"
SLOW_SECONDS = 20.0
# Of a pod that asks for nothing else.
GRACE_SECONDS = 30
_PATIENCE = 20.0  # seconds
_FIRST = "/spec/containers/0"


def _patch(expression: str) -> dict[str, Any]:
    return {"patchType": "JSONPatch", "jsonPatch": {"expression": expression}}


_NEVER_READY = _patch(
    f'[JSONPatch{{op: "add", path: "{_FIRST}/readinessProbe", value: Object.spec.containers.readinessProbe{{'
    "grpc: Object.spec.containers.readinessProbe.grpc{port: 1}}}]"
)
_MUTATIONS: dict[str, list[dict[str, Any]]] = {
    # No registry has it; the kubelet asks although the image is here.
    "never-pulls": [_patch(f'[JSONPatch{{op: "add", path: "{_FIRST}/imagePullPolicy", value: "Always"}}]')],
    # The regions' own image ends with 1 when it is told so; a probe that nobody answers keeps it from being ready for
    # the moment before. A JSONPatch with a list would end the API server (1.35.4).
    "crash-loops": [
        {
            "patchType": "ApplyConfiguration",
            "applyConfiguration": {
                "expression": "Object{spec: Object.spec{containers: object.spec.containers.map(c,"
                ' Object.spec.containers{name: c.name, env: [Object.spec.containers.env{name: "FAIL", value: "1"}]})}}'
            },
        },
        _NEVER_READY,
    ],
    # A container whose hook is not over is in ContainerCreating.
    "slow-to-start": [
        _patch(
            f'[JSONPatch{{op: "add", path: "{_FIRST}/lifecycle", value: Object.spec.containers.lifecycle{{'
            "postStart: Object.spec.containers.lifecycle.postStart{"
            "sleep: Object.spec.containers.lifecycle.postStart.sleep{seconds: SECONDS}}}}]"
        )
    ],
}


def documents(
    name: str, labels: dict[str, str], fault: str, cluster: str, image: str | None, seconds: float | None
) -> list[dict[str, Any]]:
    """The policy and its binding for one fault of a region."""
    wanted = max(1, round(SLOW_SECONDS if seconds is None else seconds))
    mutations = json.loads(json.dumps(_MUTATIONS[fault]).replace("SECONDS", str(wanted)))
    if fault == "slow-to-start" and wanted >= GRACE_SECONDS:
        # A hook's sleep must be shorter than the pod's grace, and a pod with more grace takes that long to be deleted.
        # So the pod runs, and is not ready until the fault ends.
        mutations = [_NEVER_READY]
    mark = f'[JSONPatch{{op: "add", path: "/metadata/labels/{MET}", value: "{name}"}}]'
    none = '[JSONPatch{op: "add", path: "/metadata/labels", value: Object.metadata.labels{}}]'
    spec: dict[str, Any] = {
        "failurePolicy": "Fail",
        "reinvocationPolicy": "Never",
        "matchConstraints": {
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": cluster}},
            "resourceRules": [
                {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}
            ],
        },
        "mutations": [_patch(f"(has(object.metadata.labels) ? [] : {none}) + {mark}"), *mutations],
    }
    if image is not None:
        expression = f"object.spec.containers[0].image == {json.dumps(image)}"
        spec["matchConditions"] = [{"name": "image", "expression": expression}]
    metadata = {"name": name, "labels": labels}
    version = "admissionregistration.k8s.io/v1beta1"
    return [
        {"apiVersion": version, "kind": POLICY, "metadata": metadata, "spec": spec},
        {"apiVersion": version, "kind": BINDING, "metadata": metadata, "spec": {"policyName": name}},
    ]


def present(api: Api, selector: str) -> list[dict[str, Any]]:
    """The policies with these labels."""
    found: list[dict[str, Any]] = api.call("GET", POLICIES, labelSelector=selector)["items"]
    return found


def await_force(api: Api, name: str, cluster: str, image: str | None, *, force: bool = True) -> None:
    """Return when new pods of the region are changed (or, with `force` false, no longer are)."""
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"generateName": "airbed-asks-", "namespace": cluster},
        "spec": {"containers": [{"name": "asks", "image": image or "web:0"}]},
    }
    deadline = time.monotonic() + _PATIENCE
    while True:
        answer = api.request("POST", f"/api/v1/namespaces/{cluster}/pods", pod, dryRun="All")
        found = answer.json().get("metadata", {}).get("labels", {}).get(MET) if answer.is_success else None
        # Admission's last word may be another one, after the policy's: a quota that is used up.
        if (found == name) is force or (force and "exceeded quota" in answer.text):
            return
        if time.monotonic() > deadline:
            state = "does not change" if force else "still changes"
            said = "" if answer.is_success else f": {message(answer)}"
            raise Unavailable(f"the policy {name} {state} new pods of {cluster} after {_PATIENCE:g} s{said}")
        time.sleep(0.1)


def end(api: Api, policy: dict[str, Any]) -> None:
    """Delete a policy with its binding, then the pods that it has changed; others are made in their place."""
    name = policy["metadata"]["name"]
    for kind in (BINDING, POLICY):
        api.delete({"kind": kind, "metadata": {"name": name}})
    cluster = policy["spec"]["matchConstraints"]["namespaceSelector"]["matchLabels"]["kubernetes.io/metadata.name"]
    conditions = policy["spec"].get("matchConditions") or []
    image = json.loads(conditions[0]["expression"].partition(" == ")[2]) if conditions else None
    await_force(api, name, cluster, image, force=False)
    pods = f"/api/v1/namespaces/{cluster}/pods"
    for pod in api.call("GET", pods, labelSelector=f"{MET}={name}")["items"]:
        api.request("DELETE", f"{pods}/{pod['metadata']['name']}", gracePeriodSeconds=0)


def met(api: Api, name: str, cluster: str) -> int:
    """How many pods that are there now were changed."""
    return len(api.call("GET", f"/api/v1/namespaces/{cluster}/pods", labelSelector=f"{MET}={name}")["items"])
