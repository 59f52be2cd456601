"""Pattern 3 on a real Kubernetes API: what runs in each region after good and bad deployments."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from kubernetes.client import ApiException, AppsV1Api, CoreV1Api

from airbed.kubernetes import regions, stages
from airbed.runs.execute import finish_run
from airbed.substrates.registry import EMBEDDED
from mapping.rollout import Cluster, Release, RolloutFailed

pytestmark = pytest.mark.kubernetes

DAG = "multi_region_deploy"
PROD = {"prod-use1": 5, "prod-usw2": 3, "prod-euw1": 3, "prod-apse1": 2}
REGIONS = ("us-east-1", "us-west-2", "eu-west-1", "ap-southeast-1")
DEADLINE = 8  # seconds that a rollout may stand still here
OLD, NEW = "web:1.2.3", "web:1.2.4"


@pytest.fixture(autouse=True)
def empty_regions(bed: Any) -> Iterator[None]:
    """Every test begins with empty regions, whole quotas and no faults."""
    regions.reset(bed.endpoints.kubernetes.kubeconfig, bed.settings.resources.infra / "kubernetes")
    yield
    stages.clear_faults(bed.endpoints.kubernetes.kubeconfig)


@pytest.fixture
def old_version(bed: Any) -> None:
    """1.2.3 runs in every production region."""
    for cluster, replicas in PROD.items():
        release = Release("web", OLD, "1.2.3", "s3://artifacts/v1.2.3", replicas, 60)
        Cluster(bed.kubernetes(cluster), cluster).deploy(release, "earlier")


def conf(version: str = "1.2.4", **more: Any) -> dict[str, Any]:
    return {"env": "prod", "version": version, "progress_deadline_seconds": 60, **more}


def fault(bed: Any, name: str, cluster: str, **options: Any) -> None:
    infra = bed.settings.resources.infra / "kubernetes"
    stages.set_fault(bed.endpoints.kubernetes.kubeconfig, infra, name, cluster, **options)


def deployment(bed: Any, cluster: str) -> Any:
    return AppsV1Api(bed.kubernetes()).read_namespaced_deployment("web", cluster)


def available(bed: Any, cluster: str) -> dict[str, int]:
    """Available pods in a region, by the image of their ReplicaSet."""
    found = AppsV1Api(bed.kubernetes()).list_namespaced_replica_set(cluster).items
    return {
        each.spec.template.spec.containers[0].image: each.status.available_replicas
        for each in found
        if each.status.available_replicas
    }


def everywhere(bed: Any) -> dict[str, dict[str, int]]:
    return {cluster: available(bed, cluster) for cluster in PROD}


def all_of(image: str) -> dict[str, dict[str, int]]:
    return {cluster: {image: replicas} for cluster, replicas in PROD.items()}


def revision(bed: Any, cluster: str) -> str:
    return str(deployment(bed, cluster).metadata.annotations["deployment.kubernetes.io/revision"])


def pod_ids(bed: Any) -> set[str]:
    pods = CoreV1Api(bed.kubernetes())
    return {pod.metadata.uid for cluster in PROD for pod in pods.list_namespaced_pod(cluster).items}


def test_two_versions_one_after_the_other(bed: Any, run_dag: Any) -> None:
    first = run_dag(DAG, conf=conf("1.2.3"))
    assert (first.state, first.task("deploy_region").tries) == ("success", [1, 1, 1, 1])
    assert everywhere(bed) == all_of(OLD)
    second = run_dag(DAG, conf=conf("1.2.4"))
    assert second.state == "success"
    assert everywhere(bed) == all_of(NEW)
    assert [revision(bed, cluster) for cluster in PROD] == ["2", "2", "2", "2"]
    assert second.task("deploy_region").max_running == 2
    assert second.task("deploy_region").values == [
        {"region": region, "cluster": cluster, "replicas": replicas, "version": "1.2.4", "status": "deployed"}
        | {"generation": 2}
        for region, (cluster, replicas) in zip(REGIONS, PROD.items(), strict=True)
    ]
    told = {"version": "1.2.4", "deployed": list(REGIONS), "failed": []}
    assert second.single("post_deploy_check").value == told
    container = deployment(bed, "prod-euw1").spec.template.spec.containers[0]
    assert {each.name: each.value for each in container.env}["ARTIFACT"] == "s3://artifacts/v1.2.4"


def test_staging_is_one_region(bed: Any, run_dag: Any) -> None:
    result = run_dag(DAG, conf={"artifact": "s3://artifacts/nightly"})
    assert (result.state, result.task("deploy_region").expected) == ("success", 1)
    assert available(bed, "staging-use1") == {OLD: 1}
    container = deployment(bed, "staging-use1").spec.template.spec.containers[0]
    assert {each.name: each.value for each in container.env}["ARTIFACT"] == "s3://artifacts/nightly"
    assert everywhere(bed) == {cluster: {} for cluster in PROD}


def test_a_failed_region_goes_back_and_the_others_stay(bed: Any, run_dag: Any, old_version: None) -> None:
    fault(bed, "never-pulls", "prod-euw1")
    result = run_dag(DAG, conf=conf(progress_deadline_seconds=DEADLINE))
    assert result.state == "failed"
    mapped = result.task("deploy_region")
    assert (mapped.indexes("hard"), mapped.indexes("success"), mapped.tries) == ([2], [0, 1, 3], [1, 1, 3, 1])
    error = mapped.instances[2].error
    for words in (
        "eu-west-1 (prod-euw1): ProgressDeadlineExceeded",
        "0 of 3 new pods ready",
        "ImagePull",
        "still serving: 1.2.3 with 3 pods",
    ):
        assert words in error
    verdict = result.single("post_deploy_check").error
    assert "version 1.2.4: deployed us-east-1, us-west-2, ap-southeast-1, failed eu-west-1;" in verdict
    assert "eu-west-1 back to revision 1 (1.2.3), 3 pods ready" in verdict
    assert everywhere(bed) == all_of(NEW) | {"prod-euw1": {OLD: 3}}
    assert deployment(bed, "prod-euw1").status.unavailable_replicas is None


def test_policy_all_takes_every_region_back(bed: Any, run_dag: Any, old_version: None) -> None:
    fault(bed, "crash-loops", "prod-apse1", image=NEW)
    result = run_dag(DAG, conf=conf(progress_deadline_seconds=DEADLINE, rollback="all"))
    assert (result.state, result.task("deploy_region").indexes("hard")) == ("failed", [3])
    assert "CrashLoopBackOff" in result.task("deploy_region").instances[3].error
    assert everywhere(bed) == all_of(OLD)
    assert [revision(bed, cluster) for cluster in PROD] == ["3", "3", "3", "3"]


def test_policy_none_leaves_the_old_version_serving(bed: Any, run_dag: Any, old_version: None) -> None:
    regions.set_quota(bed.endpoints.kubernetes.kubeconfig, "prod-use1", pods=5)
    result = run_dag(DAG, conf=conf(progress_deadline_seconds=DEADLINE, rollback="none"))
    assert (result.state, result.task("deploy_region").indexes("hard")) == ("failed", [0])
    error = result.task("deploy_region").instances[0].error
    assert "FailedCreate" in error
    assert "exceeded quota: region, requested: pods=1, used: pods=5, limited: pods=5" in error
    assert everywhere(bed) == all_of(NEW) | {"prod-use1": {OLD: 5}}
    assert deployment(bed, "prod-use1").spec.template.spec.containers[0].image == NEW


def test_a_first_deployment_past_its_deadline_is_removed(bed: Any, run_dag: Any) -> None:
    fault(bed, "slow-to-start", "prod-usw2", seconds=300)
    result = run_dag(DAG, conf=conf("1.2.3", progress_deadline_seconds=DEADLINE))
    assert (result.state, result.task("deploy_region").indexes("hard")) == ("failed", [1])
    # A real kubelet runs a container that is late by more than its grace.
    reason = "ContainerCreating" if bed.spec.substrate == EMBEDDED else "Running (not ready)"
    assert reason in result.task("deploy_region").instances[1].error
    assert "us-west-2 removed: no earlier revision ran" in result.single("post_deploy_check").error
    assert everywhere(bed) == all_of(OLD) | {"prod-usw2": {}}
    with pytest.raises(ApiException) as missing:
        deployment(bed, "prod-usw2")
    assert missing.value.status == 404


def test_a_deployment_that_did_not_serve_before_is_there_again(bed: Any, run_dag: Any) -> None:
    fault(bed, "never-pulls", "prod-euw1")
    earlier = Release("web", OLD, "1.2.3", "s3://artifacts/v1.2.3", 3, DEADLINE)
    with pytest.raises(RolloutFailed, match="0 of 3 new pods ready"):
        Cluster(bed.kubernetes("prod-euw1"), "prod-euw1").deploy(earlier, "earlier")
    result = run_dag(DAG, conf=conf(progress_deadline_seconds=DEADLINE))
    assert (result.state, result.task("deploy_region").indexes("hard")) == ("failed", [2])
    verdict = result.single("post_deploy_check").error
    assert "eu-west-1 back to revision 1 (1.2.3), no pod of which was available before either" in verdict
    there = deployment(bed, "prod-euw1")
    assert (there.spec.template.spec.containers[0].image, there.spec.replicas) == (OLD, 3)
    assert everywhere(bed) == all_of(NEW) | {"prod-euw1": {}}


def test_a_retry_continues_the_rollout(bed: Any, run_dag: Any, old_version: None) -> None:
    with bed.director.task_rule(
        dag_id=DAG, task_id="deploy_region", map_index=1, try_number=1, action="kill", when="after"
    ):
        result = run_dag(DAG, conf=conf())
    assert (result.state, result.task("deploy_region").tries) == ("success", [1, 2, 1, 1])
    assert everywhere(bed) == all_of(NEW)
    assert deployment(bed, "prod-usw2").metadata.generation == 2


def test_a_retry_heals(bed: Any, run_dag: Any, old_version: None) -> None:
    with bed.director.task_rule(dag_id=DAG, task_id="deploy_region", map_index=[0, 3], try_number=1, action="raise"):
        result = run_dag(DAG, conf=conf())
    assert (result.state, result.task("deploy_region").tries) == ("success", [2, 1, 1, 2])
    assert everywhere(bed) == all_of(NEW)


def test_a_clear_changes_nothing_twice(bed: Any, run_dag: Any, old_version: None) -> None:
    result = run_dag(DAG, conf=conf())
    pods = pod_ids(bed)
    bed.airflow.clear(DAG, result.run_id)
    again = finish_run(bed, DAG, result.run_id)
    assert (again.state, again.task("deploy_region").tries) == ("success", [2, 2, 2, 2])
    assert (pod_ids(bed), everywhere(bed)) == (pods, all_of(NEW))
    assert [revision(bed, cluster) for cluster in PROD] == ["2", "2", "2", "2"]
    # The version that runs already, by another run: nothing to do either.
    assert run_dag(DAG, conf=conf()).state == "success"
    assert pod_ids(bed) == pods


def test_an_account_has_rights_in_its_own_region_only(bed: Any) -> None:
    client = bed.kubernetes("prod-use1")
    assert AppsV1Api(client).list_namespaced_deployment("prod-use1").items == []
    for forbidden in (
        lambda: AppsV1Api(client).list_namespaced_deployment("prod-euw1"),
        lambda: CoreV1Api(client).list_namespaced_secret("prod-use1"),
        lambda: CoreV1Api(client).list_node(),
    ):
        with pytest.raises(ApiException) as refused:
            forbidden()
        assert refused.value.status == 403


@pytest.mark.parametrize("wrong", [{"env": "nowhere"}, {"version": "latest"}, {"artifact": "file:///tmp/x"}])
def test_wrong_params_start_nothing(bed: Any, run_dag: Any, wrong: dict[str, str]) -> None:
    from airbed.errors import UsageError

    with pytest.raises(UsageError, match=next(iter(wrong))):
        run_dag(DAG, conf=conf() | wrong)
    assert everywhere(bed) == {cluster: {} for cluster in PROD}


@pytest.mark.parametrize("service", ["kube-apiserver", "etcd", "kubelet"])
def test_a_killed_part_comes_back_with_everything(bed: Any, old_version: None, service: str) -> None:
    kubelet = next(each for each in ("kubelet", "kwok") if each in bed.substrate.services)
    service = kubelet if service == "kubelet" else service
    bed.substrate.kill(service)
    with_new = Release("web", NEW, "1.2.4", "s3://artifacts/v1.2.4", 3, 60)
    for each in (service, "kube-apiserver", kubelet):
        bed.substrate.wait_ready(each)
    Cluster(bed.kubernetes("prod-euw1"), "prod-euw1").deploy(with_new, "after")
    assert everywhere(bed) == all_of(OLD) | {"prod-euw1": {NEW: 3}}
