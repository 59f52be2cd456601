"""`kubernetes.forbidden`: a region's account has lost its rights."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, ClassVar

from airbed.errors import Unavailable
from airbed.faults.kubernetes import RegionFault, administrator
from airbed.faults.model import Plan, Target
from airbed.kubernetes.api import Api
from airbed.kubernetes.files import read_kubeconfig
from airbed.kubernetes.regions import manifests
from airbed.topology import REGIONS

if TYPE_CHECKING:
    from airbed.bed import Bed

_PATIENCE = 15.0  # seconds


class Forbidden(RegionFault):
    """The RoleBinding of the account that deploys is gone: every request of a task is answered 403 Forbidden."""

    kind: ClassVar[str] = "kubernetes.forbidden"
    summary: ClassVar[str] = "a region's account may do nothing any more (403)"
    example: ClassVar[dict[str, Any]] = {"region": "prod-usw2"}

    def target(self) -> Target:
        """The region's binding."""
        return "account of", self.region

    def apply(self, bed: Bed, plan: Plan) -> None:
        """Delete the binding."""
        with administrator(bed) as api:
            api.delete(self._binding(bed))

    def confirm(self, bed: Bed, plan: Plan) -> None:
        """Wait until the account is refused."""
        self._await(bed, allowed=False)

    def undo(self, bed: Bed, plan: Plan) -> None:
        """Make the binding again and wait until the account is let in."""
        with administrator(bed) as api:
            api.apply(self._binding(bed))
        self._await(bed, allowed=True)

    def _binding(self, bed: Bed) -> dict[str, Any]:
        region = next(each for each in REGIONS if each.cluster == self.region)
        made = manifests(bed.settings.resources.infra / "kubernetes", region)
        return next(each for each in made if each["kind"] == "RoleBinding")

    def _await(self, bed: Bed, *, allowed: bool) -> None:
        server, authority, _ = read_kubeconfig(bed.endpoints.kubernetes.kubeconfig)
        _, _, token = read_kubeconfig(bed.endpoints.kubernetes.regions[self.region].kubeconfig)
        question = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": {
                "resourceAttributes": {
                    "namespace": self.region,
                    "group": "apps",
                    "resource": "deployments",
                    "verb": "patch",
                }
            },
        }
        deadline = time.monotonic() + _PATIENCE
        with Api.with_token(server, authority, token) as api:
            while _allowed(api, question) is not allowed:
                if time.monotonic() > deadline:
                    state = "still refused" if allowed else "still let in"
                    raise Unavailable(f"the account of {self.region} is {state} after {_PATIENCE:g} s")
                time.sleep(0.05)


def _allowed(api: Api, question: dict[str, Any]) -> bool:
    answer = api.call("POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", question)
    return bool(answer["status"]["allowed"])
