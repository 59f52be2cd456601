"""Pattern 3: one mapped instance for each region's Kubernetes.

`deploy_region` applies the version in one region and waits for its rollout (2 regions at a time, 2 retries, 60 s
apart; a retry continues the rollout). `post_deploy_check` names deployed and failed regions, rolls back by policy, and
fails the run when any region failed:

    failed   the failed regions go back to what ran before, the others keep the new version
    all      every region goes back
    none     nothing goes back; failed regions keep serving the old version beside the stuck rollout

Each region has its own Airflow connection, `kubernetes_prod_use1` and so on, with rights in its own namespace only.

    airbed run multi_region_deploy --conf '{"env": "prod", "version": "1.2.4"}'
"""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import Any

import pendulum
from airflow.providers.cncf.kubernetes.hooks.kubernetes import KubernetesHook
from airflow.sdk import Param, dag, task
from airflow.sdk.exceptions import AirflowFailException

from mapping.limits import require_between
from mapping.outcomes import Kind, outcomes
from mapping.recorded import describe, recorded
from mapping.rollout import Cluster, Rejected, Release, RolloutFailed
from mapping.summary import Summary

APP = "web"
MAX_REGIONS = 20

TARGETS: dict[str, list[dict[str, Any]]] = {
    "prod": [
        {"region": "us-east-1", "cluster": "prod-use1", "replicas": 5},
        {"region": "us-west-2", "cluster": "prod-usw2", "replicas": 3},
        {"region": "eu-west-1", "cluster": "prod-euw1", "replicas": 3},
        {"region": "ap-southeast-1", "cluster": "prod-apse1", "replicas": 2},
    ],
    "staging": [{"region": "us-east-1", "cluster": "staging-use1", "replicas": 1}],
}

PARAMS = {
    "env": Param("staging", enum=["prod", "staging"], description="Where to deploy"),
    "version": Param(
        "1.2.3",
        type="string",
        pattern=r"^\d+\.\d+\.\d+(-[0-9A-Za-z][0-9A-Za-z.-]{0,30}[0-9A-Za-z])?$",
        description="Semantic version; also the image's tag",
    ),
    "artifact": Param(
        None,
        type=["null", "string"],
        pattern=r"^s3://[a-z0-9][a-z0-9.-]+/.+$",
        description="What the pods load; s3://artifacts/v<version> when empty",
    ),
    "image": Param(APP, type="string", pattern=r"^[a-z0-9][a-z0-9._/:-]*$", description="Image without tag"),
    "rollback": Param("failed", enum=["failed", "all", "none"], description="Which regions go back when one fails"),
    "progress_deadline_seconds": Param(
        600, type="integer", minimum=2, maximum=3600, description="How long a rollout may stand still"
    ),
}

log = logging.getLogger(__name__)


def cluster_of(target: dict[str, Any]) -> Cluster:
    """The region's cluster, through its own connection, with the rights of that connection only."""
    hook = KubernetesHook(conn_id=f"kubernetes_{target['cluster'].replace('-', '_')}")
    return Cluster(hook.get_conn(), hook.get_namespace() or "default")


@dag(
    schedule=None,
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    max_active_runs=1,  # two deployments at once would roll each other back
    default_args={
        "retries": 2,
        "retry_delay": timedelta(seconds=60),
        "execution_timeout": timedelta(hours=2),
    },
    params=PARAMS,
    tags=["airbed", "mapping", "kubernetes"],
)
def multi_region_deploy() -> None:
    """Deploy a version to every region of an environment."""

    @task
    def get_deploy_targets(params: dict[str, Any]) -> list[dict[str, Any]]:
        """The regions of the environment, in a fixed order: it decides each region's map_index."""
        return require_between(TARGETS[params["env"]], 1, MAX_REGIONS, f"regions of {params['env']}")

    # multiple_outputs=False: Airflow takes `-> dict` for one XCom (a request, a row) per key, in each instance.
    @task(max_active_tis_per_dag=2, multiple_outputs=False)
    @recorded
    def deploy_region(target: dict[str, Any], params: dict[str, Any], run_id: str | None = None) -> dict[str, Any]:
        """Deploy to one region and wait until the version runs there. Fails with the reason and the pods' words."""
        version = params["version"]
        release = Release(
            name=APP,
            image=f"{params['image']}:{version}",
            version=version,
            artifact=params["artifact"] or f"s3://artifacts/v{version}",
            replicas=target["replicas"],
            deadline=params["progress_deadline_seconds"],
        )
        try:
            deployment = cluster_of(target).deploy(release, run_id)
        except Rejected as error:
            raise AirflowFailException(f"{target['region']} ({target['cluster']}): {error}") from error
        except RolloutFailed as error:
            raise RolloutFailed(f"{target['region']} ({target['cluster']}): {error}") from error
        return {**target, "version": version, "status": "deployed", "generation": deployment["metadata"]["generation"]}

    @task(trigger_rule="all_done", multiple_outputs=False)
    def post_deploy_check(
        targets: list[dict[str, Any]] | None, params: dict[str, Any], run_id: str | None = None, ti=None
    ) -> dict[str, Any]:
        """Say what became of every region, roll back by policy, fail if any region failed."""
        summary = Summary("deploy_region", outcomes(ti, "deploy_region", targets))
        failed = [outcome.item for outcome in summary.outcomes if outcome.kind is not Kind.SUCCESS]
        deployed = [outcome.item for outcome in summary.of(Kind.SUCCESS)]
        if summary.outcomes and not failed:
            return {"version": params["version"], "deployed": [each["region"] for each in deployed], "failed": []}

        back = {"failed": failed, "all": [outcome.item for outcome in summary.outcomes], "none": []}[params["rollback"]]
        done, stuck = {}, {}
        for target in back:
            try:
                done[target["region"]] = cluster_of(target).roll_back(APP, run_id)
            except Exception as error:
                log.exception("%s does not roll back", target["region"])
                stuck[target["region"]] = describe(error)
        verdict = "; ".join(
            [
                f"version {params['version']}: deployed {regions(deployed)}, failed {regions(failed)}",
                f"rollback policy '{params['rollback']}'",
                *(f"{region} IS NOT ROLLED BACK: {text}" for region, text in stuck.items()),
                *(f"{region} {text}" for region, text in done.items()),
                *(summary.line(outcome) for outcome in summary.failed),
            ]
        )
        if stuck:
            raise RuntimeError(verdict)  # retried: rolling back is safe to repeat
        raise AirflowFailException(verdict)

    targets = get_deploy_targets()
    deploy_region.expand(target=targets) >> post_deploy_check(targets)


def regions(targets: list[dict[str, Any]]) -> str:
    """Names for a message."""
    return ", ".join(target["region"] for target in targets) or "none"


multi_region_deploy()
