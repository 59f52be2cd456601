"""The bed's cluster policy on real Airflow operators: what it divides, and what it leaves alone."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

SETTINGS = Path(__file__).parents[2] / "infra/airflow/config/airflow_local_settings.py"


@pytest.fixture(scope="module")
def sdk(tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """What the tests need of Airflow, imported once and with a home of its own."""
    os.environ.setdefault("AIRFLOW_HOME", str(tmp_path_factory.mktemp("airflow")))
    from airflow.providers.standard.operators.bash import BashOperator
    from airflow.providers.standard.sensors.bash import BashSensor
    from airflow.sdk import DAG, ExceptionRetryPolicy, RetryAction, RetryRule, task

    return SimpleNamespace(
        DAG=DAG,
        task=task,
        BashOperator=BashOperator,
        BashSensor=BashSensor,
        Policy=ExceptionRetryPolicy,
        Rule=RetryRule,
        Action=RetryAction,
    )


@pytest.fixture
def settings(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The settings file as Airflow would import it, at a factor of 100."""
    monkeypatch.setenv("AIRBED_TIME_FACTOR", "100")
    spec = importlib.util.spec_from_file_location("airbed_local_settings", SETTINGS)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def dag(sdk: SimpleNamespace) -> Iterator[Any]:
    """A DAG to make tasks in."""
    with sdk.DAG("d", schedule=None) as made:
        yield made


def seconds(delay: timedelta | None) -> float | None:
    """A delay in seconds."""
    return None if delay is None else delay.total_seconds()


@pytest.mark.parametrize("delay", [300, 300.0, timedelta(minutes=5)])
@pytest.mark.parametrize("mapped", [False, True])
def test_retry_delays_are_divided(
    sdk: SimpleNamespace, settings: ModuleType, dag: Any, delay: Any, mapped: bool
) -> None:
    options = {"task_id": "t", "retries": 3, "retry_delay": delay, "max_retry_delay": delay * 12}
    if mapped:
        task = sdk.BashOperator.partial(**options).expand(bash_command=["true", "false"])
    else:
        task = sdk.BashOperator(**options, bash_command="true")
    settings.task_policy(task)
    assert (seconds(task.retry_delay), seconds(task.max_retry_delay), task.retries) == (3, 36, 3)


def test_taskflow_and_the_default_delay_are_divided(sdk: SimpleNamespace, settings: ModuleType, dag: Any) -> None:
    @sdk.task(retry_delay=timedelta(seconds=30))
    def mapped(item: int) -> int:
        return item

    @sdk.task
    def plain() -> int:
        return 1

    mapped.expand(item=[1, 2])
    plain()
    for task in dag.tasks:
        settings.task_policy(task)
    assert seconds(dag.get_task("mapped").retry_delay) == 0.3
    assert seconds(dag.get_task("plain").retry_delay) == 3
    assert dag.get_task("plain").max_retry_delay is None


def test_timeouts_stay(sdk: SimpleNamespace, settings: ModuleType, dag: Any) -> None:
    task = sdk.BashSensor(task_id="t", bash_command="true", execution_timeout=timedelta(hours=1), timeout=7200)
    settings.task_policy(task)
    assert (seconds(task.execution_timeout), task.timeout) == (3600, 7200)


def test_a_retry_policy_is_wrapped_and_never_changed(sdk: SimpleNamespace, settings: ModuleType, dag: Any) -> None:
    rule = sdk.Rule(exception=OSError, retry_delay=timedelta(seconds=300), reason="io")
    policy = sdk.Policy(rules=[rule, sdk.Rule(exception=ValueError, action=sdk.Action.FAIL)])
    plain = sdk.BashOperator(task_id="plain", bash_command="true", retry_policy=policy)
    mapped = sdk.BashOperator.partial(task_id="mapped", retry_policy=policy).expand(bash_command=["true"])
    for task in (plain, mapped):
        settings.task_policy(task)
        decision = task.retry_policy.evaluate(OSError("x"), try_number=1, max_tries=3)
        assert (decision.action, seconds(decision.retry_delay), decision.reason) == (sdk.Action.RETRY, 3, "io")
        assert task.retry_policy.evaluate(ValueError("x"), 1, 3).action is sdk.Action.FAIL
        assert task.has_retry_policy
        assert task.retry_policy.serialize() == policy.serialize()
        assert task.retry_policy.rules is policy.rules
    assert seconds(policy.evaluate(OSError("x"), 1, 3).retry_delay) == 300
    assert seconds(rule.retry_delay) == 300


@pytest.mark.usefixtures("dag")
@pytest.mark.parametrize(
    "case",
    [("poke", 60, 1), ("poke", 600, 6), ("reschedule", 600, 10), ("reschedule", 3000, 30), ("reschedule", 5, 5)],
)
@pytest.mark.parametrize("mapped", [False, True])
def test_pokes_are_divided_with_a_floor(
    sdk: SimpleNamespace, settings: ModuleType, case: tuple[str, float, float], mapped: bool
) -> None:
    mode, interval, expected = case
    options = {"task_id": "t", "mode": mode, "poke_interval": interval}
    if mapped:
        task = sdk.BashSensor.partial(**options).expand(bash_command=["true"])
        settings.task_policy(task)
        assert task.partial_kwargs["poke_interval"] == expected
    else:
        task = sdk.BashSensor(**options, bash_command="true")
        settings.task_policy(task)
        assert task.poke_interval == expected


def test_a_mapped_poke_interval_is_left_alone(sdk: SimpleNamespace, settings: ModuleType, dag: Any) -> None:
    named = sdk.BashSensor.partial(task_id="named", bash_command="true").expand(poke_interval=[60, 120])
    other = sdk.BashSensor.partial(task_id="other").expand(bash_command=["true"])
    dicts = sdk.BashSensor.partial(task_id="dicts", bash_command="true").expand_kwargs([{"poke_interval": 60}])
    for task in (named, other, dicts):
        settings.task_policy(task)
    assert "poke_interval" not in named.partial_kwargs
    assert "poke_interval" not in dicts.partial_kwargs
    assert other.partial_kwargs["poke_interval"] == 1


@pytest.mark.parametrize("factor", ["1", "", "none", "0.5", "-3"])
def test_nothing_is_touched_without_a_factor(
    sdk: SimpleNamespace, settings: ModuleType, dag: Any, monkeypatch: pytest.MonkeyPatch, factor: str
) -> None:
    monkeypatch.setenv("AIRBED_TIME_FACTOR", factor)
    policy = sdk.Policy(rules=[])
    task = sdk.BashSensor(task_id="t", bash_command="true", retry_delay=300, poke_interval=60, retry_policy=policy)
    settings.task_policy(task)
    assert (seconds(task.retry_delay), task.poke_interval, task.retry_policy) == (300, 60, policy)
