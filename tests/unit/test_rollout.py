"""Reading a rollout: when it is complete, when it has failed, and what the pods say."""

from __future__ import annotations

import json
from typing import Any

import pytest
from kubernetes.client import ApiException

from mapping import rollout
from mapping.rollout import Rejected, Release, RolloutFailed
from mapping.rollout_status import complete, exceeded, pod_reason, pod_reasons


def deployment(generation: int = 2, observed: int = 2, **status: Any) -> dict[str, Any]:
    counts = {"updatedReplicas": 3, "replicas": 3, "availableReplicas": 3}
    return {
        "metadata": {"name": "web", "generation": generation},
        "spec": {"replicas": 3, "progressDeadlineSeconds": 10},
        "status": {"observedGeneration": observed, **counts, **status},
    }


def progressing(status: str, reason: str, at: str = "2026-01-01T00:00:00Z") -> list[dict[str, str]]:
    return [{"type": "Progressing", "status": status, "reason": reason, "lastUpdateTime": at}]


@pytest.mark.parametrize(
    ("found", "done"),
    [
        (deployment(), True),
        (deployment(observed=1), False),
        (deployment(updatedReplicas=2), False),
        (deployment(replicas=4), False),
        (deployment(availableReplicas=2), False),
        ({"metadata": {}, "spec": {"replicas": 3}}, False),
        ({"metadata": {}, "spec": {"replicas": 0}, "status": {"observedGeneration": 2}}, True),
    ],
)
def test_complete(found: dict[str, Any], done: bool) -> None:
    assert complete(found, 2) == done


def test_only_a_verdict_on_this_generation_counts() -> None:
    late = progressing("False", "ProgressDeadlineExceeded")
    assert exceeded(deployment(conditions=late)) == (2, "2026-01-01T00:00:00Z")
    assert exceeded(deployment(observed=1, conditions=late)) is None
    assert exceeded(deployment(conditions=progressing("True", "ReplicaSetUpdated"))) is None
    assert exceeded(deployment()) is None


def pod(name: str, *containers: dict[str, Any], ready: bool = False, **conditions: dict[str, Any]) -> dict[str, Any]:
    found = [{"type": "Ready", "status": str(ready)}, *({"type": kind} | more for kind, more in conditions.items())]
    return {
        "metadata": {"name": name},
        "status": {"phase": "Pending", "conditions": found, "containerStatuses": containers},
    }


def waiting(reason: str, message: str = "", restarts: int = 0, exit_code: int | None = None) -> dict[str, Any]:
    found: dict[str, Any] = {"ready": False, "restartCount": restarts}
    found["state"] = {"waiting": {"reason": reason, "message": message}}
    if exit_code is not None:
        found["lastState"] = {"terminated": {"exitCode": exit_code}}
    return found


@pytest.mark.parametrize(
    ("found", "reason"),
    [
        (pod("a", ready=True), None),
        (pod("a", waiting("ImagePullBackOff", 'Back-off pulling "x"')), ("ImagePullBackOff", 'Back-off pulling "x"')),
        (pod("a", waiting("CrashLoopBackOff", "x", 3, 137)), ("CrashLoopBackOff", "3 restarts, last exit 137")),
        (
            pod(
                "a",
                {
                    "ready": False,
                    "restartCount": 2,
                    "state": {"running": {}},
                    "lastState": {"terminated": {"exitCode": 1}},
                },
            ),
            ("CrashLoopBackOff", "2 restarts, last exit 1"),
        ),
        (
            pod("a", PodScheduled={"status": "False", "reason": "Unschedulable", "message": "0/1 nodes"}),
            ("Unschedulable", "0/1 nodes"),
        ),
        (pod("a"), ("Pending", "not ready")),
        ({"metadata": {"name": "a"}}, ("Pending", "not ready")),
    ],
)
def test_pod_reason(found: dict[str, Any], reason: tuple[str, str] | None) -> None:
    assert pod_reason(found) == reason


def test_pods_with_the_same_reason_share_a_line() -> None:
    pods = [pod(f"web-{n}", waiting("ImagePullBackOff", "no such image")) for n in range(5)]
    pods += [pod("odd", waiting("CreateContainerConfigError")), pod("fine", ready=True)]
    assert pod_reasons(pods) == [
        "web-0, web-1, web-2 and 2 more: ImagePullBackOff (no such image)",
        "odd: CreateContainerConfigError",
    ]


@pytest.mark.parametrize(
    ("status", "message", "kind"),
    [
        (403, 'deployments.apps "web" is forbidden: User "u" cannot patch', Rejected),
        (422, "Deployment is invalid", Rejected),
        (401, "Unauthorized", Rejected),
        (403, 'deployments.apps "web" is forbidden: exceeded quota: region', RolloutFailed),
        (500, "etcd leader changed", RolloutFailed),
        (503, "unavailable", RolloutFailed),
    ],
)
def test_only_what_cannot_heal_is_rejected(status: int, message: str, kind: type[Exception]) -> None:
    error = ApiException(status=status, reason="short")
    error.body = json.dumps({"message": message})
    refused = rollout._refused(error)
    assert type(refused) is kind
    assert str(refused) == f"the cluster refused: {status} {message}"


def test_an_answer_without_a_message() -> None:
    assert (
        str(rollout._refused(ApiException(status=502, reason="Bad Gateway"))) == "the cluster refused: 502 Bad Gateway"
    )


def test_the_manifest_keeps_the_old_version_until_the_new_one_is_ready() -> None:
    release = Release("web", "web:1.2.4", "1.2.4", "s3://artifacts/v1.2.4", 3, 30)
    made = rollout._manifest("web", release.template(), 3, 30, run_id="run-1", before="")
    assert made["spec"]["strategy"]["rollingUpdate"] == {"maxUnavailable": 0, "maxSurge": 1}
    assert made["spec"]["progressDeadlineSeconds"] == 30
    assert made["metadata"]["annotations"] == {rollout.RUN: "run-1", rollout.BEFORE: ""}
    assert made["spec"]["selector"]["matchLabels"].items() <= made["spec"]["template"]["metadata"]["labels"].items()
    assert "run-1" not in json.dumps(made["spec"]), "the run must not change the template: a rerun would restart pods"
