"""Pattern 3 in the demo: one rollout a region."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airbed.demo.playing import run, seen
from airbed.demo.scenario import Expected, Scenario, Seen
from airbed.topology import REGIONS

if TYPE_CHECKING:
    from airbed.bed import Bed
    from airbed.runs.model import RunResult

DAG = "multi_region_deploy"
PROD = {region.cluster: region.replicas for region in REGIONS if region.env == "prod"}
BROKEN = "prod-euw1"


def _deploy(bed: Bed, version: str, **conf: Any) -> RunResult:
    return run(bed, DAG, conf={"env": "prod", "version": version, **conf})


def _running(bed: Bed) -> dict[str, tuple[str, int]]:
    """Image and ready replicas of each production region."""
    from kubernetes import client

    found = {}
    for cluster in PROD:
        deployment = client.AppsV1Api(bed.kubernetes()).read_namespaced_deployment("web", cluster)
        image = deployment.spec.template.spec.containers[0].image
        found[cluster] = (image, deployment.status.ready_replicas or 0)
    return found


def _problems(bed: Bed, versions: dict[str, str]) -> list[str]:
    wanted = {cluster: (f"web:{versions[cluster]}", replicas) for cluster, replicas in PROD.items()}
    running = _running(bed)
    return [f"{name} runs {running[name]}, expected {wanted[name]}" for name in PROD if running[name] != wanted[name]]


def _clean(bed: Bed) -> Seen:
    result = _deploy(bed, "1.2.3")
    return seen(result, "deploy_region", "post_deploy_check", _problems(bed, dict.fromkeys(PROD, "1.2.3")))


def _one_region(bed: Bed) -> Seen:
    from airbed.kubernetes import stages

    admin, infra = bed.endpoints.kubernetes.kubeconfig, bed.settings.resources.infra / "kubernetes"
    stages.set_fault(admin, infra, "never-pulls", BROKEN, image="web:1.2.4")
    try:
        result = _deploy(bed, "1.2.4", progress_deadline_seconds=5)
    finally:
        stages.clear_faults(admin, BROKEN)
    versions = {cluster: "1.2.3" if cluster == BROKEN else "1.2.4" for cluster in PROD}
    return seen(result, "deploy_region", "post_deploy_check", _problems(bed, versions))


SCENARIOS = [
    Scenario(DAG, "clean", "nothing; version 1.2.3", 2, _clean, Expected("success", success=4, tries={})),
    Scenario(
        DAG,
        "partial failure",
        "1.2.4's image cannot be pulled in eu-west-1",
        2,
        _one_region,
        Expected("failed", success=3, hard=1, error=r"eu-west-1"),
    ),
]
