"""Pattern 3 as taught: deploy to each region, then a check that looks for None among the results.

The smallest port that runs on Airflow 3.3.2. Changed: imports from `airflow.sdk`; the manifest that the lesson leaves
out is applied, and its rollout waited for; a rollout that stands still is given up after `patience` seconds.
"""

from __future__ import annotations

import time
from datetime import datetime, timedelta
from typing import Any

from airflow.sdk import dag, task

TARGETS = {
    "prod": [
        {"region": "us-east-1", "cluster": "prod-use1", "replicas": 5},
        {"region": "us-west-2", "cluster": "prod-usw2", "replicas": 3},
        {"region": "eu-west-1", "cluster": "prod-euw1", "replicas": 3},
        {"region": "ap-southeast-1", "cluster": "prod-apse1", "replicas": 2},
    ],
    "staging": [{"region": "us-east-1", "cluster": "staging-use1", "replicas": 1}],
}
APP = "web"


def manifest(replicas: int, version: str) -> dict[str, Any]:
    """The Deployment of one region."""
    labels = {"app.kubernetes.io/name": APP}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": APP, "labels": {**labels, "app.kubernetes.io/version": version}},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": {**labels, "app.kubernetes.io/version": version}},
                "spec": {
                    "containers": [
                        {
                            "name": APP,
                            "image": f"{APP}:{version}",
                            "resources": {"requests": {"cpu": "50m", "memory": "64Mi"}},
                        }
                    ]
                },
            },
        },
    }


@dag(
    schedule=None,
    start_date=datetime(2026, 1, 1),
    catchup=False,
    params={"env": "staging", "version": "1.2.3", "patience": 5},
)
def taught_deploy() -> None:
    """A version to every region, then a word on how it went."""

    @task
    def get_deploy_targets(params: dict[str, Any]) -> list[dict[str, Any]]:
        return TARGETS[params["env"]]

    @task(max_active_tis_per_dag=2, retries=2, retry_delay=timedelta(seconds=60))
    def deploy_region(target: dict[str, Any], params: dict[str, Any]) -> dict[str, Any]:
        from airflow.providers.cncf.kubernetes.hooks.kubernetes import KubernetesHook
        from kubernetes.client import AppsV1Api

        hook = KubernetesHook(conn_id=f"kubernetes_{target['cluster'].replace('-', '_')}")
        apps, namespace = AppsV1Api(hook.get_conn()), hook.get_namespace()
        apps.patch_namespaced_deployment(
            APP,
            namespace,
            manifest(target["replicas"], params["version"]),
            field_manager="taught",
            force=True,
            _content_type="application/apply-patch+yaml",
        )
        until = time.monotonic() + params["patience"]
        while True:
            found = apps.read_namespaced_deployment(APP, namespace)
            status, wanted = found.status, target["replicas"]
            seen = (status.observed_generation or 0) >= found.metadata.generation
            if seen and status.updated_replicas == status.available_replicas == status.replicas == wanted:
                return {**target, "version": params["version"], "status": "deployed"}
            if time.monotonic() > until:
                raise TimeoutError(f"{target['region']}: {status.updated_replicas or 0} of {wanted} pods are new")
            time.sleep(0.5)

    @task(trigger_rule="all_done")
    def post_deploy_check(results: Any) -> dict[str, int]:
        done = list(results)
        failed = sum(1 for each in done if each is None)
        if failed:
            raise RuntimeError(f"{failed} regions failed")
        return {"deployed": len(done), "failed": failed}

    post_deploy_check(deploy_region.expand(target=get_deploy_targets()))


taught_deploy()
