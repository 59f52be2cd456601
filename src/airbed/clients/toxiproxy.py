"""The client of a bed's Toxiproxy. Standard library only: the verbs of the command line use it too."""

from __future__ import annotations

import http.client
import json
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import quote, urlsplit

from airbed.errors import Unavailable, UsageError

# Towards the service, or towards the client.
Stream = Literal["upstream", "downstream"]


@dataclass(frozen=True)
class Toxic:
    """What a proxy does to the bytes of one direction.

    `attributes` depend on `type` (Toxiproxy's README); `toxicity` is the share of connections that have it, 0 to 1.
    """

    name: str
    type: str
    stream: Stream
    toxicity: float = 1
    attributes: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Proxy:
    """One proxy: `listen` and `upstream` are host:port; a disabled one refuses connections."""

    name: str
    listen: str
    upstream: str
    enabled: bool
    toxics: tuple[Toxic, ...]


class ToxiproxyClient:
    """Speaks to one Toxiproxy at `url`, with at most `timeout` seconds for an answer.

    Every method raises Unavailable when it does not answer, and UsageError when it refuses what was asked.
    """

    def __init__(self, url: str, timeout: float = 10) -> None:
        self.url = url
        self._timeout = timeout

    def version(self) -> str:
        """Its version, such as "2.5.0"."""
        return self._send("GET", "/version")[1].decode()

    def proxies(self) -> dict[str, Proxy]:
        """All proxies by name."""
        return {name: _proxy(each) for name, each in self._ask("GET", "/proxies").items()}

    def proxy(self, name: str) -> Proxy:
        """One proxy; UsageError when there is none of that name."""
        return _proxy(self._ask("GET", f"/proxies/{quote(name)}"))

    def set_enabled(self, name: str, enabled: bool) -> Proxy:
        """Open a proxy, or close it: connections end, new ones are refused. Doing it again changes nothing."""
        return _proxy(self._ask("POST", f"/proxies/{quote(name)}", {"enabled": enabled}))

    def add_toxic(self, proxy: str, toxic: Toxic) -> Toxic:
        """Give a proxy a toxic, for its present connections too; one of the same name is replaced."""
        self.remove_toxic(proxy, toxic.name)
        return _toxic(self._ask("POST", f"/proxies/{quote(proxy)}/toxics", _body(toxic)))

    def remove_toxic(self, proxy: str, name: str) -> bool:
        """Take a toxic away; False when it was gone already."""
        status, _ = self._send("DELETE", f"/proxies/{quote(proxy)}/toxics/{quote(name)}", missing_ok=True)
        return status != http.client.NOT_FOUND

    def _ask(self, method: str, path: str, body: object = None) -> Any:
        return json.loads(self._send(method, path, body)[1])

    def _send(self, method: str, path: str, body: object = None, *, missing_ok: bool = False) -> tuple[int, bytes]:
        at = urlsplit(self.url)
        connection = http.client.HTTPConnection(at.hostname or "", at.port, timeout=self._timeout)
        try:
            content = None if body is None else json.dumps(body)
            connection.request(method, path, content, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            status, said = answer.status, answer.read()
        except (OSError, http.client.HTTPException) as error:
            reason = str(error) or type(error).__name__
            raise Unavailable(f"Toxiproxy at {self.url} does not answer ({reason}); see `airbed status`") from None
        finally:
            connection.close()
        if status < http.client.BAD_REQUEST or (missing_ok and status == http.client.NOT_FOUND):
            return status, said
        raise UsageError(f"Toxiproxy at {self.url} refused {method} {path}: {status} {said.decode().strip()[:200]}")


def _body(toxic: Toxic) -> dict[str, Any]:
    return {
        "name": toxic.name,
        "type": toxic.type,
        "stream": toxic.stream,
        "toxicity": toxic.toxicity,
        "attributes": toxic.attributes,
    }


def _proxy(row: dict[str, Any]) -> Proxy:
    toxics = tuple(_toxic(each) for each in row["toxics"])
    return Proxy(row["name"], row["listen"], row["upstream"], row["enabled"], toxics)


def _toxic(row: dict[str, Any]) -> Toxic:
    return Toxic(row["name"], row["type"], row["stream"], row["toxicity"], row["attributes"])
