"""The regions of a bed: a namespace each, with an account, rights and a quota of its own, and a kubeconfig for it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from string import Template
from typing import Any

import yaml

from airbed.kubernetes import stages
from airbed.kubernetes.api import MERGE, Api
from airbed.kubernetes.files import kubeconfig, read_kubeconfig
from airbed.spec import write_private
from airbed.topology import REGIONS, Region

ACCOUNT = "deployer"
QUOTA = "region"
TOKEN_SECONDS = 365 * 24 * 3600
# What `reset` deletes in every region, owners before what they own.
WORKLOADS = (
    "/apis/apps/v1/namespaces/{}/deployments",
    "/apis/apps/v1/namespaces/{}/statefulsets",
    "/apis/apps/v1/namespaces/{}/daemonsets",
    "/apis/batch/v1/namespaces/{}/cronjobs",
    "/apis/batch/v1/namespaces/{}/jobs",
    "/apis/apps/v1/namespaces/{}/replicasets",
    "/api/v1/namespaces/{}/pods",
)


def region_kubeconfig(folder: Path, cluster: str) -> Path:
    """Where `configure` puts a region's kubeconfig."""
    return folder / f"{cluster}.kubeconfig"


def configure(
    admin: Path, folder: Path, infra: Path, regions: Sequence[Region] = REGIONS, server: str | None = None
) -> dict[str, Path]:
    """Make every region and write its kubeconfig (0600) into `folder`; returns them by cluster. Repeatable.

    `admin` is the administrator's kubeconfig, `infra` the folder infra/kubernetes, `server` the address that goes into
    the regions' files when tasks take another way than the administrator (None: the same). A kubeconfig whose token is
    still good is kept. Raises Unavailable when the API refuses.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    made: dict[str, Path] = {}
    own_server, authority, _ = read_kubeconfig(admin)
    with Api(admin) as api:
        for region in regions:
            for document in manifests(infra, region):
                api.apply(document)
            path = made[region.cluster] = region_kubeconfig(folder, region.cluster)
            if not _still_good(path, region.cluster, server or own_server, own_server, authority):
                token = _token(api, region.cluster)
                write_private(path, kubeconfig(server or own_server, authority, token, region.cluster))
    return made


def manifests(infra: Path, region: Region) -> list[dict[str, Any]]:
    """The objects of one region, from infra/kubernetes/regions."""
    values = {"cluster": region.cluster, "region": region.region, "pods": str(2 * (region.replicas + 1))}
    files = sorted((infra / "regions").glob("*.yaml"))
    text = "\n---\n".join(Template(path.read_text()).substitute(values) for path in files)
    return [document for document in yaml.safe_load_all(text) if document]


def set_quota(admin: Path, cluster: str, **hard: str | int) -> None:
    """Change limits of a region's quota, such as `pods=2`; in force for what is created from now on."""
    limits = {name: str(value) for name, value in hard.items()}
    path = f"/api/v1/namespaces/{cluster}/resourcequotas/{QUOTA}"
    with Api(admin) as api:
        api.call("PATCH", path, {"spec": {"hard": limits}}, MERGE)
        # Admission decides by the status, which the controller brings up to date.
        api.wait_until(
            f"the quota of {cluster}", path, lambda found: limits.items() <= found["status"].get("hard", {}).items()
        )


def reset(admin: Path, infra: Path, regions: Sequence[Region] = REGIONS) -> None:
    """Delete all workloads and events of the regions, end all faults, restore the quotas; accounts and tokens stay.

    Returns when the pods are gone.
    """
    stages.clear_faults(admin)
    with Api(admin) as api:
        for region in regions:
            for path in WORKLOADS:
                api.call("DELETE", path.format(region.cluster), propagationPolicy="Background")
        for region in regions:
            for path in (WORKLOADS[0], WORKLOADS[-2], WORKLOADS[-1]):
                at = path.format(region.cluster)
                api.wait_until(f"emptying {region.cluster}", at, lambda found: not found["items"], timeout=60)
            api.call("DELETE", f"/apis/events.k8s.io/v1/namespaces/{region.cluster}/events")
            for document in manifests(infra, region):
                api.apply(document)


def _token(api: Api, cluster: str) -> str:
    path = f"/api/v1/namespaces/{cluster}/serviceaccounts/{ACCOUNT}/token"
    request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest"}
    answer = api.call("POST", path, request | {"spec": {"expirationSeconds": TOKEN_SECONDS}})
    return str(answer["status"]["token"])


def _still_good(path: Path, cluster: str, server: str, own_server: str, authority: bytes) -> bool:
    """Whether a kubeconfig of an earlier start can stay: same address, and its token is accepted."""
    try:
        found_server, found_authority, token = read_kubeconfig(path)
    except (FileNotFoundError, ValueError, LookupError):
        return False
    if (found_server, found_authority) != (server, authority):
        return False
    # Asked directly: the way of the tasks may be closed on purpose.
    with Api.with_token(own_server, authority, token) as api:
        return api.request("GET", f"/apis/apps/v1/namespaces/{cluster}/deployments", limit=1).is_success
