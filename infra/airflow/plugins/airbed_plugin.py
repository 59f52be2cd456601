"""Lets the bed's director give chosen task instances a fault, without a change to any DAG.

When an instance starts, a listener asks the director (AIRBED_DIRECTOR, AIRBED_DIRECTOR_TOKEN) which rules and gates are
for it, waits at the gates, and puts the rules around the task's real work. The process of a task dies with the task, so
nothing has to be undone. While a scenario is armed (the file `armed` in AIRFLOW_HOME) a task that cannot reach the
director fails; else it runs without faults. Without AIRBED_DIRECTOR nothing is registered at all.

Airflow loads this file in every one of its processes: keep its imports few.
"""

from __future__ import annotations

import functools
import inspect
import os
import sys
import types
from collections.abc import Callable
from typing import Any

from airflow.listeners import hookimpl
from airflow.plugins_manager import AirflowPlugin

_INNER = "__airbed_inner__"
_MISSING = object()


class TaskFaults:
    """The listener that Airflow calls in the task's process, after its fields are rendered."""

    @hookimpl
    def on_task_instance_running(self, previous_state: Any, task_instance: Any) -> None:
        """Ask the director, wait at the gates, and put the faults around the task's work."""
        from airbed_director import DirectorClient, DirectorUnreachable, go_on_without

        context = task_instance._ti_context_from_server
        resumed = bool(context and context.next_method)
        url, token = os.environ["AIRBED_DIRECTOR"], os.environ.get("AIRBED_DIRECTOR_TOKEN", "")
        director = DirectorClient(url, token, task_instance, resumed=resumed)
        task = task_instance.task
        try:
            rules, gates = director.ask()
            gates = [gate for gate in gates if holds_one(gate["where"], task)]
            before = [gate["name"] for gate in gates if gate["when"] == "before"]
            for name in before:
                director.pass_gate(name)
            if before:
                rules = director.ask_again()
        except (OSError, ValueError, KeyError) as error:
            try:
                go_on_without(error, "this task runs without faults")
            except DirectorUnreachable as unreachable:
                # Whatever a listener raises is swallowed.
                task.execute = task.resume_execution = functools.partial(_fail, unreachable)
            return

        def chosen(rule: dict[str, Any]) -> bool:
            return holds(rule.get("where"), task)

        rules = [rule for rule in rules if chosen(rule)]
        after = [gate["name"] for gate in gates if gate["when"] == "after"]
        if rules or after:
            from airbed_faults import Faults

            faults = Faults(director, rules, after, chosen)
            install(faults, task, resumed=resumed)


class AirbedPlugin(AirflowPlugin):
    """The plugin that Airflow finds in this file."""

    name = "airbed"

    @property
    def listeners(self) -> list[Any]:
        """The listener, for processes that run tasks and in a bed only.

        The rest of Airflow refuses DAGs with `end_from_trigger=True` as soon as any listener exists (3.3.2,
        dag_processing/dagbag.py), so only the task SDK's own plugin manager gets it.
        """
        asking = str(sys._getframe(1).f_globals.get("__name__", ""))
        return [TaskFaults()] if asking.startswith("airflow.sdk.") and os.environ.get("AIRBED_DIRECTOR") else []


def install(faults: Any, task: Any, *, resumed: bool) -> None:
    """Put faults around the place where the task does its work.

    A resumed deferrable task does it in `resume_execution`. A task that calls a Python function in this process does
    it in that function: so branching and skipping decide nothing that was not decided, and the function's decorators
    see an injected error as the function's own. Everything else in `execute`.
    """
    if resumed:
        task.resume_execution = faults.around(task.resume_execution)
    elif _calls_function(task):
        function = task.python_callable
        inner = inspect.unwrap(function)
        if inner is not function and _replaceable(inner):
            replace_body(inner, faults.around)
        else:
            task.python_callable = faults.around(function)
    else:
        task.execute = faults.around(task.execute)


def holds(where: dict[str, Any] | None, task: Any) -> bool:
    """Whether each dotted path into the rendered task has the wanted value.

    A path begins with an attribute of the task; then come keys, positions or attributes. Looked up here, so that
    nothing is sent anywhere and nothing lazy is read.
    """
    return all(_look_up(task, path.split(".")) == wanted for path, wanted in (where or {}).items())


def holds_one(where: dict[str, list[Any]] | None, task: Any) -> bool:
    """Whether each dotted path into the rendered task has one of the wanted values."""
    return all(_look_up(task, path.split(".")) in wanted for path, wanted in (where or {}).items())


def replace_body(function: types.FunctionType, around: Callable[[Callable[..., Any]], Callable[..., Any]]) -> None:
    """Make `function` itself, wherever a decorator may hold it, do `around(its body)`; its signature stays."""
    body = types.FunctionType(
        function.__code__, function.__globals__, function.__name__, function.__defaults__, function.__closure__
    )
    body.__kwdefaults__ = function.__kwdefaults__
    signature = inspect.signature(function)
    function.__globals__[_INNER] = around(body)
    old, new = function.__code__, _call_inner.__code__
    function.__code__ = new.replace(
        co_freevars=old.co_freevars,  # Python insists on as many as the function was made with
        co_name=old.co_name,
        co_filename=old.co_filename,
        co_firstlineno=old.co_firstlineno,
    )
    function.__signature__ = signature  # type: ignore[attr-defined]


def _fail(error: Exception, *_: Any, **__: Any) -> Any:
    raise error


def _call_inner(*args: Any, **kwargs: Any) -> Any:
    return __airbed_inner__(*args, **kwargs)  # type: ignore[name-defined]  # noqa: F821


def _calls_function(task: Any) -> bool:
    kinds = {kind.__name__ for kind in type(task).__mro__}
    return bool(kinds & {"PythonOperator", "PythonSensor"}) and "_BasePythonVirtualenvOperator" not in kinds


def _replaceable(function: Any) -> bool:
    odd = (inspect.iscoroutinefunction, inspect.isgeneratorfunction, inspect.isasyncgenfunction)
    return isinstance(function, types.FunctionType) and not any(is_odd(function) for is_odd in odd)


def _look_up(value: Any, path: list[str]) -> Any:
    for step in path:
        try:
            if isinstance(value, list | tuple):
                value = value[int(step)]
            elif isinstance(value, dict):
                value = value[step] if step in value else value[int(step)]
            else:
                value = getattr(value, step)
        except (LookupError, ValueError, AttributeError):
            return _MISSING
    return value
