"""Start Toxiproxy as it was: `python -S launch.py SERVER FOLDER PORT` becomes the server, with its toxics back.

FOLDER is the bed's. A Toxiproxy that the keeper starts again knows nothing of its former self. Its proxies come from
FOLDER/toxiproxy/proxies.json; the toxics, and the proxies that a fault holds closed, from the ledger of faults. A proxy
with toxics stays closed until it has them: no client slips through. Standard library only: it runs before every start.
"""

from __future__ import annotations

import http.client
import json
import os
import sys
import time
from pathlib import Path

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

PROXIES = "toxiproxy/proxies.json"
START = "toxiproxy/start.json"
# There while a whole bed is brought up: its services must find each other first.
CLEAN = "toxiproxy/clean"
LEDGER = "faults.json"
IN_FORCE = ("arming", "active", "stuck")
HOST = "127.0.0.1"


def main() -> None:
    """Write the configuration of this start, leave a child that restores the toxics, become the server."""
    server, folder, port = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
    clean = (folder / CLEAN).exists()
    proxies, toxics = plan(json.loads((folder / PROXIES).read_text()), [] if clean else ledger(folder / LEDGER))
    (folder / START).write_text(json.dumps(proxies))
    if toxics:
        _leave_child(port, toxics)
    os.execv(server, [server, "-host", HOST, "-port", str(port), "-config", str(folder / START)])


def ledger(file: Path) -> list[dict[str, Any]]:
    """The entries of the ledger of faults; none when there is no file, or none that can be read."""
    try:
        found: list[dict[str, Any]] = json.loads(file.read_text())["entries"]
    except (OSError, ValueError, KeyError, TypeError):
        return []
    return found


def plan(
    proxies: list[dict[str, Any]], entries: list[dict[str, Any]]
) -> tuple[list[dict[str, Any]], list[tuple[str, dict[str, Any], bool]]]:
    """The proxies to start with, and the toxics to add to them: proxy, toxic, whether the proxy is opened then.

    A fault's plan says what it holds: `proxy`, and either `toxics` (as Toxiproxy's API wants them) or `down`.
    """
    held = [each["plan"] for each in entries if each.get("state") in IN_FORCE and "proxy" in each.get("plan", {})]
    down = {each["proxy"] for each in held if each.get("down")}
    wanted = {each["name"]: each["enabled"] and each["name"] not in down for each in proxies}
    toxics = [(each["proxy"], toxic) for each in held for toxic in each.get("toxics", []) if each["proxy"] in wanted]
    last = {proxy: number for number, (proxy, _) in enumerate(toxics)}
    started = [{**each, "enabled": wanted[each["name"]] and each["name"] not in last} for each in proxies]
    return started, [
        (proxy, toxic, last[proxy] == number and wanted[proxy]) for number, (proxy, toxic) in enumerate(toxics)
    ]


def _leave_child(port: int, toxics: list[tuple[str, dict[str, Any], bool]]) -> None:
    """Forked twice, so that the server is nobody's parent: it would never ask how its child ended."""
    child = os.fork()
    if child:
        os.waitpid(child, 0)
        return
    if os.fork():
        os._exit(0)
    status = 1
    try:
        restore(port, toxics)
        status = 0
    finally:
        os._exit(status)


def restore(port: int, toxics: list[tuple[str, dict[str, Any], bool]], timeout: float = 20) -> None:
    """Add the toxics as soon as the server answers, then open their proxies; at most `timeout` seconds."""
    deadline = time.monotonic() + timeout
    while True:
        try:
            _post(port, "", None)
            break
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.01)
    for proxy, toxic, open_it in toxics:
        _post(port, f"/{proxy}/toxics", toxic)
        if open_it:
            _post(port, f"/{proxy}", {"enabled": True})


def _post(port: int, path: str, body: object) -> None:
    connection = http.client.HTTPConnection(HOST, port, timeout=5)
    try:
        method, content = ("GET", None) if body is None else ("POST", json.dumps(body))
        connection.request(method, f"/proxies{path}", content, {"Content-Type": "application/json"})
        connection.getresponse().read()
    finally:
        connection.close()


if __name__ == "__main__":
    main()
