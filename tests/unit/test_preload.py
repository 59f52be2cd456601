"""What the scheduler of a bed imports before it forks workers, and when it forks them."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

CONFIG = Path(__file__).parents[2] / "infra/airflow/config"


@pytest.fixture
def preloading(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """airbed_preload.py, which is no package's."""
    spec = importlib.util.spec_from_file_location("airbed_preload_under_test", CONFIG / "airbed_preload.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


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
