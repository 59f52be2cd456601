"""How a task speaks to the bed's director: short questions, and a long wait at gates."""

from __future__ import annotations

import logging
import os
import time
from typing import Any

log = logging.getLogger("airbed")

TIMEOUT_SECONDS = 2
# The director answers a waiting task at least every 5 s.
GATE_TIMEOUT_SECONDS = 15
# A director that died is back within seconds, with every arrival on its disk.
GATE_PATIENCE_SECONDS = 30


class DirectorUnreachable(RuntimeError):
    """The director does not answer while a scenario is armed: the task must not run as if nothing were injected."""


class DirectorClient:
    """Asks the director for one task instance. OSError or ValueError when it does not answer as it should.

    `resumed`: its try goes on in this process after a trigger.
    """

    def __init__(self, url: str, token: str, ti: Any, *, resumed: bool = False) -> None:
        self._address = url.removeprefix("http://").rstrip("/")
        self._token = token
        self._instance = {
            "dag_id": ti.dag_id,
            "run_id": ti.run_id,
            "task_id": ti.task_id,
            "map_index": -1 if ti.map_index is None else ti.map_index,
            "try_number": ti.try_number,
        }
        self._asker = {**self._instance, "resumed": resumed}
        where = "" if self._instance["map_index"] < 0 else f"[{self._instance['map_index']}]"
        self.instance = f"{ti.dag_id}.{ti.task_id}{where} try {ti.try_number}"

    def ask(self) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        """The rules that may fire for this instance, and the gates it may meet."""
        answer = self._send("POST", "/task", self._asker)
        return list(answer["rules"]), list(answer["gates"])

    def ask_again(self) -> list[dict[str, Any]]:
        """The rules that may fire by now, after a gate."""
        return list(self._send("POST", "/task", {**self._asker, "again": True})["rules"])

    def claim(self, rule_id: str) -> bool:
        """Count one firing of a rule; False when it is not this instance's turn, or the rule is spent or gone."""
        return bool(self._send("POST", "/task/fired", {**self._asker, "rule": rule_id})["fire"])

    def in_force(self, rule_id: str) -> bool:
        """Whether a rule is still there; a director that does not answer leaves it there."""
        try:
            return bool(self._send("GET", f"/task-rules/{rule_id}", None, missing={}))
        except (OSError, ValueError):
            return True

    def pass_gate(self, name: str) -> None:
        """Arrive at a gate and return when this instance may go on.

        Asks again through a restart of the director; OSError when it stays away.
        """
        log.info("airbed: %s waits at gate %s", self.instance, name)
        heard = time.monotonic()
        while True:
            try:
                path = f"/gates/{name}/arrive"
                if self._send("POST", path, self._instance, timeout=GATE_TIMEOUT_SECONDS)["open"]:
                    log.info("airbed: %s passes gate %s", self.instance, name)
                    return
                heard = time.monotonic()
            except (OSError, ValueError):
                if time.monotonic() - heard > GATE_PATIENCE_SECONDS:
                    raise
                time.sleep(0.2)

    def _send(
        self,
        method: str,
        path: str,
        body: dict[str, Any] | None,
        *,
        timeout: float = TIMEOUT_SECONDS,
        missing: dict[str, Any] | None = None,
    ) -> dict[str, Any]:
        import http.client
        import json

        connection = http.client.HTTPConnection(self._address, timeout=timeout)
        try:
            headers = {"Authorization": f"Bearer {self._token}", "Content-Type": "application/json"}
            connection.request(method, path, None if body is None else json.dumps(body), headers)
            response = connection.getresponse()
            answer = response.read()
        except http.client.HTTPException as error:
            raise OSError(str(error) or type(error).__name__) from error
        finally:
            connection.close()
        if response.status == 404 and missing is not None:
            return missing
        if response.status != 200:
            raise OSError(f"status {response.status}: {answer[:200].decode('utf-8', 'replace')}")
        parsed = json.loads(answer)
        if not isinstance(parsed, dict):
            raise ValueError("the answer is not a JSON object")
        return parsed


def is_armed() -> bool:
    """Whether a scenario is being played on this bed: then no task may run without the director."""
    folder = os.environ.get("AIRFLOW_HOME")
    return folder is not None and os.path.exists(os.path.join(folder, "armed"))  # noqa: PTH110, PTH118  no pathlib here


def go_on_without(error: Exception, loss: str) -> None:
    """The director does not answer: say what is lost and go on, or raise DirectorUnreachable while armed."""
    if is_armed():
        raise DirectorUnreachable(
            f"airbed: the director does not answer ({error}) while a scenario is armed, so this try fails;"
            " see: airbed status"
        ) from None
    log.warning("airbed: the director does not answer (%s): %s", error, loss)
