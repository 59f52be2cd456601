"""How the Airflow plugin puts faults around a task's work."""

from __future__ import annotations

import asyncio
import functools
import importlib
import importlib.util
import inspect
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

PLUGIN = Path(__file__).parents[2] / "infra/airflow/plugins/airbed_plugin.py"


@pytest.fixture(scope="module")
def plugin(tmp_path_factory: pytest.TempPathFactory) -> ModuleType:
    """The plugin file as Airflow would load it."""
    os.environ.setdefault("AIRFLOW_HOME", str(tmp_path_factory.mktemp("airflow")))
    sys.path.insert(0, str(PLUGIN.parent))  # as Airflow does
    spec = importlib.util.spec_from_file_location("airbed_plugin_under_test", PLUGIN)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def faults(plugin: ModuleType) -> ModuleType:
    """What the plugin puts around a task's work."""
    return importlib.import_module("airbed_faults")


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
def test_a_fault_is_before_or_after_the_work(faults: ModuleType, when: str, done: list[int]) -> None:
    seen: list[int] = []
    work = faults.Faults(Director(), [rule(when=when)]).around(seen.append)
    with pytest.raises(OSError, match="boom"):
        work(2)
    assert seen == done
    work(3)  # such as a sensor's second poke
    assert seen == [*done, 3]


def test_a_refused_or_unreachable_rule_does_nothing(faults: ModuleType, caplog: pytest.LogCaptureFixture) -> None:
    class Gone(Director):
        def claim(self, rule_id: str) -> bool:
            raise ConnectionRefusedError("refused")

    spent = Director()
    spent.claimed = ["r1"]
    assert faults.Faults(spent, [rule()]).around(lambda: 7)() == 7
    assert faults.Faults(Gone(), [rule()]).around(lambda: 7)() == 7
    assert "the director does not answer (refused)" in caplog.text


def test_coroutines_stay_coroutines(faults: ModuleType) -> None:
    async def work(x: int) -> int:
        return x + 1

    faulty = faults.Faults(Director(), [rule(when="after")]).around(work)
    assert inspect.iscoroutinefunction(faulty)
    with pytest.raises(OSError, match="boom"):
        asyncio.run(faulty(1))
    assert asyncio.run(faulty(1)) == 2


def test_an_injected_error_is_seen_by_the_functions_decorators(plugin: ModuleType, faults: ModuleType) -> None:
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
    plugin.replace_body(inspect.unwrap(work), faults.Faults(Director(), [rule()]).around)
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
    faults: ModuleType, path: str, kind: type[Exception], text: str
) -> None:
    with pytest.raises(kind, match=text):
        raise faults.build_exception(path, "boom")


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


def test_values_are_returned_instead_of_the_works(faults: ModuleType) -> None:
    done: list[int] = []
    for action, when, value, worked in (
        ("return", "before", {"a": 1}, 0),
        ("return", "after", {"a": 1}, 1),
        ("return-none", "before", None, 0),
        ("return-none", "after", None, 1),
    ):
        done.clear()
        work = faults.Faults(Director(), [rule(action=action, when=when, value=value)]).around(
            lambda: done.append(1) or 7
        )
        assert work() == value
        assert len(done) == worked
        assert work() == 7


def test_slow_takes_its_time(faults: ModuleType) -> None:
    begin = time.monotonic()
    assert faults.Faults(Director(), [rule(action="slow", seconds=0.2)]).around(lambda: 7)() == 7
    assert time.monotonic() - begin >= 0.2


def test_a_hang_ends_with_its_rule_or_with_a_signal(faults: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(faults, "_HANG_POLL_SECONDS", 0.01)
    polls = iter([True, True, False])
    director = Director()
    director.in_force = lambda _: next(polls)  # type: ignore[attr-defined]
    assert faults.Faults(director, [rule(action="hang")]).around(lambda: 7)() == 7

    class TimedOut(BaseException):
        """As Airflow raises it at execution_timeout."""

    def time_out(*_: object) -> None:
        raise TimedOut

    director = Director()
    director.in_force = lambda _: True  # type: ignore[attr-defined]
    old = signal.signal(signal.SIGALRM, time_out)
    signal.setitimer(signal.ITIMER_REAL, 0.1)
    try:
        with pytest.raises(TimedOut):
            faults.Faults(director, [rule(action="hang")]).around(lambda: 7)()
    finally:
        signal.signal(signal.SIGALRM, old)


def in_a_process(changes: str, work: str) -> subprocess.CompletedProcess[str]:
    """Do `work` under a rule in a process of its own, and print what it gave."""
    script = f"""
import sys; sys.path.insert(0, {str(PLUGIN.parent)!r})
import airbed_faults
class Director:
    instance = "d.t try 1"
    def claim(self, _): return True
rule = {{"id": "r1", "when": "before", "where": None, {changes}}}
def work():
    {work}
try:
    print("gave", airbed_faults.Faults(Director(), [rule]).around(work)())
except MemoryError:
    print("MemoryError", len(b"x" * (300 << 20)))
"""
    return subprocess.run([sys.executable, "-c", script], check=False, capture_output=True, text=True, timeout=60)


def test_the_process_is_killed_or_exits(faults: ModuleType) -> None:
    assert in_a_process("'action': 'kill'", "return 7").returncode == -signal.SIGKILL
    assert in_a_process("'action': 'exit', 'code': 3", "return 7").returncode == 3


def test_a_memory_limit_is_felt_by_the_work_only(faults: ModuleType) -> None:
    limited = "'action': 'memory-limit', 'megabytes': 100"
    assert in_a_process(limited, "return len(b'x' * (50 << 20))").stdout == f"gave {50 << 20}\n"
    assert in_a_process(limited, "return len(b'x' * (300 << 20))").stdout == f"MemoryError {300 << 20}\n"


def test_a_large_process_is_killed_and_a_small_one_is_not(faults: ModuleType) -> None:
    watched = "'action': 'oom-kill', 'megabytes': 200"
    grow = "import time; kept = b'x' * ({} << 20); time.sleep(0.5); return 7"
    assert in_a_process(watched, grow.format(20)).stdout == "gave 7\n"
    killed = in_a_process(watched, grow.format(300))
    assert (killed.returncode, killed.stdout) == (-signal.SIGKILL, "")
    assert "MB in memory: SIGKILL" in killed.stderr


def test_where_of_a_gate_has_several_values(plugin: ModuleType) -> None:
    task = SimpleNamespace(op_kwargs={"shard": {"id": 1}})
    assert plugin.holds_one({"op_kwargs.shard.id": [0, 1]}, task)
    assert not plugin.holds_one({"op_kwargs.shard.id": [0, 2]}, task)
    assert plugin.holds_one(None, task)


class Task:
    """As much of a task as the listener looks at."""

    def execute(self, context: object) -> str:
        """Do the work."""
        return "done"

    resume_execution = execute


@pytest.mark.parametrize("armed", [False, True])
def test_a_task_without_its_director_fails_while_armed_only(
    plugin: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, armed: bool
) -> None:
    monkeypatch.setenv("AIRBED_DIRECTOR", "http://127.0.0.1:1")
    monkeypatch.setenv("AIRFLOW_HOME", str(tmp_path))
    if armed:
        (tmp_path / "armed").write_text("a scenario")
    task = Task()
    fields = {"dag_id": "d", "run_id": "r", "task_id": "t", "map_index": None, "try_number": 1}
    instance = SimpleNamespace(task=task, **fields, _ti_context_from_server=None)
    plugin.TaskFaults().on_task_instance_running(None, instance)
    if armed:
        with pytest.raises(RuntimeError, match=r"the director does not answer .* while a scenario is armed"):
            task.execute({})
    else:
        assert task.execute({}) == "done"


def test_a_claim_that_nobody_answers_fails_while_armed(
    faults: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    class Gone(Director):
        def claim(self, rule_id: str) -> bool:
            raise ConnectionRefusedError("refused")

    monkeypatch.setenv("AIRFLOW_HOME", str(tmp_path))
    (tmp_path / "armed").write_text("a scenario")
    with pytest.raises(RuntimeError, match=r"\(refused\) while a scenario is armed"):
        faults.Faults(Gone(), [rule()]).around(lambda: 7)()
