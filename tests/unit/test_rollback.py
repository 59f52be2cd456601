"""What a rollback goes back to: whatever was there before the run, whether it served or not."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from mapping.rollout import Cluster, Release, RolloutFailed

REVISION = "deployment.kubernetes.io/revision"
OLD = Release("web", "web:1.2.3", "1.2.3", "s3://artifacts/v1.2.3", 3, 8)
NEW = Release("web", "web:1.2.4", "1.2.4", "s3://artifacts/v1.2.4", 3, 8)


class OneRegion(Cluster):
    """A Deployment and its ReplicaSets, kept as a controller keeps them; no pod of an image in `broken` gets ready."""

    def __init__(self, *broken: str) -> None:
        self.namespace = "region"
        self.broken = set(broken)
        self.deployment: dict[str, Any] | None = None
        self.sets: list[dict[str, Any]] = []
        self.removed = False

    def find(self, name: str) -> dict[str, Any] | None:
        return copy.deepcopy(self.deployment)

    def _apply(self, manifest: dict[str, Any]) -> dict[str, Any]:
        self.deployment = {**copy.deepcopy(manifest), "status": {}}
        found = self.deployment["metadata"]
        found["generation"] = 1
        self.settle()
        return copy.deepcopy(self.deployment)

    def settle(self) -> None:
        """The ReplicaSet of the Deployment's template is the newest, with as many pods available as its image lets."""
        assert self.deployment is not None
        spec = self.deployment["spec"]
        image = spec["template"]["spec"]["containers"][0]["image"]
        mine = next((each for each in self.sets if each["metadata"]["labels"]["pod-template-hash"] == image), None)
        if mine is None:
            mine = {"metadata": {"annotations": {}}, "spec": {"template": copy.deepcopy(spec["template"])}}
            mine["spec"]["template"]["metadata"]["labels"]["pod-template-hash"] = image
            mine["metadata"]["labels"] = mine["spec"]["template"]["metadata"]["labels"]
            self.sets.append(mine)
        mine["metadata"]["annotations"][REVISION] = str(len(self.sets))
        self.deployment["metadata"]["annotations"][REVISION] = str(len(self.sets))
        if image in self.broken:
            mine["status"] = {"availableReplicas": 0}
            return
        for each in self.sets:
            each["status"] = {"availableReplicas": spec["replicas"] if each is mine else 0}

    def _replica_sets(self, deployment: dict[str, Any]) -> list[dict[str, Any]]:
        return copy.deepcopy(self.sets)

    def _wait(self, applied: dict[str, Any]) -> dict[str, Any]:
        if applied["spec"]["template"]["spec"]["containers"][0]["image"] in self.broken:
            raise RolloutFailed("ProgressDeadlineExceeded (8 s): 0 of 3 new pods ready")
        return applied

    def _remove(self, name: str, timeout: float = 120) -> None:
        self.deployment, self.removed = None, True

    @property
    def runs(self) -> tuple[str, int]:
        """The Deployment's image, and how many pods it asks for."""
        assert self.deployment is not None, "the Deployment is gone"
        spec = self.deployment["spec"]
        return spec["template"]["spec"]["containers"][0]["image"], spec["replicas"]


def test_what_crashed_before_the_run_is_there_again_after_it() -> None:
    region = OneRegion(OLD.image, NEW.image)
    for release, run_id in ((OLD, "earlier"), (NEW, "run")):
        with pytest.raises(RolloutFailed):
            region.deploy(release, run_id)
    said = region.roll_back("web", "run")
    assert (region.runs, region.removed) == ((OLD.image, 3), False)
    assert said.startswith("back to revision 1 (1.2.3), no pod of which was available before either: Progress")
    assert region.roll_back("web", "run") == said


def test_what_crashed_before_may_run_after_the_rollback() -> None:
    region = OneRegion(OLD.image, NEW.image)
    for release, run_id in ((OLD, "earlier"), (NEW, "run")):
        with pytest.raises(RolloutFailed):
            region.deploy(release, run_id)
    region.broken.remove(OLD.image)
    said = region.roll_back("web", "run")
    assert said == "back to revision 1 (1.2.3), no pod of which was available before either"


def test_what_was_scaled_to_nothing_is_so_again() -> None:
    region = OneRegion(NEW.image)
    region.deploy(OLD, "earlier")
    assert region.deployment is not None
    region.deployment["spec"]["replicas"] = 0
    region.settle()
    with pytest.raises(RolloutFailed):
        region.deploy(NEW, "run")
    assert "back to revision 1 (1.2.3)" in region.roll_back("web", "run")
    assert region.runs == (OLD.image, 0)


def test_what_served_has_to_serve_again() -> None:
    region = OneRegion(NEW.image)
    region.deploy(OLD, "earlier")
    with pytest.raises(RolloutFailed):
        region.deploy(NEW, "run")
    assert region.roll_back("web", "run") == "back to revision 1 (1.2.3), 3 pods ready"
    region.broken.add(OLD.image)
    with pytest.raises(RolloutFailed):
        region.roll_back("web", "run")


def test_an_old_revision_that_the_controller_does_not_take_up_is_no_rollback(monkeypatch: pytest.MonkeyPatch) -> None:
    region = OneRegion(OLD.image, NEW.image)
    for release, run_id in ((OLD, "earlier"), (NEW, "run")):
        with pytest.raises(RolloutFailed):
            region.deploy(release, run_id)
    monkeypatch.setattr(region, "_apply", lambda manifest: {**manifest, "status": {}})
    with pytest.raises(RolloutFailed, match=r"1\.2\.3 was applied again, but is not the current revision"):
        region.roll_back("web", "run")


def test_only_a_first_deployment_is_removed() -> None:
    region = OneRegion(NEW.image)
    with pytest.raises(RolloutFailed):
        region.deploy(NEW, "run")
    assert region.roll_back("web", "run") == "removed: no earlier revision ran"
    assert region.removed


def test_a_deployment_that_no_controller_took_up_is_not_changed() -> None:
    region = OneRegion()
    region.deploy(OLD, "earlier")
    region.sets.clear()
    with pytest.raises(RolloutFailed, match="web has no ReplicaSet yet, so there is no way back to it"):
        region.deploy(NEW, "run")
    assert region.runs == (OLD.image, 3)
