"""How the Airflow plugin puts faults around a task's work."""

from __future__ import annotations

import asyncio
import functools
import importlib.util
import inspect
import os
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

PLUGIN = Path(__file__).parents[2] / "infra/airflow/plugins/airbed_plugin.py"


@pytest.fixture(scope="module")
def plugin(tmp_path_factory: pytest.TempPathFactory) -> ModuleType:
    """The plugin file as Airflow would load it."""
    os.environ.setdefault("AIRFLOW_HOME", str(tmp_path_factory.mktemp("airflow")))
    spec = importlib.util.spec_from_file_location("airbed_plugin_under_test", PLUGIN)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Director:
    """Grants each rule once and remembers what was claimed."""

    instance = "d.t[3] try 1"

    def __init__(self) -> None:
        self.claimed: list[str] = []

    def claim(self, rule_id: str) -> bool:
        """Grant a rule that was not claimed before."""
        self.claimed.append(rule_id)
        return self.claimed.count(rule_id) == 1


def rule(**changes: Any) -> dict[str, Any]:
    """A rule as the director offers it."""
    return {
        "id": "r1",
        "action": "raise",
        "when": "before",
        "exception": "builtins:OSError",
        "message": "boom",
        "where": None,
        **changes,
    }


@pytest.mark.parametrize(("when", "done"), [("before", []), ("after", [2])])
def test_a_fault_is_before_or_after_the_work(plugin: ModuleType, when: str, done: list[int]) -> None:
    seen: list[int] = []
    work = plugin.Faults(Director(), [rule(when=when)]).around(seen.append)
    with pytest.raises(OSError, match="boom"):
        work(2)
    assert seen == done
    work(3)  # such as a sensor's second poke
    assert seen == [*done, 3]


def test_a_refused_or_unreachable_rule_does_nothing(plugin: ModuleType, caplog: pytest.LogCaptureFixture) -> None:
    class Gone(Director):
        def claim(self, rule_id: str) -> bool:
            raise ConnectionRefusedError("refused")

    spent = Director()
    spent.claimed = ["r1"]
    assert plugin.Faults(spent, [rule()]).around(lambda: 7)() == 7
    assert plugin.Faults(Gone(), [rule()]).around(lambda: 7)() == 7
    assert "the director does not answer (refused)" in caplog.text


def test_coroutines_stay_coroutines(plugin: ModuleType) -> None:
    async def work(x: int) -> int:
        return x + 1

    faulty = plugin.Faults(Director(), [rule(when="after")]).around(work)
    assert inspect.iscoroutinefunction(faulty)
    with pytest.raises(OSError, match="boom"):
        asyncio.run(faulty(1))
    assert asyncio.run(faulty(1)) == 2


def test_an_injected_error_is_seen_by_the_functions_decorators(plugin: ModuleType) -> None:
    caught: list[str] = []
    offset = 10

    def noting(function: Any) -> Any:
        @functools.wraps(function)
        def run(*args: Any, **kwargs: Any) -> Any:
            try:
                return function(*args, **kwargs)
            except OSError as error:
                caught.append(str(error))
                raise

        return run

    @noting
    def work(a: int, b: int = 2, *, c: int = 3) -> int:
        return a + b + c + offset

    signature = inspect.signature(work)
    faults = plugin.Faults(Director(), [rule()])
    plugin.replace_body(inspect.unwrap(work), faults.around)
    assert inspect.signature(work) == signature
    with pytest.raises(OSError, match="boom"):
        work(1)
    assert caught == ["boom"]
    assert work(1) == 16
    assert work(1, c=0) == 13


def test_where_looks_into_the_rendered_task(plugin: ModuleType) -> None:
    item = SimpleNamespace(name="x")
    task = SimpleNamespace(
        op_kwargs={"item": {"id": 3, 7: "seven"}, "list": [{"k": 1}], "object": item}, env={"K": "y"}
    )
    for where, expected in (
        (None, True),
        ({"op_kwargs.item.id": 3}, True),
        ({"op_kwargs.item.id": 3, "env.K": "y"}, True),
        ({"op_kwargs.item.id": "3"}, False),
        ({"op_kwargs.item.7": "seven"}, True),
        ({"op_kwargs.list.0.k": 1}, True),
        ({"op_kwargs.list.9.k": 1}, False),
        ({"op_kwargs.object.name": "x"}, True),
        ({"nowhere.at.all": None}, False),
    ):
        assert plugin.holds(where, task) is expected, where


@pytest.mark.parametrize(
    ("path", "kind", "text"),
    [
        ("builtins:OSError", OSError, "boom"),
        ("airflow.sdk.exceptions:AirflowSkipException", Exception, "boom"),
        ("no.such.module:X", RuntimeError, r"cannot make no\.such\.module:X"),
        ("builtins:UnicodeDecodeError", RuntimeError, "cannot make builtins:UnicodeDecodeError"),
        ("builtins:str", RuntimeError, "not an exception class"),
    ],
)
def test_exceptions_are_built_where_the_task_runs(
    plugin: ModuleType, path: str, kind: type[Exception], text: str
) -> None:
    with pytest.raises(kind, match=text):
        raise plugin.build_exception(path, "boom")


def test_the_listener_exists_for_the_task_sdk_only(plugin: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """Or Airflow refuses every DAG with end_from_trigger=True."""
    made = plugin.AirbedPlugin()
    as_sdk = {"made": made, "__name__": "airflow.sdk._shared.plugins_manager.plugins_manager"}
    as_core = {"made": made, "__name__": "airflow._shared.plugins_manager.plugins_manager"}
    ask = compile("made.listeners", "asker", "eval")
    monkeypatch.setenv("AIRBED_DIRECTOR", "http://127.0.0.1:1")
    assert len(eval(ask, as_sdk)) == 1
    assert eval(ask, as_core) == []
    monkeypatch.delenv("AIRBED_DIRECTOR")
    assert eval(ask, as_sdk) == []
