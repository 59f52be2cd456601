"""Toxiproxy as a part of a bed: its proxies, its program, and which of them are open."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Collection, Mapping
from pathlib import Path

from airbed.clients.toxiproxy import ToxiproxyClient
from airbed.endpoints import Endpoints
from airbed.errors import AirbedError, Unavailable
from airbed.spec import BedFiles, BedSpec, write_private
from airbed.substrates.embedded.program import Program
from airbed.topology import PROXIES, S3_WAY
from airbed.toxiproxy import launch

LAUNCH = Path(launch.__file__)
# The port of Toxiproxy's API, and of each proxy, among the ports of a bed.
API_PORT = "toxiproxy"


def port_of(proxy: str) -> str:
    """The purpose of the port on which a proxy listens."""
    return f"{proxy}-task"


def ports() -> tuple[str, ...]:
    """The purposes of all ports of Toxiproxy."""
    return (API_PORT, *(port_of(proxy) for proxy in PROXIES))


def program(server: Path, files: BedFiles, spec: BedSpec, url: str) -> Program:
    """Toxiproxy as the keeper runs it; ready when it has all its proxies."""
    client = ToxiproxyClient(url, timeout=2)

    def ready() -> bool:
        return set(PROXIES) <= set(client.proxies())

    return Program(
        name="toxiproxy",
        command=[sys.executable, "-S", str(LAUNCH), str(server), str(files.folder), str(spec.ports[API_PORT])],
        directory=files.toxiproxy,
        environment={
            # It would write two lines for every connection.
            "LOG_LEVEL": "warn",
            # With more, each byte wakes threads on several cores: a query through it takes twice the time.
            "GOMAXPROCS": "1",
        },
        ready=ready,
    )


class Ways:
    """The ways of the tasks to the services: a proxy is open while nothing on its way was stopped on purpose.

    What holds a proxy closed besides (the fault `tcp.down`) stands in the ledger of faults.
    """

    def __init__(self, files: BedFiles, spec: BedSpec, endpoints: Endpoints) -> None:
        self._files = files
        self._ports: Mapping[str, int] = spec.ports
        self._client = ToxiproxyClient(endpoints.toxiproxy or "", timeout=5)
        self._file = files.folder / launch.PROXIES

    def write(self, there: Collection[str]) -> None:
        """Note for the next start of Toxiproxy which proxies are open, given the services that are not stopped."""
        self._file.parent.mkdir(mode=0o700, exist_ok=True)
        rows = []
        for proxy, way in PROXIES.items():
            listen, upstream = self._addresses(proxy)
            rows.append({"name": proxy, "listen": listen, "upstream": upstream, "enabled": set(way) <= set(there)})
        write_private(self._file, json.dumps(rows, indent=1))

    def _addresses(self, proxy: str) -> tuple[str, str]:
        """Where a proxy listens, and where it leads."""
        ports = self._ports
        return f"127.0.0.1:{ports[port_of(proxy)]}", f"127.0.0.1:{ports[S3_WAY if proxy == 's3' else proxy]}"

    def forget_faults(self, forget: bool) -> None:
        """Whether Toxiproxy starts without what faults hold: so for the time of a bed's start."""
        marker = self._files.folder / launch.CLEAN
        if forget:
            marker.touch()
        else:
            marker.unlink(missing_ok=True)

    def wanted(self) -> dict[str, bool]:
        """For each proxy whether it is to be open now: as noted, and not held closed by a fault."""
        entries = launch.ledger(self._files.folder / launch.LEDGER)
        down = {
            each["plan"].get("proxy")
            for each in entries
            if each.get("state") in launch.IN_FORCE and each.get("plan", {}).get("down")
        }
        noted = json.loads(self._file.read_text())
        return {each["name"]: each["enabled"] and each["name"] not in down for each in noted}

    def apply(self, timeout: float = 5) -> None:
        """Open and close the proxies of the living Toxiproxy as `wanted`; Unavailable after `timeout` seconds.

        One that is just being started by the keeper does not answer for a moment, or lacks its proxies.
        """
        deadline = time.monotonic() + timeout
        while True:
            try:
                present = self._client.proxies()
                for name, enabled in self.wanted().items():
                    if present[name].enabled != enabled:
                        self._client.set_enabled(name, enabled)
                return
            except (AirbedError, KeyError) as error:
                if time.monotonic() > deadline:
                    raise Unavailable(
                        f"the proxies of bed '{self._files.name}' are not as they should: {error}"
                    ) from None
            time.sleep(0.02)
