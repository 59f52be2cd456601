"""Roll a version out to one Kubernetes cluster, and back: by server-side apply and the rollout's own conditions.

No Airflow in here: every function takes an `ApiClient` (in a task: `KubernetesHook(conn_id=...).get_conn()`).

The Deployment itself remembers, in two annotations written by the same request as the new version, which run changed it
and what ran before. A retry therefore continues the rollout of its first try, and a rollback still knows the way
when tasks died, XComs were cleared or the whole run was.
"""

from __future__ import annotations

import json
import logging
import time
from dataclasses import dataclass
from math import ceil
from typing import Any

from kubernetes import watch
from kubernetes.client import ApiClient, ApiException, AppsV1Api, CoreV1Api

from mapping import rollout_history as history
from mapping.rollout_history import HASH, VERSION, Before, annotation, version
from mapping.rollout_status import MESSAGE_LIMIT, Document, complete, condition, exceeded, pod_reasons

FIELD_MANAGER = "multi-region-deploy"
RUN = "rollout.mapping/run"
BEFORE = "rollout.mapping/before"
NAME = "app.kubernetes.io/name"

# Seconds beyond the rollout's own deadline until we stop believing that the cluster will speak up.
GRACE = 5.0

log = logging.getLogger(__name__)


class RolloutFailed(Exception):
    """The version does not run there; the message says why. Another try may help."""


class Rejected(RolloutFailed):
    """The cluster refuses the request itself (rights, an invalid manifest): no retry can help."""


@dataclass(frozen=True)
class Release:
    """What is to run: `replicas` pods of `image`. `deadline` is the rollout's progressDeadlineSeconds."""

    name: str
    image: str
    version: str
    artifact: str
    replicas: int
    deadline: int = 600

    def template(self) -> Document:
        """The pod template. Resources and ports of your application go here."""
        container = {
            "name": self.name,
            "image": self.image,
            "env": [{"name": "ARTIFACT", "value": self.artifact}, {"name": "VERSION", "value": self.version}],
            "resources": {"requests": {"cpu": "50m", "memory": "64Mi"}},
        }
        return {"metadata": {"labels": {NAME: self.name, VERSION: self.version}}, "spec": {"containers": [container]}}


class Cluster:
    """One namespace of one cluster."""

    def __init__(self, api: ApiClient, namespace: str) -> None:
        self.namespace = namespace
        self._apps = AppsV1Api(api)
        self._core = CoreV1Api(api)

    def deploy(self, release: Release, run_id: str) -> Document:
        """Apply the release and wait until all its pods are available; returns the Deployment.

        Safe to repeat: the same release and run change nothing. Raises RolloutFailed (see there) and leaves what was
        applied as it is: whether to go back is not for one region to decide. Changes nothing in a Deployment without a
        revision to go back to: its controller has not taken it up.
        """
        found = self.find(release.name)
        if found is not None and annotation(found, RUN) == run_id:
            before = annotation(found, BEFORE)
            log.info("%s: continuing this run's rollout", self.namespace)
        else:
            before = self._noted(found) if found is not None else ""
        manifest = _manifest(
            release.name, release.template(), release.replicas, release.deadline, run_id=run_id, before=before
        )
        applied = self._apply(manifest)
        log.info("%s: applied %s, generation %s", self.namespace, release.image, applied["metadata"]["generation"])
        return self._wait(applied)

    def roll_back(self, name: str, run_id: str) -> str:
        """Undo what a run did here, wait until that runs, and say in a few words what was done.

        Goes back to the revision that ran before the run; removes the Deployment when there was none; leaves alone what
        the run never touched. Safe to repeat. Raises RolloutFailed when the old revision does not come up, unless no
        pod of it was available before the run either.
        """
        found = self.find(name)
        if found is None:
            return "nothing was deployed"
        if annotation(found, RUN) != run_id:
            return f"left alone: this run did not change it, version {version(found)} stays"
        if not annotation(found, BEFORE):
            self._remove(name)
            return "removed: no earlier revision ran"
        before = Before(**json.loads(annotation(found, BEFORE)))
        sets = [each for each in self._replica_sets(found) if each["metadata"]["labels"].get(HASH) == before.hash]
        if not sets:
            raise RolloutFailed(
                f"revision {before.revision} ({before.version}) is gone from the history, deploy it again"
            )
        template = sets[0]["spec"]["template"]
        template["metadata"]["labels"].pop(HASH)
        deadline = found["spec"]["progressDeadlineSeconds"]
        # The same field manager as the deploy: what only the new version had set is taken away again.
        same = {"run_id": run_id, "before": annotation(found, BEFORE)}
        manifest = _manifest(name, template, before.replicas, deadline, **same)
        applied = self._apply(manifest)
        if not before.served:
            return self._back_to_what_did_not_serve(applied, before)
        running = self._wait(applied)
        serving = history.serving(running, self._replica_sets(running))
        if serving is None or serving.hash != before.hash:
            raise RolloutFailed(f"went back to {before.version}, but {serving} serves")
        return f"back to revision {before.revision} ({before.version}), {before.replicas} pods ready"

    def _back_to_what_did_not_serve(self, applied: Document, before: Before) -> str:
        """Wait for it all the same, and make sure that it is the current revision; what its pods say is no failure."""
        said = f"back to revision {before.revision} ({before.version}), no pod of which was available before either"
        try:
            running = self._wait(applied)
        except RolloutFailed as error:
            said += f": {error}"
            running = self.find(applied["metadata"]["name"]) or applied
        newest = history.current(running, self._replica_sets(running))
        if newest is None or newest["metadata"]["labels"][HASH] != before.hash:
            raise RolloutFailed(f"{before.version} was applied again, but is not the current revision; {said}")
        return said

    def find(self, name: str) -> Document | None:
        """The Deployment, or None."""
        try:
            return _json(self._apps.read_namespaced_deployment(name, self.namespace, _preload_content=False))
        except ApiException as error:
            if error.status == 404:
                return None
            raise _refused(error) from error

    def _apply(self, manifest: Document) -> Document:
        try:
            answer = self._apps.patch_namespaced_deployment(
                manifest["metadata"]["name"],
                self.namespace,
                manifest,
                field_manager=FIELD_MANAGER,
                force=True,
                _content_type="application/apply-patch+yaml",
                _preload_content=False,
            )
        except ApiException as error:
            raise _refused(error) from error
        return _json(answer)

    def _wait(self, applied: Document) -> Document:
        """Watch the Deployment until its rollout has ended, well or not.

        A retry may find the deadline of the earlier try already exceeded: that old verdict does not count, but when
        nothing moves for another deadline, it does.
        """
        name, generation = applied["metadata"]["name"], applied["metadata"]["generation"]
        patience = applied["spec"]["progressDeadlineSeconds"] + GRACE
        old_verdict = exceeded(applied)
        latest, until = applied, time.monotonic() + patience
        while (left := until - time.monotonic()) > 0:
            changes = watch.Watch().stream(
                self._apps.list_namespaced_deployment,
                self.namespace,
                field_selector=f"metadata.name={name}",
                timeout_seconds=ceil(left),
                _request_timeout=(10, left + 10),
            )
            for change in changes:
                if change["type"] == "DELETED":
                    raise RolloutFailed(f"somebody deleted the Deployment {name} during the rollout")
                if change["raw_object"].get("status") != latest.get("status"):
                    until = time.monotonic() + patience
                latest = change["raw_object"]
                if complete(latest, generation):
                    return latest
                verdict = exceeded(latest)
                if verdict is not None and verdict != old_verdict:
                    raise RolloutFailed(self._why(latest, "ProgressDeadlineExceeded"))
                if time.monotonic() > until:
                    break
        seen = latest.get("status", {}).get("observedGeneration", 0) >= generation
        raise RolloutFailed(self._why(latest, "ProgressDeadlineExceeded" if seen else "no controller takes it up"))

    def _why(self, deployment: Document, reason: str) -> str:
        """One line: the reason, how far it got, what still serves, what the new pods say."""
        spec, status = deployment["spec"], deployment.get("status", {})
        sets = self._replica_sets(deployment)
        current = history.current(deployment, sets)
        ready = current["status"].get("readyReplicas", 0) if current else 0
        parts = [f"{reason} ({spec['progressDeadlineSeconds']} s): {ready} of {spec['replicas']} new pods ready"]
        failure = condition(deployment, "ReplicaFailure")
        if failure and failure["status"] == "True":
            parts.append(f"{failure['reason']}: {failure['message'][: 2 * MESSAGE_LIMIT]}")
        if current:
            parts += pod_reasons(
                self._pods(spec["selector"]["matchLabels"] | {HASH: current["metadata"]["labels"][HASH]})
            )
        older = [each for each in sets if each is not current and each["status"].get("availableReplicas")]
        served = [f"{version(each)} with {each['status']['availableReplicas']} pods" for each in older]
        parts.append(f"still serving: {', '.join(served) or 'nothing'}")
        if status.get("replicas", 0) == 0:
            parts.append("no pod exists")
        return "; ".join(parts)

    def _noted(self, deployment: Document) -> str:
        """What runs now, as the annotation that a rollback reads."""
        before = history.before(deployment, self._replica_sets(deployment))
        if before is None:
            name = deployment["metadata"]["name"]
            raise RolloutFailed(f"the Deployment {name} has no ReplicaSet yet, so there is no way back to it")
        return json.dumps(vars(before))

    def _replica_sets(self, deployment: Document) -> list[Document]:
        answer = self._apps.list_namespaced_replica_set(
            self.namespace,
            label_selector=_selector(deployment["spec"]["selector"]["matchLabels"]),
            _preload_content=False,
        )
        owner = deployment["metadata"]["uid"]
        sets = _json(answer)["items"]
        return [s for s in sets if any(o["uid"] == owner for o in s["metadata"].get("ownerReferences", []))]

    def _pods(self, labels: dict[str, str]) -> list[Document]:
        found = self._core.list_namespaced_pod(self.namespace, label_selector=_selector(labels), _preload_content=False)
        pods: list[Document] = _json(found)["items"]
        return pods

    def _remove(self, name: str, timeout: float = 120) -> None:
        """Delete the Deployment with its pods and wait until it is gone."""
        try:
            self._apps.delete_namespaced_deployment(name, self.namespace, propagation_policy="Foreground")
        except ApiException as error:
            raise _refused(error) from error
        selector = f"metadata.name={name}"
        until = time.monotonic() + timeout
        while self.find(name) is not None:
            if time.monotonic() > until:
                raise RolloutFailed(f"the Deployment {name} was deleted {timeout:.0f} s ago and is still there")
            changes = watch.Watch().stream(
                self._apps.list_namespaced_deployment, self.namespace, field_selector=selector, timeout_seconds=2
            )
            if any(change["type"] == "DELETED" for change in changes):
                return


def _manifest(name: str, template: Document, replicas: int, deadline: int, *, run_id: str, before: str) -> Document:
    """The whole of what we own in the Deployment."""
    labels = template["metadata"]["labels"]
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {
            "name": name,
            # A revision that somebody else applied may lack one.
            "labels": {key: labels[key] for key in (NAME, VERSION) if key in labels},
            "annotations": {RUN: run_id, BEFORE: before},
        },
        "spec": {
            "replicas": replicas,
            "progressDeadlineSeconds": deadline,
            "selector": {"matchLabels": {NAME: name}},
            # An old pod goes when a new one is ready: a rollout that gets stuck leaves the old version serving.
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}},
            "template": template,
        },
    }


def _refused(error: ApiException) -> RolloutFailed:
    """The API's own words; Rejected when the same request can only be refused again."""
    try:
        said = json.loads(error.body)["message"]
    except (TypeError, ValueError, KeyError):
        said = error.reason
    text = f"the cluster refused: {error.status} {said}"
    final = error.status in (400, 401, 403, 404, 422) and "exceeded quota" not in text
    return Rejected(text) if final else RolloutFailed(text)


def _json(answer: Any) -> Document:
    document: Document = json.loads(answer.data)
    return document


def _selector(labels: dict[str, str]) -> str:
    return ",".join(f"{key}={value}" for key, value in labels.items())
