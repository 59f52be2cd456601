"""Airflow's public REST API, version 2, as airbed uses it (checked against Airflow 3.3.2)."""

from __future__ import annotations

import difflib
import json
from collections.abc import Collection, Iterator, Sequence
from datetime import datetime
from time import monotonic
from typing import Any
from urllib.parse import quote

from airbed.clients.rest import BadRequest, Rest
from airbed.clients.tasklog import plain_text
from airbed.endpoints import AirflowEndpoint
from airbed.errors import Unavailable, UsageError

API = "/api/v2"
FINISHED = frozenset({"success", "failed"})


class AirflowClient:
    """One API server, as one user. Answers are the API's own JSON objects unless said otherwise."""

    def __init__(self, endpoint: AirflowEndpoint) -> None:
        """Nothing is sent before the first call."""
        self._rest = Rest(endpoint)

    def close(self) -> None:
        """Close the connections."""
        self._rest.close()

    # -- health

    def health(self) -> dict[str, Any]:
        """Parts of Airflow to `{"status": "healthy" | "unhealthy" | None, ...}`: metadatabase, scheduler, ..."""
        answer: dict[str, Any] = self._rest.open_json(f"{API}/monitor/health")
        return answer

    def ping_execution_api(self) -> None:
        """One request to the execution API, which tasks talk to: warms it; Unavailable when it is unwell."""
        answer = self._rest.open_json("/execution/health/ping")
        if answer.get("failing"):
            raise Unavailable(f"Airflow's execution API is unwell: {answer['failing']}; see: airbed logs api-server")

    # -- DAGs

    def dag(self, dag_id: str) -> dict[str, Any]:
        """The DAG's row: is_paused, fileloc, file_token, has_import_errors ...; UsageError with the nearest name."""
        try:
            answer: dict[str, Any] = self._rest.json("GET", f"{API}/dags/{quote(dag_id, safe='')}")
        except BadRequest as error:
            if error.status == 404:
                raise unknown_dag(dag_id, self.dag_ids()) from error
            raise
        return answer

    def dag_ids(self) -> list[str]:
        """The ids of all DAGs that are not stale, sorted."""
        return sorted(str(each["dag_id"]) for each in self._pages(f"{API}/dags", "dags"))

    def import_errors(self) -> list[dict[str, Any]]:
        """Files that could not be parsed: filename (in its bundle), bundle_name, timestamp, stack_trace."""
        return list(self._pages(f"{API}/importErrors", "import_errors"))

    def unpause(self, dag_id: str) -> None:
        """Let the scheduler run the DAG's runs."""
        self._rest.json("PATCH", f"{API}/dags/{quote(dag_id, safe='')}", body={"is_paused": False})

    def pause(self, dag_id: str) -> None:
        """Keep the scheduler from starting the DAG's runs."""
        self._rest.json("PATCH", f"{API}/dags/{quote(dag_id, safe='')}", body={"is_paused": True})

    def reparse(self, file_token: str) -> None:
        """Ask the DAG processor to parse a file next (`file_token` is in what `dag` returns)."""
        self._rest.json("PUT", f"{API}/parseDagFile/{quote(file_token, safe='')}")

    # -- runs

    def trigger(
        self,
        dag_id: str,
        *,
        run_id: str | None = None,
        logical_date: datetime | None = None,
        interval: tuple[datetime, datetime] | None = None,
        conf: dict[str, Any] | None = None,
        note: str | None = None,
    ) -> str:
        """Create a run and return its id. `interval` is the data interval's start and end (given with a logical date).

        BadRequest with status 400 for conf that the DAG's params refuse, 404 for an unknown DAG, 409 for a run that
        exists. Airflow needs the key logical_date even when it is null.
        """
        body: dict[str, Any] = {"logical_date": logical_date.isoformat() if logical_date else None, "conf": conf or {}}
        if run_id is not None:
            body["dag_run_id"] = run_id
        if interval is not None:
            body["data_interval_start"], body["data_interval_end"] = (end.isoformat() for end in interval)
        if note is not None:
            body["note"] = note
        try:
            return str(self._rest.json("POST", f"{API}/dags/{quote(dag_id, safe='')}/dagRuns", body=body)["dag_run_id"])
        except BadRequest as error:
            if error.status == 404:
                raise unknown_dag(dag_id, self.dag_ids()) from error
            raise

    def run_state(self, dag_id: str, run_id: str) -> str:
        """The run's state: queued, running, success or failed. Not for tight polling: use `wait` or `Metadata`."""
        return str(self._rest.json("GET", run_path(dag_id, run_id))["state"])

    def wait(self, dag_id: str, run_id: str, timeout: float) -> str:
        """Block until the run has ended; returns its state. Unavailable after `timeout` seconds."""
        deadline = monotonic() + timeout
        params = {"interval": 1}
        for line in self._rest.lines(f"{run_path(dag_id, run_id)}/wait", params, timeout=min(timeout, 60.0)):
            state = str(json.loads(line)["state"]) if line.strip() else ""
            if state in FINISHED:
                return state
            if monotonic() > deadline:
                break
        raise Unavailable(
            f"run {run_id} of {dag_id} did not end within {timeout:g} s; see: airbed logs scheduler, or give it longer"
        )

    def clear(
        self,
        dag_id: str,
        run_id: str,
        task_ids: Sequence[str] | None = None,
        map_indexes: Collection[int] | None = None,
        *,
        only_failed: bool = False,
        downstream: bool = False,
    ) -> list[dict[str, Any]]:
        """Set instances of a run back so that they run again; returns those instances.

        `task_ids` None is the whole run; `map_indexes` narrows to these instances of each of the tasks. With
        `downstream` what depends on them runs again too.
        """
        if map_indexes is not None and not task_ids:
            raise UsageError("map_indexes of which task? give task_ids too")
        body: dict[str, Any] = {
            "dry_run": False,
            "dag_run_id": run_id,
            "only_failed": only_failed,
            "include_downstream": downstream,
        }
        if task_ids:
            marks: list[Any] = list(task_ids)
            if map_indexes is not None:
                marks = [[task_id, index] for task_id in task_ids for index in sorted(map_indexes)]
            body["task_ids"] = marks
        answer = self._rest.json("POST", f"{API}/dags/{quote(dag_id, safe='')}/clearTaskInstances", body=body)
        return list(answer["task_instances"])

    def delete_run(self, dag_id: str, run_id: str) -> None:
        """Delete a run with its instances and XCom rows (not its XCom objects). 409 while it runs."""
        self._rest.json("DELETE", run_path(dag_id, run_id))

    def set_run_state(self, dag_id: str, run_id: str, state: str) -> None:
        """Set a run to success, failed or queued; what still runs of it is ended."""
        self._rest.json("PATCH", run_path(dag_id, run_id), body={"state": state})

    # -- logs

    def log_events(self, dag_id: str, run_id: str, task_id: str, map_index: int = -1, try_number: int = 1) -> list[Any]:
        """The structured log of one try: a list of events (dicts), or of lines when they were not structured."""
        path = f"{run_path(dag_id, run_id)}/taskInstances/{quote(task_id, safe='')}/logs/{try_number}"
        answer = self._rest.json("GET", path, params={"map_index": map_index, "full_content": True})
        return list(answer["content"])

    def log(self, dag_id: str, run_id: str, task_id: str, map_index: int = -1, try_number: int = 1) -> str:
        """The log of one try as plain text. BadRequest with status 404 when there is no such try."""
        return plain_text(self.log_events(dag_id, run_id, task_id, map_index, try_number))

    # -- backfills

    def create_backfill(
        self,
        dag_id: str,
        from_date: datetime,
        to_date: datetime,
        *,
        max_active_runs: int = 10,
        reprocess: str = "none",
        run_backwards: bool = False,
        conf: dict[str, Any] | None = None,
    ) -> int:
        """Create a backfill over the logical dates from `from_date` to `to_date`, both included; returns its id.

        `reprocess` is none (only days without a run), failed or completed. `max_active_runs` wins over the DAG's own
        limit (Airflow's behaviour). BadRequest when one is under way (409), or the DAG has no periodic schedule.
        """
        body = {
            "dag_id": dag_id,
            "from_date": from_date.isoformat(),
            "to_date": to_date.isoformat(),
            "max_active_runs": max_active_runs,
            "reprocess_behavior": reprocess,
            "run_backwards": run_backwards,
            "dag_run_conf": conf or {},
        }
        return int(self._rest.json("POST", f"{API}/backfills", body=body)["id"])

    def backfill(self, backfill_id: int) -> dict[str, Any]:
        """The backfill's row; `completed_at` is set some time after its last run has ended."""
        answer: dict[str, Any] = self._rest.json("GET", f"{API}/backfills/{backfill_id}")
        return answer

    def cancel_backfill(self, backfill_id: int) -> None:
        """Fail the backfill's queued runs; those that run go on."""
        self._rest.json("PUT", f"{API}/backfills/{backfill_id}/cancel")

    # -- pools

    def pools(self) -> dict[str, dict[str, Any]]:
        """Pools by name: slots, description, open_slots, running_slots, queued_slots, ..."""
        return {str(each["name"]): each for each in self._pages(f"{API}/pools", "pools")}

    def set_pool(self, name: str, slots: int, description: str = "") -> None:
        """Create the pool, or change its slots and description."""
        body: dict[str, Any] = {"name": name, "slots": slots, "description": description, "include_deferred": False}
        try:
            self._rest.json("POST", f"{API}/pools", body=body)
        except BadRequest as error:
            if error.status != 409:
                raise
            # the patch body calls the name "pool", the post body calls it "name"
            patch = {"pool": name, "slots": slots, "description": description, "include_deferred": False}
            self._rest.json("PATCH", f"{API}/pools/{quote(name, safe='')}", body=patch)

    def delete_pool(self, name: str) -> None:
        """Delete the pool. BadRequest with status 404 when there is none."""
        self._rest.json("DELETE", f"{API}/pools/{quote(name, safe='')}")

    # -- variables

    def set_variable(self, key: str, value: str) -> None:
        """Create the Airflow Variable, or change its value."""
        body = {"key": key, "value": value}
        try:
            self._rest.json("POST", f"{API}/variables", body=body)
        except BadRequest as error:
            if error.status != 409:
                raise
            self._rest.json("PATCH", f"{API}/variables/{quote(key, safe='')}", body=body)

    def delete_variable(self, key: str) -> None:
        """Delete the Airflow Variable. BadRequest with status 404 when there is none."""
        self._rest.json("DELETE", f"{API}/variables/{quote(key, safe='')}")

    def _pages(self, path: str, key: str, size: int = 100) -> Iterator[dict[str, Any]]:
        offset = 0
        while True:
            answer = self._rest.json("GET", path, params={"limit": size, "offset": offset})
            page = answer[key]
            yield from page
            offset += len(page)
            if not page or offset >= int(answer["total_entries"]):
                return


def run_path(dag_id: str, run_id: str) -> str:
    """The URL path of a run; ids are quoted (run ids hold colons and plus signs)."""
    return f"{API}/dags/{quote(dag_id, safe='')}/dagRuns/{quote(run_id, safe='')}"


def unknown_dag(dag_id: str, known: Collection[str]) -> UsageError:
    """The error for a DAG id that Airflow does not know, with the nearest name it does know."""
    near = difflib.get_close_matches(dag_id, known, n=1, cutoff=0.5)
    if near:
        return UsageError(f"there is no DAG '{dag_id}' on this bed; did you mean '{near[0]}'?")
    names = ", ".join(sorted(known)[:10]) or "none"
    return UsageError(f"there is no DAG '{dag_id}' on this bed; it has: {names}")
