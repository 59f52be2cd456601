"""The client of a bed's director: task rules, S3 rules, gates, journal, metrics."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Self, Unpack

import httpx

from airbed.clients.director_rules import S3Rule, TaskRule, When
from airbed.endpoints import DirectorEndpoint
from airbed.errors import Unavailable, UsageError


class DirectorClient:
    """Speaks to one director. Use it as a context manager, or `close` it.

    Every method raises Unavailable when the director does not answer or refuses the token, and UsageError when it
    refuses what was asked. A rule may be given an `id`; the same rule under the same id again changes nothing.
    """

    def __init__(self, endpoint: DirectorEndpoint) -> None:
        self._http = httpx.Client(
            base_url=endpoint.url,
            headers={"Authorization": f"Bearer {endpoint.token}"},
            timeout=10,
            trust_env=False,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def add_task_rule(self, **rule: Unpack[TaskRule]) -> str:
        """Give chosen instances of a task a fault; returns the rule's id."""
        return str(self._ask("POST", "/task-rules", json=_plain(rule))["id"])

    @contextmanager
    def task_rule(self, **rule: Unpack[TaskRule]) -> Iterator[str]:
        """The same as `add_task_rule`, for the length of a `with` block; gives the rule's id."""
        rule_id = self.add_task_rule(**rule)
        try:
            yield rule_id
        finally:
            self.remove(rule_id)

    def remove(self, rule_id: str) -> bool:
        """Forget a task rule; False when it was gone already."""
        return self._delete(f"/task-rules/{rule_id}")

    def clear(self) -> int:
        """Forget every task rule; returns how many there were."""
        return int(self._ask("DELETE", "/task-rules")["removed"])

    def clear_all(self) -> int:
        """Forget every task rule, S3 rule and gate; returns how many there were."""
        return self.clear() + self.clear_s3_rules() + self.clear_gates()

    def rules(self) -> list[dict[str, Any]]:
        """Every task rule: its fields, `id`, and `fired`, the number of firings so far."""
        return list(self._ask("GET", "/task-rules"))

    def rule(self, rule_id: str) -> dict[str, Any] | None:
        """One task rule as `rules` gives it; None when there is none of that id."""
        return self._get(f"/task-rules/{rule_id}")

    def add_s3_rule(self, **rule: Unpack[S3Rule]) -> str:
        """Give chosen S3 requests a fault; returns the rule's id."""
        return str(self._ask("POST", "/s3-rules", json=_plain(rule))["id"])

    def remove_s3_rule(self, rule_id: str) -> bool:
        """Forget an S3 rule; False when it was gone already."""
        return self._delete(f"/s3-rules/{rule_id}")

    def clear_s3_rules(self) -> int:
        """Forget every S3 rule; returns how many there were."""
        return int(self._ask("DELETE", "/s3-rules")["removed"])

    def s3_rules(self) -> list[dict[str, Any]]:
        """Every S3 rule: its fields, `id`, `hits` (requests it selected) and `fired`."""
        return list(self._ask("GET", "/s3-rules"))

    def s3_rule(self, rule_id: str) -> dict[str, Any] | None:
        """One S3 rule as `s3_rules` gives it; None when there is none of that id."""
        return self._get(f"/s3-rules/{rule_id}")

    def add_gate(
        self,
        name: str,
        *,
        dag_id: str,
        task_id: str,
        run_id: str | None = None,
        map_index: Sequence[int] | None = None,
        try_number: Sequence[int] | None = None,
        where: Mapping[str, Sequence[Any]] | None = None,
        when: When = "before",
        hold: bool = True,
        timeout: float = 300,
    ) -> dict[str, Any]:
        """Put a gate up where chosen instances arrive, in the place of one of the same name; returns it.

        `where` maps a dotted path into the rendered task to the values of which it must have one. `hold` False: they
        are counted and go on. Held ones go on when the gate is opened, or `timeout` seconds after the first arrival.
        """
        chosen = {"run_id": run_id, "map_index": map_index, "try_number": try_number, "where": where}
        gate: dict[str, Any] = {"name": name, "dag_id": dag_id, "task_id": task_id, **chosen}
        gate |= {"when": when, "hold": hold, "timeout": timeout}
        return dict(self._ask("POST", "/gates", json=_plain(gate)))

    def gate(self, name: str) -> dict[str, Any]:
        """A gate: its fields, `open` (to all), `let_through` (the first n; None: all), `timed_out`, and `arrived`.

        `arrived` has, in order, position (from 1), dag_id, run_id, task_id, map_index, try_number, time; each once.
        """
        return dict(self._ask("GET", f"/gates/{name}"))

    def gates(self) -> list[dict[str, Any]]:
        """Every gate as `gate` gives it."""
        return list(self._ask("GET", "/gates"))

    def open_gate(self, name: str, count: int | None = None) -> dict[str, Any]:
        """Let the first `count` arrivals through, or all; twice does no more than once."""
        return dict(self._ask("POST", f"/gates/{name}/open", json={"count": count}))

    def remove_gate(self, name: str) -> bool:
        """Take a gate away, whoever waits there goes on; False when it was gone already."""
        return self._delete(f"/gates/{name}")

    def clear_gates(self) -> int:
        """Take every gate away; returns how many there were."""
        return int(self._ask("DELETE", "/gates")["removed"])

    def journal(
        self, *, after: int | None = None, limit: int | None = None, **equal: str | None
    ) -> list[dict[str, Any]]:
        """What the director saw, oldest first (it keeps the last 10000 questions and the last 10000 of the rest).

        Each entry has seq, time (Unix seconds) and kind (started, asked, fired, refused, arrived, gate-arrived,
        gate-opened, gate-timed-out, s3-fired, s3-followed, s3-unreachable). Only entries with a seq above `after`; the
        last `limit`; whose kind, dag_id, run_id, task_id, rule, gate, bucket or key equal the given ones.
        """
        wanted = {**equal, "after": after, "limit": limit}
        query = {name: str(value) for name, value in wanted.items() if value is not None}
        return list(self._ask("GET", "/journal", params=query)["entries"])

    def clear_journal(self) -> None:
        """Forget the journal."""
        self._send("DELETE", "/journal")

    def metrics(self, prefix: str = "") -> dict[str, dict[str, Any]]:
        """What StatsD clients sent, by metric name: type (counter, gauge, timer, set), count, sum, last, min, max.

        Timers (milliseconds) have mean, p50, p90 and p99 of their last 2000 samples too. Airflow's own names start with
        "airflow.".
        """
        return dict(self._ask("GET", "/metrics", params={"prefix": prefix}))

    def reset_metrics(self) -> None:
        """Forget every metric."""
        self._send("DELETE", "/metrics")

    def _ask(self, method: str, path: str, **options: Any) -> Any:
        return self._send(method, path, **options).json()

    def _get(self, path: str) -> dict[str, Any] | None:
        response = self._send("GET", path, missing_ok=True)
        return None if response.status_code == httpx.codes.NOT_FOUND else dict(response.json())

    def _delete(self, path: str) -> bool:
        return self._send("DELETE", path, missing_ok=True).status_code != httpx.codes.NOT_FOUND

    def _send(self, method: str, path: str, *, missing_ok: bool = False, **options: Any) -> httpx.Response:
        try:
            response = self._http.request(method, path, **options)
        except httpx.HTTPError as error:
            raise Unavailable(
                f"the director at {self._http.base_url} does not answer ({error}); see `airbed status`"
            ) from error
        if response.is_success or (missing_ok and response.status_code == httpx.codes.NOT_FOUND):
            return response
        reason = _reason(response)
        if response.status_code in (httpx.codes.BAD_REQUEST, httpx.codes.NOT_FOUND):
            raise UsageError(reason)
        raise Unavailable(f"the director at {self._http.base_url} answered {response.status_code}: {reason}")


def _plain(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Without what was not said, and with lists for what JSON knows as one."""
    return {
        name: list(value) if isinstance(value, tuple | range) else value
        for name, value in fields.items()
        if value is not None
    }


def _reason(response: httpx.Response) -> str:
    try:
        return str(response.json()["error"])
    except (ValueError, KeyError, TypeError):
        return response.text[:200]
