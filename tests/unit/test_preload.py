"""What the scheduler of a bed imports before it forks workers, and when it forks them."""

from __future__ import annotations

import importlib.util
import os
import time
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

CONFIG = Path(__file__).parents[2] / "infra/airflow/config"


def loaded(name: str) -> ModuleType:
    """A module of the bed's Airflow configuration, which is no package's."""
    spec = importlib.util.spec_from_file_location(f"{name}_under_test", CONFIG / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def preloading(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(CONFIG)
    return loaded("airbed_preload")


@pytest.fixture
def lean() -> ModuleType:
    return loaded("airbed_lean_tasks")


def test_preload_imports_groups_and_modules_and_survives_what_is_missing(
    preloading: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(preloading.PRELOADS, "small", "json no_such_module_a")
    assert preloading.preload("small, decimal, no_such_module_b") == ["no_such_module_a", "no_such_module_b"]


def test_workers_are_forked_as_tasks_wait_and_only_after_the_preload(
    preloading: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("AIRFLOW_HOME", os.environ.get("AIRFLOW_HOME", str(tmp_path)))
    from airflow.executors.local_executor import LocalExecutor

    happened: list[str] = []
    monkeypatch.setattr(preloading, "warm", lambda: happened.append("warm"))
    monkeypatch.setattr(preloading, "IDLE_SECONDS", float("inf"))
    monkeypatch.setattr(preloading.gc, "freeze", lambda: None)
    for name in ("_spawn_workers_with_gc_freeze", "sync", "_spawn_worker"):
        monkeypatch.setattr(LocalExecutor, name, lambda self: happened.append("fork"))
    preloading.when_needed()

    def fork(at_most: int, waiting: int) -> list[str]:
        happened.clear()
        executor: Any = SimpleNamespace(
            _unread_messages=SimpleNamespace(value=waiting), _spawn_worker=lambda: happened.append("fork")
        )
        LocalExecutor._spawn_workers_with_gc_freeze(executor, at_most)
        return list(happened)

    assert fork(24, 0) == []
    assert fork(24, 2) == ["warm", "fork", "fork"]
    assert fork(3, 10) == ["fork"] * 3


def test_an_idle_scheduler_preloads_by_itself_once(preloading: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    from airflow.executors.local_executor import LocalExecutor

    happened: list[str] = []
    monkeypatch.setattr(preloading, "warm", lambda: happened.append("warm"))
    monkeypatch.setattr(LocalExecutor, "_spawn_workers_with_gc_freeze", lambda self, number: None)
    monkeypatch.setattr(LocalExecutor, "sync", lambda self: happened.append("sync"))
    preloading.when_needed()
    LocalExecutor.sync(SimpleNamespace())  # type: ignore[arg-type]
    assert happened == ["sync"]
    monkeypatch.setattr(preloading, "IDLE_SECONDS", -1)
    LocalExecutor.sync(SimpleNamespace())  # type: ignore[arg-type]
    LocalExecutor.sync(SimpleNamespace())  # type: ignore[arg-type]
    assert happened == ["sync", "warm", "sync", "sync"]


def test_decoders_of_a_task_share_their_validators(lean: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    from airflow.sdk.execution_time import comms, task_runner
    from pydantic import JsonValue

    for module in (comms, task_runner):
        monkeypatch.setattr(module, "TypeAdapter", module.TypeAdapter)
    lean.share_type_adapters()
    one, other = (comms.CommsDecoder(socket=None) for _ in range(2))  # type: ignore[arg-type]
    assert one.body_decoder is other.body_decoder is one.err_decoder
    assert one.body_decoder.validate_python({"type": "VariableResult", "key": "a", "value": "b"}).key == "a"
    assert task_runner.TypeAdapter(JsonValue).validate_python({"a": [1]}) == {"a": [1]}


@pytest.mark.parametrize("value", [None, 3, [1], {"a": 1}, "", "text", "a/path"])
def test_a_value_that_is_no_url_opens_no_object_store(
    lean: ModuleType, monkeypatch: pytest.MonkeyPatch, value: Any
) -> None:
    from airflow.providers.common.io.xcom.backend import XComObjectStorageBackend

    asked: list[str] = []
    monkeypatch.setattr(XComObjectStorageBackend, "_get_full_path", staticmethod(asked.append))
    lean.take_small_xcoms_for_what_they_are()
    with pytest.raises((TypeError, ValueError)):
        XComObjectStorageBackend._get_full_path(value)
    assert not asked
    XComObjectStorageBackend._get_full_path("s3://aws_default@xcom/dag/run/task/1")
    assert asked == ["s3://aws_default@xcom/dag/run/task/1"]


def test_botocore_parses_a_file_once(lean: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    import boto3
    from botocore import loaders

    parse = loaders.JSONFileLoader._load_file
    parsed: list[str] = []

    def counting(self: Any, full_path: str, *rest: Any) -> Any:
        if Path(full_path).is_file():
            parsed.append(full_path)
        return parse(self, full_path, *rest)

    monkeypatch.setattr(loaders.JSONFileLoader, "load_file", loaders.JSONFileLoader.load_file)
    monkeypatch.setattr(loaders.JSONFileLoader, "_load_file", counting)
    lean.keep_s3_models()
    assert any("service-2" in each for each in parsed)
    parsed.clear()
    options: dict[str, Any] = {"aws_access_key_id": "a", "aws_secret_access_key": "b", "region_name": "eu-west-1"}
    client = boto3.session.Session(**options).client("s3", endpoint_url="http://127.0.0.1:9")
    assert [each for each in parsed if "/botocore/" in each] == []
    assert client.generate_presigned_url("get_object", Params={"Bucket": "b", "Key": "k"}).startswith("http://127")


class Child:
    """A supervisor of a task, as far as heartbeats go."""

    _last_heartbeat_attempt = 0.0

    def _on_child_started(self, *, ti: str) -> None:
        self.ti = ti


@pytest.mark.parametrize(("switch", "counted"), [("", True), ("none", False)])
def test_the_start_of_a_task_counts_as_a_heartbeat(
    lean: ModuleType, monkeypatch: pytest.MonkeyPatch, switch: str, counted: bool
) -> None:
    from airflow.sdk.execution_time import supervisor

    # Airflow's own supervisor has what is used here.
    for name in ("_on_child_started", "_last_heartbeat_attempt"):
        assert hasattr(supervisor.ActivitySubprocess, name)
    monkeypatch.setenv("AIRBED_LATE_HEARTBEAT", switch)
    monkeypatch.setattr(supervisor, "ActivitySubprocess", type("Fresh", (Child,), {}))
    lean.count_the_start_as_a_heartbeat()
    child = supervisor.ActivitySubprocess()  # type: ignore[call-arg]
    child._on_child_started(ti="one")  # type: ignore[call-arg,arg-type]
    assert child.ti == "one"  # type: ignore[comparison-overlap]
    assert (time.monotonic() - child._last_heartbeat_attempt < 5) is counted


def test_a_rehearsed_dag_is_in_nobodys_bag(lean: ModuleType) -> None:
    from airflow.sdk.definitions._internal.contextmanager import DagContext

    lean.rehearse_a_dag()
    assert [dag for dag, _ in DagContext.autoregistered_dags if dag.dag_id == "airbed_rehearsal"] == []
