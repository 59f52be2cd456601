"""The TCP and process kinds: examples, what a Toxiproxy that starts anew needs of them, what they refuse."""

from __future__ import annotations

import json
from typing import Any

import pytest

from airbed.errors import UsageError
from airbed.faults import registry
from airbed.topology import PROXIES
from airbed.toxiproxy import launch

tcp_kinds = [name for name in registry.kinds() if name.startswith("tcp.")]
process_kinds = [name for name in registry.kinds() if name.startswith("process.")]


def test_all_kinds_are_there() -> None:
    tcp = ("bandwidth", "cut", "down", "latency", "reset", "slow-close", "timeout")
    process = ("kill", "kill-task", "pause", "pause-task", "restart", "stop")
    assert tcp_kinds == [f"tcp.{each}" for each in tcp]
    assert process_kinds == [f"process.{each}" for each in process]


@pytest.mark.parametrize("name", tcp_kinds)
def test_a_plan_is_enough_to_restore_the_fault(name: str) -> None:
    fault = registry.make(name, registry.kind(name).example)
    plan: Any = json.loads(json.dumps(fault.plan(None, "airbed-f3")))  # type: ignore[arg-type]
    proxies = [{"name": proxy, "enabled": True} for proxy in PROXIES]
    started, toxics = launch.plan(proxies, [{"state": "active", "plan": plan}])
    closed = [each["name"] for each in started if not each["enabled"]]
    assert closed == [registry.kind(name).example["service"]]
    assert all(toxic["name"].startswith("airbed-f3-") for _, toxic, _ in toxics)
    assert (len(toxics) == 0) == (name == "tcp.down")
    assert [last for _, _, last in toxics] == [False] * (len(toxics) - 1) + [True] * bool(toxics)


@pytest.mark.parametrize("name", [*tcp_kinds, *process_kinds])
def test_what_others_need_to_be_undone_is_undone_first(name: str) -> None:
    assert registry.kind(name).undo_order == (20 if name in tcp_kinds else 10)


@pytest.mark.parametrize(
    ("name", "parameters", "said"),
    [
        ("tcp.latency", {"service": "shard-9", "latency_ms": 5}, "service"),
        ("tcp.latency", {"service": "shard-1"}, "latency_ms"),
        ("tcp.latency", {"service": "shard-1", "latency_ms": 0}, "greater than 0"),
        ("tcp.reset", {"service": "s3", "after_ms": 1, "after_bytes": 1}, "exclude each other"),
        ("tcp.down", {"service": "s3", "direction": "upstream"}, "unknown; tcp.down has: service"),
        ("process.kill", {}, "service"),
        ("process.kill-task", {"dag_id": "a", "task_id": "b", "map_index": -2}, "map_index"),
    ],
)
def test_wrong_parameters_are_named(name: str, parameters: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said) as refused:
        registry.make(name, parameters)
    assert "example: airbed fault add" in str(refused.value)


def test_a_reset_after_bytes_is_a_limit_with_a_hard_end() -> None:
    plan = registry.make("tcp.reset", {"service": "s3", "after_bytes": 9}).plan(None, "k")  # type: ignore[arg-type]
    assert [(each["type"], each["toxicity"]) for each in plan["toxics"]] == [("limit_data", 1), ("reset_peer", 0)]
