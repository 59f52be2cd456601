"""The director's HTTP interface, through aiohttp's own test client."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from aiohttp.test_utils import TestClient, TestServer

from airbed.director.app import Director, create_app

RULE = {"dag_id": "d", "task_id": "t", "action": "raise", "map_index": [3], "times": 1, "message": "boom"}
INSTANCE = {"dag_id": "d", "run_id": "r", "task_id": "t", "map_index": 3, "try_number": 1}


class Http:
    """One client with the right token; every call gives (status, JSON or None)."""

    def __init__(self, client: TestClient[Any, Any]) -> None:
        self._client = client

    async def __call__(self, method: str, path: str, body: object = None, token: str = "secret") -> tuple[int, Any]:
        headers = {"Authorization": f"Bearer {token}"}
        options = {"data": body} if isinstance(body, str) else {"json": body}
        async with self._client.request(
            method, path, headers=headers, **(options if body is not None else {})
        ) as response:
            return response.status, await response.json() if response.content_length else None


def serve(tmp_path: Path, talk: Callable[[Http, Director], Awaitable[None]]) -> None:
    """Run `talk` against a director of its own."""

    async def run() -> None:
        director = Director(tmp_path, journal_limit=5)
        async with TestClient(TestServer(create_app(director, "secret"))) as client:
            await talk(Http(client), director)

    asyncio.run(run())


def test_only_health_is_open(tmp_path: Path) -> None:
    async def talk(http: Http, _: Director) -> None:
        status, body = await http("GET", "/health", token="")
        assert (status, body["status"]) == (200, "ok")
        for method, path in (("GET", "/task-rules"), ("POST", "/task"), ("GET", "/metrics"), ("GET", "/nowhere")):
            for token in ("", "wrong"):
                assert (await http(method, path, token=token))[0] == 401

    serve(tmp_path, talk)


def test_a_rule_is_asked_for_fired_and_read_back(tmp_path: Path) -> None:
    async def talk(http: Http, _: Director) -> None:
        status, rule = await http("POST", "/task-rules", RULE)
        assert (status, rule["fired"], rule["map_index"]) == (201, 0, [3])
        assert (await http("POST", "/task", {**INSTANCE, "map_index": 2}))[1] == {"rules": [], "gates": []}
        (offered,) = (await http("POST", "/task", INSTANCE))[1]["rules"]
        assert offered == {
            "id": rule["id"],
            "action": "raise",
            "when": "before",
            "exception": "builtins:RuntimeError",
            "message": "boom",
            "where": None,
        }
        assert (await http("GET", f"/task-rules/{rule['id']}"))[1]["fired"] == 0
        claim = {**INSTANCE, "rule": rule["id"]}
        assert [(await http("POST", "/task/fired", claim))[1]["fire"] for _ in range(2)] == [True, False]
        assert (await http("POST", "/task", INSTANCE))[1] == {"rules": [], "gates": []}
        entries = (await http("GET", "/journal"))[1]["entries"]
        assert [entry["kind"] for entry in entries] == ["asked", "asked", "fired", "refused", "asked"]
        (fired,) = (await http("GET", "/journal?kind=fired"))[1]["entries"]
        assert {**INSTANCE, "rule": rule["id"], "action": "raise", "message": "boom"}.items() <= fired.items()
        assert (await http("DELETE", f"/task-rules/{rule['id']}"))[0] == 204
        assert (await http("DELETE", f"/task-rules/{rule['id']}"))[0] == 404

    serve(tmp_path, talk)


def test_a_resumed_try_is_offered_no_rule_that_it_has_met(tmp_path: Path) -> None:
    async def talk(http: Http, _: Director) -> None:
        for rule in ({"action": "slow", "seconds": 1}, {"action": "oom-kill", "megabytes": 500}):
            chosen = {key: RULE[key] for key in ("dag_id", "task_id")}
            assert (await http("POST", "/task-rules", {**chosen, **rule, "id": rule["action"]}))[0] == 201
        for name in ("slow", "oom-kill"):
            assert (await http("POST", "/task/fired", {**INSTANCE, "rule": name}))[1] == {"fire": True}
        resumed = {**INSTANCE, "resumed": True}
        (offered,) = (await http("POST", "/task", resumed))[1]["rules"]
        assert offered["id"] == "oom-kill"
        fire = [(await http("POST", "/task/fired", {**resumed, "rule": name}))[1] for name in ("slow", "oom-kill")]
        assert fire == [{"fire": False}, {"fire": True}]
        entries = (await http("GET", "/journal"))[1]["entries"]
        assert [entry["kind"] for entry in entries] == ["fired", "fired", "asked"]

    serve(tmp_path, talk)


def test_many_claims_at_once_never_exceed_times(tmp_path: Path) -> None:
    async def talk(http: Http, _: Director) -> None:
        _, rule = await http("POST", "/task-rules", {"dag_id": "d", "task_id": "t", "action": "kill", "times": 7})
        claims = [http("POST", "/task/fired", {**INSTANCE, "map_index": n, "rule": rule["id"]}) for n in range(40)]
        assert sum(body["fire"] for _, body in await asyncio.gather(*claims)) == 7

    serve(tmp_path, talk)


def test_bad_requests_get_one_line(tmp_path: Path) -> None:
    async def talk(http: Http, _: Director) -> None:
        for path, body, line in (
            ("/task-rules", "{", "the body is not JSON"),
            ("/task-rules", [], "expected a JSON object, got list"),
            ("/task-rules", {**RULE, "action": "explode"}, "unknown action 'explode'"),
            ("/task", {**INSTANCE, "map_index": None}, "map_index: expected a whole number"),
        ):
            status, answer = await http("POST", path, body)
            assert status == 400
            assert line in answer["error"]
        assert (await http("GET", "/journal?color=red"))[0] == 400
        assert (await http("GET", "/journal?limit=many"))[0] == 400
        assert (await http("GET", "/task-rules"))[1] == []

    serve(tmp_path, talk)


def test_questions_never_push_faults_out_of_the_journal(tmp_path: Path) -> None:
    async def talk(http: Http, director: Director) -> None:
        director.journal.add("fired", rule="r1")
        for _ in range(20):
            await http("POST", "/task", INSTANCE)
        entries = (await http("GET", "/journal"))[1]["entries"]
        assert [entry["kind"] for entry in entries] == ["fired"] + ["asked"] * 5
        assert (await http("GET", "/journal?limit=2&after=1"))[1]["entries"] == entries[-2:]

    serve(tmp_path, talk)


def test_metrics_are_read_by_prefix_and_reset(tmp_path: Path) -> None:
    async def talk(http: Http, director: Director) -> None:
        director.metrics.receive(b"airflow.a:2|c\nb:1|c")
        assert (await http("GET", "/metrics?prefix=airflow."))[1]["airflow.a"]["sum"] == 2
        assert (await http("DELETE", "/metrics"))[0] == 204
        assert (await http("GET", "/metrics"))[1] == {}

    serve(tmp_path, talk)
