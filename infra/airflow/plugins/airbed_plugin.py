"""Lets the bed's director give chosen task instances a fault, without a change to any DAG.

When an instance starts, a listener asks the director (AIRBED_DIRECTOR, AIRBED_DIRECTOR_TOKEN) which rules are for it,
and puts them around the task's real work. The process of a task dies with the task, so nothing has to be undone.
Without AIRBED_DIRECTOR nothing is registered at all.

Airflow loads this file in every one of its processes: keep its imports few.
"""

from __future__ import annotations

import functools
import inspect
import logging
import os
import signal
import sys
import types
from collections.abc import Callable
from typing import Any

from airflow.listeners import hookimpl
from airflow.plugins_manager import AirflowPlugin

log = logging.getLogger("airbed")

TIMEOUT_SECONDS = 2
_INNER = "__airbed_inner__"
_MISSING = object()


class DirectorClient:
    """Asks the director for one task instance. OSError or ValueError when it does not answer as it should."""

    def __init__(self, url: str, token: str, ti: Any) -> None:
        self._address = url.removeprefix("http://").rstrip("/")
        self._token = token
        self._instance = {
            "dag_id": ti.dag_id,
            "run_id": ti.run_id,
            "task_id": ti.task_id,
            "map_index": -1 if ti.map_index is None else ti.map_index,
            "try_number": ti.try_number,
        }
        where = "" if self._instance["map_index"] < 0 else f"[{self._instance['map_index']}]"
        self.instance = f"{ti.dag_id}.{ti.task_id}{where} try {ti.try_number}"

    def rules(self) -> list[dict[str, Any]]:
        """The rules that may fire for this instance."""
        return list(self._post("/task", self._instance)["rules"])

    def claim(self, rule_id: str) -> bool:
        """Count one firing of a rule; False when it is spent or gone by now."""
        return bool(self._post("/task/fired", {**self._instance, "rule": rule_id})["fire"])

    def _post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        import http.client
        import json

        connection = http.client.HTTPConnection(self._address, timeout=TIMEOUT_SECONDS)
        try:
            headers = {"Authorization": f"Bearer {self._token}", "Content-Type": "application/json"}
            connection.request("POST", path, json.dumps(body), headers)
            response = connection.getresponse()
            answer = response.read()
        except http.client.HTTPException as error:
            raise OSError(str(error) or type(error).__name__) from error
        finally:
            connection.close()
        if response.status != 200:
            raise OSError(f"status {response.status}: {answer[:200].decode('utf-8', 'replace')}")
        parsed = json.loads(answer)
        if not isinstance(parsed, dict):
            raise ValueError("the answer is not a JSON object")
        return parsed


class Faults:
    """The rules for one try of one instance; each happens at most once."""

    def __init__(self, director: DirectorClient, rules: list[dict[str, Any]]) -> None:
        self._director = director
        self._rules = rules
        self._entered = False

    def around(self, work: Callable[..., Any]) -> Callable[..., Any]:
        """The same work with the faults before and after it; only the first call has them."""
        if inspect.iscoroutinefunction(inspect.unwrap(work)):

            @functools.wraps(work)
            async def faulty_async(*args: Any, **kwargs: Any) -> Any:
                first = self._enter()
                result = await work(*args, **kwargs)
                self._leave(first)
                return result

            return faulty_async

        @functools.wraps(work)
        def faulty(*args: Any, **kwargs: Any) -> Any:
            first = self._enter()
            result = work(*args, **kwargs)
            self._leave(first)
            return result

        return faulty

    def _enter(self) -> bool:
        first, self._entered = not self._entered, True
        if first:
            self._fire("before")
        return first

    def _leave(self, first: bool) -> None:
        if first:
            self._fire("after")

    def _fire(self, when: str) -> None:
        for rule in self._rules:
            if rule["when"] != when:
                continue
            try:
                if not self._director.claim(rule["id"]):
                    continue
            except (OSError, ValueError) as error:
                log.warning("airbed: the director does not answer (%s): rule %s is left out", error, rule["id"])
                continue
            act(rule, self._director.instance)


class TaskFaults:
    """The listener that Airflow calls in the task's process, after its fields are rendered."""

    @hookimpl
    def on_task_instance_running(self, previous_state: Any, task_instance: Any) -> None:
        """Ask the director, and put the faults around the task's work."""
        director = DirectorClient(
            os.environ["AIRBED_DIRECTOR"], os.environ.get("AIRBED_DIRECTOR_TOKEN", ""), task_instance
        )
        try:
            rules = director.rules()
        except (OSError, ValueError, KeyError) as error:
            log.warning("airbed: the director does not answer (%s): this task runs without faults", error)
            return
        task = task_instance.task
        rules = [rule for rule in rules if holds(rule.get("where"), task)]
        if rules:
            context = task_instance._ti_context_from_server
            install(Faults(director, rules), task, resumed=bool(context and context.next_method))


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


def install(faults: Faults, task: Any, *, resumed: bool) -> None:
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


def act(rule: dict[str, Any], instance: str) -> None:
    """Do what a rule says: raise, or end this process."""
    action, detail = rule["action"], f"rule {rule['id']}, {rule['when']} the work of {instance}"
    if action == "kill":
        log.error("airbed: injected kill (SIGKILL of this process; %s)", detail)
        os.kill(os.getpid(), signal.SIGKILL)
    elif action == "fail-now":
        from airflow.sdk.exceptions import AirflowFailException

        log.error("airbed: injected fail-now (AirflowFailException: %s; %s)", rule["message"], detail)
        raise AirflowFailException(rule["message"])
    elif action == "raise":
        log.error("airbed: injected raise (%s: %s; %s)", rule["exception"], rule["message"], detail)
        raise build_exception(rule["exception"], rule["message"])
    else:
        log.error("airbed: unknown action %r (%s): left out", action, detail)


def build_exception(path: str, message: str) -> BaseException:
    """An exception of "module:Class" with a message; RuntimeError when there is no such exception here."""
    import importlib

    module, _, name = path.partition(":")
    try:
        found = functools.reduce(getattr, name.split("."), importlib.import_module(module))
        built = found(message)
    except (ImportError, AttributeError, TypeError) as error:
        return RuntimeError(f"airbed: cannot make {path}({message!r}) in this task: {error}")
    return built if isinstance(built, BaseException) else RuntimeError(f"airbed: {path} is not an exception class")


def holds(where: dict[str, Any] | None, task: Any) -> bool:
    """Whether each dotted path into the rendered task has the wanted value.

    A path begins with an attribute of the task; then come keys, positions or attributes. Looked up here, so that
    nothing is sent anywhere and nothing lazy is read.
    """
    return all(_look_up(task, path.split(".")) == wanted for path, wanted in (where or {}).items())


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
