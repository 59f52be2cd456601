"""Gates of the director: arrivals, opening, timeouts, restarts; over HTTP where tasks speak HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer

from airbed.director import gateroutes
from airbed.director.app import Director, create_app
from airbed.director.gates import Gate, GateBook
from airbed.director.journal import Journal
from airbed.director.selection import Instance
from airbed.errors import UsageError

GATE = {"name": "g", "dag_id": "d", "task_id": "t"}
Send = Callable[..., Awaitable[Any]]


def instance(map_index: int, try_number: int = 1) -> Instance:
    """d.t[map_index] of run r."""
    return Instance("d", "r", "t", map_index, try_number)


def serve(folder: Path, talk: Callable[[Director, Send], Awaitable[None]]) -> None:
    """Run `talk` against a director of its own; `send(method, path, body)` gives the JSON of the answer."""

    async def run() -> None:
        director = Director(folder)
        async with TestClient(TestServer(create_app(director, "secret"))) as client:

            async def send(method: str, path: str, body: object = None) -> Any:
                headers = {"Authorization": "Bearer secret"}
                async with client.request(method, path, json=body, headers=headers) as response:
                    return await response.json() if response.content_length else response.status

            await talk(director, send)

    asyncio.run(run())


async def arrived(director: Director, number: int) -> None:
    """Return when that many have arrived at the gate."""
    while len(director.gates.all()[0].arrived) < number:
        await asyncio.sleep(0.005)


def test_the_first_n_go_on_and_the_others_wait(tmp_path: Path) -> None:
    async def talk(director: Director, send: Send) -> None:
        await send("POST", "/gates", GATE)
        waiting = []
        for index in (5, 3, 4):
            waiting.append(asyncio.create_task(send("POST", "/gates/g/arrive", asdict(instance(index)))))
            await arrived(director, len(waiting))
        gate = await send("POST", "/gates/g/open", {"count": 2})
        assert (gate["open"], gate["let_through"]) == (False, 2)
        assert [(each["position"], each["map_index"]) for each in gate["arrived"]] == [(1, 5), (2, 3), (3, 4)]
        assert await waiting[0] == await waiting[1] == {"open": True}
        assert not waiting[2].done()
        await send("POST", "/gates/g/open", {"count": 1})  # never fewer than before
        assert (await send("GET", "/gates/g"))["let_through"] == 2
        assert (await send("POST", "/gates/g/open"))["open"] is True
        assert await waiting[2] == {"open": True}
        assert await send("POST", "/gates/g/arrive", asdict(instance(9))) == {"open": True}
        kinds = [entry["kind"] for entry in director.journal.entries()]
        assert kinds == ["gate-arrived"] * 3 + ["gate-opened"] * 2 + ["gate-arrived"]

    serve(tmp_path, talk)


def test_who_asks_again_is_counted_once_and_told_to_ask_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gateroutes, "_POLL_SECONDS", 0.02)

    async def talk(_: Director, send: Send) -> None:
        await send("POST", "/gates", GATE)
        for _again in range(3):
            assert await send("POST", "/gates/g/arrive", asdict(instance(1))) == {"open": False}
        await send("POST", "/gates/g/arrive", asdict(instance(1, try_number=2)))
        assert len((await send("GET", "/gates/g"))["arrived"]) == 2

    serve(tmp_path, talk)


def test_a_gate_that_is_removed_or_was_never_there_is_open(tmp_path: Path) -> None:
    async def talk(director: Director, send: Send) -> None:
        await send("POST", "/gates", GATE)
        waiting = asyncio.create_task(send("POST", "/gates/g/arrive", asdict(instance(1))))
        await arrived(director, 1)
        assert await send("DELETE", "/gates/g") == 204
        assert await waiting == {"open": True}
        assert await send("POST", "/gates/g/arrive", asdict(instance(1))) == {"open": True}
        assert "no gate 'g'" in (await send("POST", "/gates/g/open"))["error"]
        assert "no gate 'g'" in (await send("GET", "/gates/g"))["error"]

    serve(tmp_path, talk)


def test_without_hold_arrivals_are_counted_only(tmp_path: Path) -> None:
    async def talk(_: Director, send: Send) -> None:
        await send("POST", "/gates", {**GATE, "hold": False, "timeout": 0.001})
        assert await send("POST", "/gates/g/arrive", asdict(instance(1))) == {"open": True}
        gate = await send("GET", "/gates/g")
        assert (len(gate["arrived"]), gate["timed_out"]) == (1, False)

    serve(tmp_path, talk)


def test_a_gate_times_out_and_says_so(tmp_path: Path) -> None:
    async def talk(_: Director, send: Send) -> None:
        await send("POST", "/gates", {**GATE, "timeout": 0.05})
        assert (await send("GET", "/gates/g"))["timed_out"] is False
        assert await send("POST", "/gates/g/arrive", asdict(instance(1))) == {"open": True}
        gate = await send("GET", "/gates/g")
        assert (gate["timed_out"], gate["open"]) == (True, True)
        (entry,) = (await send("GET", "/journal?kind=gate-timed-out&gate=g"))["entries"]
        assert (entry["arrived"], entry["seconds"]) == (1, 0.05)

    serve(tmp_path, talk)


def test_the_gates_for_an_instance_are_offered_with_its_rules(tmp_path: Path) -> None:
    async def talk(_: Director, send: Send) -> None:
        await send("POST", "/gates", {**GATE, "map_index": [1, 2], "where": {"op_kwargs.x": [1, 2]}, "when": "after"})
        asked = await send("POST", "/task", asdict(instance(1)))
        assert asked == {
            "rules": [],
            "gates": [{"name": "g", "when": "after", "where": {"op_kwargs.x": [1, 2]}}],
        }
        assert (await send("POST", "/task", asdict(instance(3))))["gates"] == []
        assert (await send("POST", "/task", {**asdict(instance(1)), "again": True}))["gates"] == []
        assert "is not for d.t" in (await send("POST", "/gates/g/arrive", asdict(instance(3))))["error"]
        assert len((await send("GET", "/journal?kind=asked"))["entries"]) == 2

    serve(tmp_path, talk)


def test_gates_and_arrivals_survive_a_restart(tmp_path: Path) -> None:
    file = tmp_path / "gates.json"
    book = GateBook(file, Journal())
    book.add(Gate.parse({**GATE, "map_index": [1, 2, 3], "where": {"a.b": ["x"]}, "timeout": 60}))
    book.arrive("g", instance(3))
    book.arrive("g", instance(1))
    book.open("g", 1)
    again = GateBook(file, Journal())
    assert [gate.view() for gate in again.all()] == [gate.view() for gate in book.all()]
    gate = again.arrive("g", instance(3))
    assert gate is not None
    assert len(gate.arrived) == 2
    assert gate.passes(instance(3))
    assert not gate.passes(instance(1))
    assert file.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("gate", "line"),
    [
        ({"name": "a/b"}, "id must be 1 to 100 letters"),
        ({"task_id": ""}, "task_id: expected a text"),
        ({"map_index": "1"}, "gate: map_index must be"),
        ({"where": {"a.b": 3}}, "gate: where must map 'a.b' to a list of values"),
        ({"hold": 1}, "hold must be true or false"),
        ({"timeout": 0}, "timeout must be a number from"),
        ({"when": "during"}, "gate: unknown when 'during'"),
        ({"color": "red"}, "gate: unknown field 'color'"),
    ],
)
def test_a_bad_gate_is_one_clear_line(gate: dict[str, Any], line: str) -> None:
    with pytest.raises(UsageError) as caught:
        Gate.parse({**GATE, **gate})
    assert line in str(caught.value)


def test_a_broken_state_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "gates.json").write_text("[{}]")
    with pytest.raises(UsageError, match="is not a file of gates"):
        GateBook(tmp_path / "gates.json", Journal())
