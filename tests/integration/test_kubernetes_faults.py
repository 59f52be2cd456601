"""The Kubernetes kinds: what a region's own account sees of a rollout while they are in force, and after them."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from kubernetes.client import ApiException, AppsV1Api, CoreV1Api

from airbed.errors import UsageError
from airbed.faults.plane import FaultPlane
from airbed.kubernetes import regions

pytestmark = [pytest.mark.kubernetes, pytest.mark.xdist_group("kubernetes")]

REGION, OTHER = "prod-euw1", "prod-usw2"
IMAGE = "web:1.2.4"


@pytest.fixture(autouse=True)
def _empty_regions(bed: Any) -> Iterator[None]:
    infra = bed.settings.resources.infra / "kubernetes"
    regions.reset(bed.endpoints.kubernetes.kubeconfig, infra)
    yield
    FaultPlane(bed).clear()
    regions.reset(bed.endpoints.kubernetes.kubeconfig, infra)


def deploy(bed: Any, region: str = REGION, replicas: int = 2, image: str = IMAGE, name: str = "web") -> None:
    """Create a Deployment as the region's account."""
    labels = {"app": name}
    body = {
        "metadata": {"name": name},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {"containers": [{"name": "web", "image": image}]},
            },
        },
    }
    AppsV1Api(bed.kubernetes(region)).create_namespaced_deployment(region, body)


def ready(bed: Any, region: str = REGION, name: str = "web") -> int:
    """Ready pods of a Deployment."""
    found = AppsV1Api(bed.kubernetes(region)).read_namespaced_deployment(name, region)
    return found.status.ready_replicas or 0


def waiting(bed: Any, region: str = REGION) -> set[str]:
    """Why the region's pods wait."""
    pods = CoreV1Api(bed.kubernetes(region)).list_namespaced_pod(region).items
    return {
        each.state.waiting.reason for pod in pods for each in pod.status.container_statuses or [] if each.state.waiting
    }


def events(bed: Any, reason: str, region: str = REGION) -> list[str]:
    """The messages of the region's events of that reason."""
    found = CoreV1Api(bed.kubernetes(region)).list_namespaced_event(region).items
    return [each.message for each in found if each.reason == reason]


def eventually(condition: Callable[[], Any], seconds: float = 20) -> Any:
    """What the condition returns once that is true."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, "it does not come to pass"
        time.sleep(0.1)
    return found


def kept(condition: Callable[[], bool], seconds: float = 3) -> bool:
    """Whether the condition holds all the time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if not condition():
            return False
        time.sleep(0.2)
    return True


@pytest.mark.parametrize(
    ("kind", "reasons"),
    [
        ("kubernetes.image-never-pulls", {"ErrImagePull", "ImagePullBackOff"}),
        ("kubernetes.crash-loop", {"CrashLoopBackOff"}),
    ],
)
def test_pods_that_do_not_become_ready(bed: Any, faults: Any, kind: str, reasons: set[str]) -> None:
    entry = faults.inject(kind, region=REGION)
    deploy(bed)
    deploy(bed, OTHER)
    # A real kubelet makes the container first.
    assert eventually(lambda: waiting(bed) - {"ContainerCreating"}, 60) <= reasons
    eventually(lambda: ready(bed, OTHER) == 2)
    assert kept(lambda: ready(bed) == 0)
    assert faults.fired(entry) == 2
    assert faults.undo(entry) == 2
    eventually(lambda: ready(bed) == 2)
    deploy(bed, name="later")
    eventually(lambda: ready(bed, name="later") == 2)


def test_one_image_only_and_two_faults_in_one_region(bed: Any, faults: Any) -> None:
    for image in ("good:1", "bad:1", "bad:2"):
        bed.substrate.give_image(image)
    pulls = faults.inject("kubernetes.image-never-pulls", region=REGION, image="bad:1")
    loops = faults.inject("kubernetes.crash-loop", region=REGION, image="bad:2")
    deploy(bed, image="good:1", name="good")
    deploy(bed, image="bad:1", name="first", replicas=1)
    deploy(bed, image="bad:2", name="second", replicas=1)
    eventually(lambda: ready(bed, name="good") == 2)
    eventually(lambda: waiting(bed) == {"ImagePullBackOff", "CrashLoopBackOff"})
    assert faults.undo(pulls) == 1
    eventually(lambda: ready(bed, name="first") == 1)
    assert kept(lambda: ready(bed, name="second") == 0)
    assert faults.undo(loops) == 1
    eventually(lambda: ready(bed, name="second") == 1)


def test_pods_that_are_ready_late(bed: Any, faults: Any) -> None:
    entry = faults.inject("kubernetes.slow-start", region=REGION, seconds=4)
    start = time.monotonic()
    deploy(bed)
    assert eventually(lambda: waiting(bed)) == {"ContainerCreating"}
    eventually(lambda: ready(bed) == 2)
    assert time.monotonic() - start >= 4
    assert faults.undo(entry) == 2


def test_a_quota_that_is_too_small(bed: Any, faults: Any) -> None:
    deploy(bed)
    eventually(lambda: ready(bed) == 2)
    entry = faults.inject("kubernetes.quota", region=REGION, pods=3)
    deploy(bed, name="more")
    told = f"exceeded quota: {entry.plan['key']}, requested: pods=1, used: pods=3, limited: pods=3"
    assert any(told in message for message in eventually(lambda: events(bed, "FailedCreate")))
    assert kept(lambda: ready(bed, name="more") <= 1)
    assert faults.undo(entry) >= 1
    eventually(lambda: ready(bed, name="more") == 2, 60)
    quotas = CoreV1Api(bed.kubernetes()).list_namespaced_resource_quota(REGION).items
    assert [each.metadata.name for each in quotas] == ["region"]


def test_a_killed_runner_leaves_a_quota_that_clear_takes_back(bed: Any) -> None:
    code = (
        "import os; from airbed.bed import Bed; from airbed.faults.plane import FaultPlane;"
        "from airbed.faults.registry import make;"
        f"FaultPlane(Bed.open({bed.name!r})).inject(make('kubernetes.quota', {{'region': {REGION!r}, 'pods': 0}}));"
        "os.kill(os.getpid(), 9)"
    )
    done = subprocess.run([sys.executable, "-c", code], env=os.environ, capture_output=True, text=True, check=False)
    assert done.returncode == -9, done.stderr
    deploy(bed)
    assert kept(lambda: ready(bed) == 0, 2)
    assert [each.entry.kind for each in FaultPlane(bed).clear()] == ["kubernetes.quota"]
    deploy(bed, name="later")
    eventually(lambda: ready(bed, name="later") == 2)


def test_an_account_without_rights(bed: Any, faults: Any) -> None:
    entry = faults.inject("kubernetes.forbidden", region=REGION)
    with pytest.raises(ApiException) as refused:
        deploy(bed)
    assert refused.value.status == 403
    deploy(bed, OTHER)
    faults.undo(entry)
    deploy(bed)
    eventually(lambda: ready(bed) == 2)


def test_a_node_that_is_gone(bed: Any, faults: Any) -> None:
    deploy(bed)
    eventually(lambda: ready(bed) == 2)
    entry = faults.inject("kubernetes.node-gone")
    eventually(lambda: ready(bed) == 0)
    assert "no nodes available to schedule pods" in eventually(lambda: events(bed, "FailedScheduling"))[0]
    assert kept(lambda: ready(bed) == 0)
    assert faults.undo(entry) >= 2
    eventually(lambda: ready(bed) == 2, 60)


def test_a_region_that_does_not_exist_is_refused(bed: Any, faults: Any) -> None:
    with pytest.raises(UsageError, match=r"region: .*prod-use1"):
        faults.inject("kubernetes.quota", region="mars", pods=1)
