"""Kubeconfigs of a bed."""

from __future__ import annotations

import base64
import json
from pathlib import Path


def kubeconfig(server: str, certificate_authority: bytes, token: str, namespace: str | None = None) -> str:
    """The text of a kubeconfig (JSON, which is YAML) with one cluster, one user and one context.

    It holds everything inline, so that the file alone is enough. `namespace` is the context's default one.
    """
    context = {"cluster": "bed", "user": "bed"} | ({"namespace": namespace} if namespace else {})
    authority = base64.b64encode(certificate_authority).decode()
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "bed", "cluster": {"server": server, "certificate-authority-data": authority}}],
        "users": [{"name": "bed", "user": {"token": token}}],
        "contexts": [{"name": "bed", "context": context}],
        "current-context": "bed",
    }
    return json.dumps(document, indent=1)


def read_kubeconfig(path: Path) -> tuple[str, bytes, str]:
    """Server, certificate authority (PEM) and token of a file that `kubeconfig` made."""
    document = json.loads(path.read_text())
    cluster = document["clusters"][0]["cluster"]
    authority = base64.b64decode(cluster["certificate-authority-data"])
    return str(cluster["server"]), authority, str(document["users"][0]["user"]["token"])
