"""Which revision of a Deployment ran: what a deploy notes before it changes anything, and a rollback goes back to."""

from __future__ import annotations

from dataclasses import dataclass

from mapping.rollout_status import Document

REVISION = "deployment.kubernetes.io/revision"
HASH = "pod-template-hash"
VERSION = "app.kubernetes.io/version"


@dataclass(frozen=True)
class Before:
    """What ran before a run: the ReplicaSet's template hash (stable), its revision (moves), version, replicas.

    `served`: pods of it were available. Only then can a rollback ask for that again.
    """

    hash: str
    revision: int
    version: str
    replicas: int
    served: bool = True


def serving(deployment: Document, sets: list[Document]) -> Before | None:
    """The revision with the most available pods; None when no pod is available. `sets` are its ReplicaSets."""
    available = [each for each in sets if each["status"].get("availableReplicas")]
    if not available:
        return None
    best = max(available, key=lambda each: (each["status"]["availableReplicas"], revision(each)))
    return _noted(deployment, best, served=True)


def before(deployment: Document, sets: list[Document]) -> Before | None:
    """What a rollback goes back to: what serves, else the current revision, though no pod of it is available.

    A Deployment whose pods all crash, or that is scaled to 0, is somebody's all the same. None when it has no
    ReplicaSet yet.
    """
    served, newest = serving(deployment, sets), current(deployment, sets)
    if served or newest is None:
        return served
    return _noted(deployment, newest, served=False)


def current(deployment: Document, sets: list[Document]) -> Document | None:
    """The ReplicaSet of the Deployment's own revision; None before the controller has made it."""
    return next((each for each in sets if revision(each) == revision(deployment)), None)


def revision(document: Document) -> int:
    """The revision of a Deployment or ReplicaSet; 0 when it has none yet."""
    return int(annotation(document, REVISION) or 0)


def version(document: Document) -> str:
    """The version by its label."""
    return str(document["metadata"].get("labels", {}).get(VERSION, "unknown"))


def annotation(document: Document, name: str) -> str:
    """An annotation's text; empty when it has none of that name."""
    return str(document["metadata"].get("annotations", {}).get(name, ""))


def _noted(deployment: Document, chosen: Document, *, served: bool) -> Before:
    hash_ = chosen["metadata"]["labels"][HASH]
    return Before(hash_, revision(chosen), version(chosen), deployment["spec"]["replicas"], served)
