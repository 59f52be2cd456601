"""The client of a bed's director: task rules, journal, metrics."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Literal, Self

import httpx

from airbed.endpoints import DirectorEndpoint
from airbed.errors import Unavailable, UsageError

Action = Literal["raise", "fail-now", "kill"]
When = Literal["before", "after"]


class DirectorClient:
    """Speaks to one director. Use it as a context manager, or `close` it.

    Every method raises Unavailable when the director does not answer or refuses the token, and UsageError when it
    refuses what was asked.
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

    def add_task_rule(
        self,
        *,
        dag_id: str,
        task_id: str,
        action: Action,
        run_id: str | None = None,
        map_index: int | Sequence[int] | None = None,
        try_number: int | Sequence[int] | None = None,
        times: int | None = None,
        when: When = "before",
        exception: str | None = None,
        message: str | None = None,
        where: Mapping[str, Any] | None = None,
    ) -> str:
        """Give chosen instances of a task a fault; returns the rule's id.

        `map_index` counts from 0 (-1: unmapped), `try_number` from 1; None means every one. `times` is the highest
        number of firings over all instances. `exception` is "module:Class", for action "raise" only. `where` maps a
        dotted path into the rendered task, such as "op_kwargs.item.id", to the value it must have.
        """
        rule = {
            "dag_id": dag_id,
            "task_id": task_id,
            "action": action,
            "run_id": run_id,
            "map_index": _plain(map_index),
            "try_number": _plain(try_number),
            "times": times,
            "when": when,
            "exception": exception,
            "message": message,
            "where": None if where is None else dict(where),
        }
        return str(self._ask("POST", "/task-rules", json=rule)["id"])

    @contextmanager
    def task_rule(
        self,
        *,
        dag_id: str,
        task_id: str,
        action: Action,
        run_id: str | None = None,
        map_index: int | Sequence[int] | None = None,
        try_number: int | Sequence[int] | None = None,
        times: int | None = None,
        when: When = "before",
        exception: str | None = None,
        message: str | None = None,
        where: Mapping[str, Any] | None = None,
    ) -> Iterator[str]:
        """The same as `add_task_rule`, for the length of a `with` block; gives the rule's id."""
        rule_id = self.add_task_rule(
            dag_id=dag_id,
            task_id=task_id,
            action=action,
            run_id=run_id,
            map_index=map_index,
            try_number=try_number,
            times=times,
            when=when,
            exception=exception,
            message=message,
            where=where,
        )
        try:
            yield rule_id
        finally:
            self.remove(rule_id)

    def remove(self, rule_id: str) -> bool:
        """Forget a rule; False when it was gone already."""
        return self._send("DELETE", f"/task-rules/{rule_id}", missing_ok=True).status_code != httpx.codes.NOT_FOUND

    def clear(self) -> int:
        """Forget every rule; returns how many there were."""
        return int(self._ask("DELETE", "/task-rules")["removed"])

    def rules(self) -> list[dict[str, Any]]:
        """Every rule: its fields, `id`, and `fired`, the number of firings so far."""
        return list(self._ask("GET", "/task-rules"))

    def journal(
        self,
        *,
        kind: Literal["asked", "fired", "refused"] | None = None,
        dag_id: str | None = None,
        run_id: str | None = None,
        task_id: str | None = None,
        rule: str | None = None,
        after: int | None = None,
        limit: int | None = None,
    ) -> list[dict[str, Any]]:
        """What the director saw, oldest first (it keeps the last 10000 questions and the last 10000 faults).

        Each entry has seq, time (Unix seconds), kind, dag_id, run_id, task_id, map_index, try_number; `asked` has the
        offered `rules`, `fired` has rule, action and when. Only entries with a seq above `after`; the last `limit`.
        """
        wanted = {
            "kind": kind,
            "dag_id": dag_id,
            "run_id": run_id,
            "task_id": task_id,
            "rule": rule,
            "after": after,
            "limit": limit,
        }
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


def _plain(value: int | Sequence[int] | None) -> int | list[int] | None:
    return value if value is None or isinstance(value, int) else list(value)


def _reason(response: httpx.Response) -> str:
    try:
        return str(response.json()["error"])
    except (ValueError, KeyError, TypeError):
        return response.text[:200]
