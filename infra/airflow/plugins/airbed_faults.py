"""What task rules do in the task's process, around its real work."""

from __future__ import annotations

import contextlib
import functools
import inspect
import logging
import os
import signal
import threading
import time
from collections.abc import Callable
from typing import Any

from airbed_director import DirectorClient, go_on_without

log = logging.getLogger("airbed")

_MEGABYTE = 1 << 20
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_WATCH_SECONDS = 0.01
_HANG_POLL_SECONDS = 0.5
_MISSING = object()


class Faults:
    """The rules and gates for one try of one instance; each happens at most once.

    `after_gates` are the names of the gates after the work, `chosen` says whether a rule is for this task.
    """

    def __init__(
        self,
        director: DirectorClient,
        rules: list[dict[str, Any]],
        after_gates: list[str] | None = None,
        chosen: Callable[[dict[str, Any]], bool] = lambda _: True,
    ) -> None:
        self._director = director
        self._rules = rules
        self._after_gates = after_gates or []
        self._chosen = chosen
        self._entered = False
        self._limits = contextlib.ExitStack()

    def around(self, work: Callable[..., Any]) -> Callable[..., Any]:
        """The same work with the faults before and after it; only the first call has them."""
        if inspect.iscoroutinefunction(inspect.unwrap(work)):

            @functools.wraps(work)
            async def faulty_async(*args: Any, **kwargs: Any) -> Any:
                if self._is_inner():
                    return await work(*args, **kwargs)
                with self._limits:
                    result = self._fire("before", _MISSING)
                    if result is _MISSING:
                        result = await work(*args, **kwargs)
                return self._leave(result)

            return faulty_async

        @functools.wraps(work)
        def faulty(*args: Any, **kwargs: Any) -> Any:
            if self._is_inner():
                return work(*args, **kwargs)
            with self._limits:
                result = self._fire("before", _MISSING)
                if result is _MISSING:
                    result = work(*args, **kwargs)
            return self._leave(result)

        return faulty

    def _is_inner(self) -> bool:
        inner, self._entered = self._entered, True
        return inner

    def _leave(self, result: Any) -> Any:
        if self._after_gates:
            try:
                for name in self._after_gates:
                    self._director.pass_gate(name)
                self._rules = [rule for rule in self._director.ask_again() if self._chosen(rule)]
            except (OSError, ValueError, KeyError) as error:
                go_on_without(error, "this task goes on")
        return self._fire("after", result)

    def _fire(self, when: str, result: Any) -> Any:
        """Do the faults of one side; returns what the work returns, or is to return."""
        for rule in self._rules:
            if rule["when"] != when:
                continue
            try:
                if not self._director.claim(rule["id"]):
                    continue
            except (OSError, ValueError, KeyError) as error:
                go_on_without(error, f"rule {rule['id']} is left out")
                continue
            changed = self._act(rule)
            result = result if changed is _MISSING else changed
        return result

    def _act(self, rule: dict[str, Any]) -> Any:
        """Do what a rule says; returns what the work is to return instead, or _MISSING."""
        action = rule["action"]
        known = _ACTIONS.get(action)
        detail = f"rule {rule['id']}, {rule['when']} the work of {self._director.instance}"
        if known is None:
            log.error("airbed: unknown action %r (%s): left out", action, detail)
            return _MISSING
        log.error("airbed: injected %s (%s%s)", action, _told(rule), detail)
        return known(self, rule)

    def _raise(self, rule: dict[str, Any]) -> Any:
        raise build_exception(rule["exception"], rule["message"])

    def _fail_now(self, rule: dict[str, Any]) -> Any:
        from airflow.sdk.exceptions import AirflowFailException

        raise AirflowFailException(rule["message"])

    def _kill(self, _: dict[str, Any]) -> Any:
        os.kill(os.getpid(), signal.SIGKILL)

    def _exit(self, rule: dict[str, Any]) -> Any:
        os._exit(rule["code"])

    def _hang(self, rule: dict[str, Any]) -> Any:
        while self._director.in_force(rule["id"]):
            time.sleep(_HANG_POLL_SECONDS)
        log.info("airbed: rule %s is gone, %s goes on", rule["id"], self._director.instance)
        return _MISSING

    def _slow(self, rule: dict[str, Any]) -> Any:
        time.sleep(rule["seconds"])
        return _MISSING

    def _return(self, rule: dict[str, Any]) -> Any:
        return rule["value"]

    def _return_none(self, _: dict[str, Any]) -> Any:
        return None

    def _limit_memory(self, rule: dict[str, Any]) -> Any:
        import resource

        soft, hard = resource.getrlimit(resource.RLIMIT_AS)
        wanted = _memory_bytes(0) + int(rule["megabytes"] * _MEGABYTE)
        resource.setrlimit(resource.RLIMIT_AS, (wanted if hard == resource.RLIM_INFINITY else min(wanted, hard), hard))
        # Only the work is to feel it: reporting its MemoryError needs memory too.
        self._limits.callback(resource.setrlimit, resource.RLIMIT_AS, (soft, hard))
        return _MISSING

    def _kill_when_large(self, rule: dict[str, Any]) -> Any:
        over = threading.Event()

        def watch() -> None:
            while not over.wait(_WATCH_SECONDS):
                used = _memory_bytes(1)
                if used > rule["megabytes"] * _MEGABYTE:
                    log.error("airbed: %s has %d MB in memory: SIGKILL", self._director.instance, used // _MEGABYTE)
                    os.kill(os.getpid(), signal.SIGKILL)

        threading.Thread(target=watch, name="airbed-oom-kill", daemon=True).start()
        self._limits.callback(over.set)
        return _MISSING


_ACTIONS: dict[str, Callable[[Faults, dict[str, Any]], Any]] = {
    "raise": Faults._raise,
    "fail-now": Faults._fail_now,
    "kill": Faults._kill,
    "exit": Faults._exit,
    "memory-limit": Faults._limit_memory,
    "oom-kill": Faults._kill_when_large,
    "hang": Faults._hang,
    "slow": Faults._slow,
    "return": Faults._return,
    "return-none": Faults._return_none,
}


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


def _memory_bytes(field: int) -> int:
    """This process's size (field 0) or what of it is in memory (field 1)."""
    with open("/proc/self/statm") as file:  # noqa: PTH123  asked every 10 ms
        return int(file.read().split()[field]) * _PAGE_BYTES


def _told(rule: dict[str, Any]) -> str:
    details = {key: value for key, value in rule.items() if key not in ("id", "action", "when", "where")}
    return "".join(f"{key} {value!r}, " for key, value in details.items())
