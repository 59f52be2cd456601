"""What a Deployment and its pods say about a rollout: documents as the Kubernetes API gives them, in plain words."""

from __future__ import annotations

from collections import Counter
from typing import Any

MESSAGE_LIMIT = 160  # characters of one pod's message
NAMED_PODS = 3

Document = dict[str, Any]


def complete(deployment: Document, generation: int) -> bool:
    """Whether all pods of this generation, and no others, are there and available (as `kubectl rollout status`)."""
    status, wanted = deployment.get("status", {}), deployment["spec"]["replicas"]
    counts = (status.get(each, 0) for each in ("updatedReplicas", "replicas", "availableReplicas"))
    return status.get("observedGeneration", 0) >= generation and all(count == wanted for count in counts)


def exceeded(deployment: Document) -> tuple[int, str] | None:
    """Identifies the verdict that the rollout ran past its deadline; None when there is no such verdict.

    The verdict of an older generation is not one about this generation.
    """
    found, observed = condition(deployment, "Progressing"), deployment.get("status", {}).get("observedGeneration", 0)
    if found is None or found["status"] != "False" or observed < deployment["metadata"]["generation"]:
        return None
    return (observed, found["lastUpdateTime"]) if found.get("reason") == "ProgressDeadlineExceeded" else None


def condition(deployment: Document, kind: str) -> Document | None:
    """One of the Deployment's conditions: Available, Progressing or ReplicaFailure."""
    conditions = deployment.get("status", {}).get("conditions") or []
    return next((each for each in conditions if each["type"] == kind), None)


def pod_reasons(pods: list[Document]) -> list[str]:
    """Why pods are not ready: one text for each reason, with the pods' names, the most frequent reason first."""
    found: dict[tuple[str, str], list[str]] = {}
    for pod in sorted(pods, key=lambda each: each["metadata"]["name"]):
        reason = pod_reason(pod)
        if reason is not None:
            found.setdefault(reason, []).append(pod["metadata"]["name"])
    order = Counter({reason: len(names) for reason, names in found.items()}).most_common()
    texts = []
    for (word, message), count in order:
        names = found[word, message]
        more = f" and {count - NAMED_PODS} more" if count > NAMED_PODS else ""
        texts.append(f"{', '.join(names[:NAMED_PODS])}{more}: {word}" + (f" ({message})" if message else ""))
    return texts


def pod_reason(pod: Document) -> tuple[str, str] | None:
    """Reason and message of a pod that is not ready; None for a ready one."""
    status = pod.get("status", {})
    conditions = {each["type"]: each for each in status.get("conditions") or []}
    if conditions.get("Ready", {}).get("status") == "True":
        return None
    for container in [*(status.get("initContainerStatuses") or []), *(status.get("containerStatuses") or [])]:
        if container.get("ready"):
            continue
        state = container.get("state", {})
        stopped = state.get("terminated") or container.get("lastState", {}).get("terminated")
        restarts = f"{container['restartCount']} restarts, " if container.get("restartCount") else ""
        if waiting := state.get("waiting"):
            last = f"{restarts}last exit {stopped['exitCode']}" if stopped else ""
            return waiting.get("reason", "Waiting"), (last or waiting.get("message", ""))[:MESSAGE_LIMIT]
        if stopped:
            return "CrashLoopBackOff" if restarts else "Error", f"{restarts}last exit {stopped['exitCode']}"
    scheduled = conditions.get("PodScheduled", {})
    if scheduled.get("status") == "False":
        return scheduled.get("reason", "Unschedulable"), scheduled.get("message", "")[:MESSAGE_LIMIT]
    return status.get("phase", "Pending"), "not ready"
