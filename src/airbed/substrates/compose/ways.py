"""Toxiproxy in its container: its proxies, what it starts with, and which of them are open."""

from __future__ import annotations

import json
from collections.abc import Collection

from airbed.endpoints import Endpoints
from airbed.errors import Unavailable
from airbed.spec import BedFiles, BedSpec, write_private
from airbed.substrates.compose import layout
from airbed.substrates.embedded.toxiproxy import Ways
from airbed.topology import DATABASE_SERVICES
from airbed.toxiproxy import launch

_UPSTREAMS = {
    **{service: f"{service}:{layout.POSTGRES}" for service in DATABASE_SERVICES},
    "s3": f"director:{layout.DIRECTOR_S3}",
    "api-server": f"api-server:{layout.API_SERVER}",
}

Toxics = list[tuple[str, dict[str, object], bool]]


class ContainerWays(Ways):
    """The proxies between the containers.

    The server is in an image without anything else, so what `toxiproxy/launch.py` does on the embedded substrate is
    done here from outside: `prepare` before the container starts, `restore` after it.
    """

    def __init__(self, files: BedFiles, spec: BedSpec, endpoints: Endpoints) -> None:
        super().__init__(files, spec, endpoints)
        self._folder = files.folder
        self._api_port = spec.ports["toxiproxy"]
        self._node = f"{layout.node(spec.name)}:{layout.KUBE_APISERVER}"

    def _addresses(self, proxy: str) -> tuple[str, str]:
        return f"0.0.0.0:{layout.PROXY_PORTS[proxy]}", _UPSTREAMS.get(proxy, self._node)

    def prepare(self, there: Collection[str], *, forget: bool = False) -> Toxics:
        """Write what the next start begins with; returns the toxics to add after it.

        `forget`: without what faults hold. A proxy with toxics begins closed: no client slips through before it has
        them.
        """
        self.write(there)
        entries = [] if forget else launch.ledger(self._folder / launch.LEDGER)
        proxies, toxics = launch.plan(json.loads((self._folder / launch.PROXIES).read_text()), entries)
        write_private(self._folder / launch.START, json.dumps(proxies, indent=1))
        return toxics

    def restore(self, toxics: Toxics) -> None:
        """Add the toxics to the server that has just started, then open their proxies."""
        if not toxics:
            return
        try:
            launch.restore(self._api_port, toxics)
        except OSError as error:
            raise Unavailable(f"Toxiproxy was started and does not answer: {error}") from None
