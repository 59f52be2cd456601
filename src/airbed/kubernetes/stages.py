"""What the simulated kubelet (KWOK) does with pods, and how a test makes it do something else in one region.

The API server, the controllers and the scheduler are real; KWOK plays the kubelet by `Stage` objects. They live in the
API, so a fault is switched on by creating some and off by deleting them, while everything runs.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from airbed.errors import UsageError
from airbed.kubernetes import policies
from airbed.kubernetes.api import Api
from airbed.kubernetes.build import Tools

# The faults that exist: a file of infra/kubernetes/stages each.
FAULTS = ("never-pulls", "crash-loops", "slow-to-start")
FAULT_LABEL = "airbed/fault"
STAGES = "/apis/kwok.x-k8s.io/v1alpha1/stages"


def install(api: Api, tools: Tools) -> None:
    """Put the Stage resource and all Stages of a bed into the API; changes nothing when they are there."""
    definition = yaml.safe_load((tools.kwok / "crd/bases/kwok.x-k8s.io_stages.yaml").read_text())
    api.apply(definition)
    api.wait_until("serving stages", STAGES, lambda found: "items" in found)
    for stage in load(tools):
        api.apply(stage)


def load(tools: Tools) -> list[dict[str, Any]]:
    """The Stages of a bed: KWOK's own for ordinary life, then the project's."""
    found = [stage for path in sorted(tools.kwok.glob("stage/**/*.yaml")) for stage in documents(path)]
    for stage in found:
        if stage["metadata"]["name"] == "pod-ready":
            # Pods that a fault holds have container statuses: they are not to become ready by the ordinary way.
            untouched = {"key": ".status.containerStatuses", "operator": "DoesNotExist"}
            stage["spec"]["selector"]["matchExpressions"].append(untouched)
    own = sorted((tools.infra / "stages").glob("*.yaml"))
    return found + [stage for path in own for stage in documents(path)]


def documents(path: Path) -> Iterator[dict[str, Any]]:
    """The YAML documents of a file."""
    return (document for document in yaml.safe_load_all(path.read_text()) if document)


def fault_stages(
    infra: Path, fault: str, cluster: str, image: str | None = None, seconds: float | None = None
) -> list[dict[str, Any]]:
    """The Stages that put `fault` in force for new pods of the namespace `cluster`, and of `image` only if given.

    `seconds` is the delay of slow-to-start. Raises UsageError for an unknown fault.
    """
    if fault not in FAULTS:
        raise UsageError(f"no Kubernetes fault named '{fault}': there are {', '.join(FAULTS)}")
    made = []
    for original in documents(infra / "stages" / f"{fault}.yaml"):
        stage = copy.deepcopy(original)
        stage["metadata"] = {
            "name": f"{cluster}.{original['metadata']['name']}",
            "labels": {FAULT_LABEL: fault, f"{FAULT_LABEL}-cluster": cluster},
        }
        spec = stage["spec"]
        scope = [{"key": ".metadata.namespace", "operator": "In", "values": [cluster]}]
        if image is not None:
            scope.append({"key": ".spec.containers.[].image", "operator": "In", "values": [image]})
        spec["selector"]["matchExpressions"][:1] = scope
        spec["weight"] = 2
        if seconds is not None and "durationFrom" in spec.get("delay", {}):
            spec["delay"] = {"durationMilliseconds": round(seconds * 1000)}
        made.append(stage)
    return made


def set_fault(
    kubeconfig: Path, infra: Path, fault: str, cluster: str, *, image: str | None = None, seconds: float | None = None
) -> None:
    """Put a fault in force in one region, from now on, for pods that are not ready yet.

    `kubeconfig` is the bed's administrator's, `infra` its infra/kubernetes folder; see `fault_stages` for the rest.
    """
    with Api(kubeconfig) as api:
        if is_simulated(api):
            for stage in fault_stages(infra, fault, cluster, image, seconds):
                api.apply(stage)
            return
        name = f"airbed-{cluster}-{fault}"
        labels = {FAULT_LABEL: fault, f"{FAULT_LABEL}-cluster": cluster}
        for document in policies.documents(name, labels, fault, cluster, image, seconds):
            api.apply(document)
        policies.await_force(api, name, cluster, image)


def is_simulated(api: Api) -> bool:
    """Whether KWOK plays the kubelet; on a cluster with a real one faults are policies (`kubernetes.policies`)."""
    return api.request("GET", STAGES, limit=1).is_success


def clear_faults(kubeconfig: Path, cluster: str | None = None) -> int:
    """End all faults, or those of one region; pods recover within seconds. Returns how many there were."""
    selector = FAULT_LABEL if cluster is None else f"{FAULT_LABEL}-cluster={cluster}"
    with Api(kubeconfig) as api:
        if not is_simulated(api):
            made = policies.present(api, selector)
            for policy in made:
                policies.end(api, policy)
            return len(made)
        found = api.call("GET", STAGES, labelSelector=selector)["items"]
        for stage in found:
            api.delete({"kind": "Stage", "metadata": stage["metadata"]})
    return len(found)
