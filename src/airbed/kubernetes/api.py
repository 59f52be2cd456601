"""A small client of the Kubernetes API for setting a bed up: one kubeconfig, plain documents in and out.

The `kubernetes` package does the same and takes most of a second to import; `airbed up` has better uses for that.
"""

from __future__ import annotations

import json
import ssl
import time
from pathlib import Path
from types import TracebackType
from typing import Any

import httpx

from airbed.errors import Unavailable
from airbed.kubernetes.files import read_kubeconfig

FIELD_MANAGER = "airbed"
APPLY = "application/apply-patch+yaml"
MERGE = "application/merge-patch+json"
PATIENCE = 15.0  # seconds

# Where the kinds that a bed uses live: path prefix, plural, whether they belong to a namespace.
KINDS = {
    "Namespace": ("/api/v1", "namespaces", False),
    "Node": ("/api/v1", "nodes", False),
    "ServiceAccount": ("/api/v1", "serviceaccounts", True),
    "ResourceQuota": ("/api/v1", "resourcequotas", True),
    "Role": ("/apis/rbac.authorization.k8s.io/v1", "roles", True),
    "RoleBinding": ("/apis/rbac.authorization.k8s.io/v1", "rolebindings", True),
    "CustomResourceDefinition": ("/apis/apiextensions.k8s.io/v1", "customresourcedefinitions", False),
    "MutatingAdmissionPolicy": ("/apis/admissionregistration.k8s.io/v1beta1", "mutatingadmissionpolicies", False),
    "MutatingAdmissionPolicyBinding": (
        "/apis/admissionregistration.k8s.io/v1beta1",
        "mutatingadmissionpolicybindings",
        False,
    ),
    "Stage": ("/apis/kwok.x-k8s.io/v1alpha1", "stages", False),
}


class Api:
    """One user's view of the API, by a kubeconfig of ours. Every method raises Unavailable when the API refuses.

    `timeout` in seconds is for each request. Use it as a context manager, or close it.
    """

    def __init__(self, kubeconfig: Path, timeout: float = 10) -> None:
        self._connect(*read_kubeconfig(kubeconfig), timeout)

    @classmethod
    def with_token(cls, server: str, authority: bytes, token: str, timeout: float = 10) -> Api:
        """The same without a file."""
        api = cls.__new__(cls)
        api._connect(server, authority, token, timeout)
        return api

    def _connect(self, server: str, authority: bytes, token: str, timeout: float) -> None:
        self.server = server
        self._client = httpx.Client(
            base_url=self.server,
            verify=ssl.create_default_context(cadata=authority.decode()),
            headers={"Authorization": f"Bearer {token}"},
            timeout=timeout,
            trust_env=False,
        )

    def __enter__(self) -> Api:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def request(
        self, method: str, path: str, body: object = None, content_type: str = "application/json", **query: str | int
    ) -> httpx.Response:
        """One request; the answer whatever its status. Raises Unavailable when there is none.

        "Try again" (429: an API server that has just come back, or is busy) is heeded for 15 seconds.
        """
        content = None if body is None else json.dumps(body)
        headers = {"Content-Type": content_type}
        deadline = time.monotonic() + PATIENCE
        try:
            while True:
                answer = self._client.request(method, path, content=content, params=query, headers=headers)
                if answer.status_code != httpx.codes.TOO_MANY_REQUESTS or time.monotonic() > deadline:
                    return answer
                time.sleep(0.2)
        except httpx.HTTPError as error:
            reason = str(error) or type(error).__name__
            raise Unavailable(
                f"the Kubernetes API at {self.server} does not answer ({reason}); see which part is down: airbed status"
            ) from None

    def call(
        self, method: str, path: str, body: object = None, content_type: str = "application/json", **query: str | int
    ) -> dict[str, Any]:
        """One request that must succeed; the answer's document."""
        answer = self.request(method, path, body, content_type, **query)
        if answer.is_success:
            document: dict[str, Any] = answer.json()
            return document
        raise Unavailable(f"the Kubernetes API refused {method} {path}: {answer.status_code} {message(answer)}")

    def ready(self) -> bool:
        """Whether the API server says that it is ready."""
        return self.request("GET", "/readyz").text == "ok"

    def apply(self, document: dict[str, Any]) -> dict[str, Any]:
        """Server-side apply of one document of `KINDS`; returns what is stored."""
        return self.call("PATCH", path_of(document), document, APPLY, fieldManager=FIELD_MANAGER, force="true")

    def delete(self, document: dict[str, Any]) -> None:
        """Delete one object; nothing happens when it is not there."""
        answer = self.request("DELETE", path_of(document))
        if not answer.is_success and answer.status_code != httpx.codes.NOT_FOUND:
            raise Unavailable(f"the Kubernetes API refused to delete {path_of(document)}: {message(answer)}")

    def wait_until(self, what: str, path: str, condition: Any, timeout: float = 30) -> dict[str, Any]:
        """Ask for `path` until `condition(document)` holds, and return the document.

        Raises Unavailable after `timeout` seconds, with `what` in the message.
        """
        deadline = time.monotonic() + timeout
        while True:
            answer = self.request("GET", path)
            if answer.is_success:
                document: dict[str, Any] = answer.json()
                if condition(document):
                    return document
            if time.monotonic() > deadline:
                raise Unavailable(f"{what} did not happen within {timeout:.0f} s: {path} says {answer.status_code}")
            time.sleep(0.05)


def path_of(document: dict[str, Any]) -> str:
    """The path of one object."""
    prefix, plural, namespaced = KINDS[document["kind"]]
    metadata = document["metadata"]
    inside = f"/namespaces/{metadata['namespace']}" if namespaced else ""
    return f"{prefix}{inside}/{plural}/{metadata['name']}"


def message(answer: httpx.Response) -> str:
    """The API's own words about an error."""
    try:
        return str(answer.json()["message"])
    except (ValueError, KeyError, TypeError):
        return answer.text[:200]
