"""The kinds that are rules at the director: each example becomes one that it takes, and is gone after undo."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from aiohttp import web

from airbed.clients.director import DirectorClient
from airbed.director.app import Director, create_app
from airbed.endpoints import Address, DirectorEndpoint
from airbed.errors import UsageError
from airbed.faults.registry import kinds, make
from airbed.faults.s3rules import ChosenRequests
from airbed.faults.taskrules import ChosenInstances

RULES = [name for name, kind in kinds().items() if issubclass(kind, ChosenInstances | ChosenRequests)]


@pytest.fixture
def bed(tmp_path: Path) -> Iterator[Any]:
    """As much of a bed as these kinds need: a director that is served on a socket."""
    loop = asyncio.new_event_loop()
    runner = web.AppRunner(create_app(Director(tmp_path), "secret"))
    loop.run_until_complete(runner.setup())
    loop.run_until_complete(web.TCPSite(runner, "127.0.0.1", 0).start())
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    host, port = runner.addresses[0]
    url = f"http://{host}:{port}"
    client = DirectorClient(DirectorEndpoint(url=url, task_url=url, token="secret", statsd=Address(host=host, port=1)))
    with client:
        yield SimpleNamespace(name="test", director=client)
    asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result()
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


def test_these_kinds_are_there() -> None:
    assert [name for name in RULES if name.startswith("task.")] == [
        "task.exit", "task.fail-now", "task.hang", "task.kill", "task.memory-limit", "task.oom-kill", "task.raise",
        "task.return", "task.return-none", "task.slow",
    ]  # fmt: skip
    assert [name for name in RULES if name.startswith("s3.")] == [
        "s3.corrupt", "s3.error", "s3.latency", "s3.reset", "s3.throttle", "s3.truncate",
    ]  # fmt: skip


@pytest.mark.parametrize("name", RULES)
def test_an_example_is_a_rule_until_it_is_undone(bed: Any, name: str) -> None:
    fault = make(name, kinds()[name].example)
    plan = fault.plan(bed, "airbed-f7")
    assert plan == {"key": "airbed-f7"}
    fault.undo(bed, plan)  # never applied
    assert fault.fired(bed, plan) is None
    fault.apply(bed, plan)
    fault.apply(bed, plan)  # as after a lost answer
    (rule,) = [*bed.director.rules(), *bed.director.s3_rules()]
    assert (rule["id"], rule["action"]) == ("airbed-f7", name.partition(".")[2])
    plain = {key: [value] if isinstance(value, int) and key in ("map_index", "try_number") else value
             for key, value in kinds()[name].example.items()}  # fmt: skip
    assert plain.items() <= rule.items()
    assert fault.fired(bed, plan) == 0
    fault.undo(bed, plan)
    fault.undo(bed, plan)
    assert [*bed.director.rules(), *bed.director.s3_rules()] == []


def test_a_task_is_looked_up_before_anything_is_changed(bed: Any) -> None:
    tasks = [{"__type": "operator", "__var": {"task_id": "t"}}, {"__type": "operator", "__var": {"task_id": "g.u"}}]

    def structure(dag_id: str) -> dict[str, Any] | None:
        return {"dag": {"tasks": tasks}} if dag_id == "known" else None

    bed.metadata = SimpleNamespace(structure=structure, dag_ids=lambda: ["known", "packed"])
    for dag_id, task_id in (("known", "g.u"), ("packed", "anything")):
        make("task.kill", {"dag_id": dag_id, "task_id": task_id}).check(bed)
    with pytest.raises(UsageError, match=r"DAG 'known' has no task 'u'; it has: g\.u, t"):
        make("task.kill", {"dag_id": "known", "task_id": "u"}).check(bed)
    with pytest.raises(UsageError, match="did you mean 'known'"):
        make("task.kill", {"dag_id": "knwon", "task_id": "u"}).check(bed)


@pytest.mark.parametrize(
    ("name", "parameters", "line"),
    [
        ("task.raise", {"exception": "RuntimeError"}, "task.raise: exception: exception must be 'module:Class'"),
        ("task.kill", {"where": {}}, "task.kill: where: must map names"),
        ("task.kill", {"map_index": -2}, "task.kill: map_index"),
        ("task.slow", {}, "task.slow: seconds: Field required"),
        ("task.oom-kill", {"megabytes": 9, "when": "after"}, "task.oom-kill: when: unknown; task.oom-kill has: dag_id"),
        ("s3.error", {"status": 200}, "s3.error: status: Input should be greater than or equal to 400"),
        ("s3.error", {"methods": ["FETCH"]}, "s3.error: methods.0: Input should be 'GET'"),
        ("s3.latency", {}, "s3.latency: seconds: Field required"),
        ("s3.truncate", {"methods": ["GET"]}, "s3.truncate: methods: unknown; s3.truncate has: bucket"),
        ("s3.error", {"share": 2}, "s3.error: share"),
    ],
)
def test_a_wrong_parameter_is_one_line(name: str, parameters: dict[str, Any], line: str) -> None:
    about = {"dag_id": "d", "task_id": "t"} if name.startswith("task.") else {}
    with pytest.raises(UsageError) as caught:
        make(name, {**about, **parameters})
    assert str(caught.value).startswith(line)
    assert "\n" not in str(caught.value)
