"""Task rules: which instance has which fault, when, and how often."""

from __future__ import annotations

import builtins
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from airbed.director import fields as read
from airbed.errors import UsageError

ACTIONS = ("raise", "fail-now", "kill")
WHENS = ("before", "after")
DEFAULT_EXCEPTION = "builtins:RuntimeError"
DEFAULT_MESSAGE = "injected by airbed"
_WHAT = "task rule"
_CLASS_PATH = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")


@dataclass(frozen=True)
class Instance:
    """One try of one task instance; `map_index` is -1 for an unmapped task, `try_number` starts at 1."""

    dag_id: str
    run_id: str
    task_id: str
    map_index: int
    try_number: int

    @classmethod
    def parse(cls, body: object) -> Instance:
        """Read it from a JSON object; UsageError names the field that is missing or wrong."""
        fields = read.as_object(body, "task instance")
        return cls(
            dag_id=read.text(fields, "dag_id"),
            run_id=read.text(fields, "run_id"),
            task_id=read.text(fields, "task_id"),
            map_index=read.integer(fields, "map_index"),
            try_number=read.integer(fields, "try_number"),
        )


@dataclass(frozen=True)
class TaskRule:
    """A fault for chosen instances of one task.

    `run_id`, `map_index` and `try_number` of None match every one; `times` is the highest number of firings (None: no
    limit). `action` is raise (`exception` as "module:Class", with `message`), fail-now (AirflowFailException, so no
    retry) or kill (SIGKILL of the task's process), `when` before or after the task's real work. `where` maps a dotted
    path into the rendered task ("op_kwargs.item.id") to the value it must have; the task's process checks it.
    """

    dag_id: str
    task_id: str
    action: str
    run_id: str | None = None
    map_index: tuple[int, ...] | None = None
    try_number: tuple[int, ...] | None = None
    times: int | None = None
    when: str = "before"
    exception: str = DEFAULT_EXCEPTION
    message: str = DEFAULT_MESSAGE
    where: Mapping[str, Any] | None = None

    @classmethod
    def parse(cls, body: object) -> TaskRule:
        """Read and check a rule from a JSON object; UsageError says in one line what is wrong with it."""
        fields = read.as_object(body, _WHAT)
        read.only_known(fields, tuple(cls.__dataclass_fields__), _WHAT)
        action = read.choice(fields, "action", ACTIONS, None, _WHAT)
        if action != "raise" and fields.get("exception") is not None:
            raise UsageError(f"task rule: exception is only for action 'raise', not for {action!r}")
        return cls(
            dag_id=read.text(fields, "dag_id"),
            task_id=read.text(fields, "task_id"),
            action=action,
            run_id=read.optional_text(fields, "run_id"),
            map_index=read.integers(fields, "map_index", -1, _WHAT),
            try_number=read.integers(fields, "try_number", 1, _WHAT),
            times=read.optional_integer(fields, "times", 1, _WHAT),
            when=read.choice(fields, "when", WHENS, "before", _WHAT),
            exception=_class_path(fields.get("exception")),
            message=read.optional_text(fields, "message") or DEFAULT_MESSAGE,
            where=_where(fields.get("where")),
        )

    def matches(self, instance: Instance) -> bool:
        """Whether the rule is for that instance (apart from `where`, which only the task's process can check)."""
        return (
            self.dag_id == instance.dag_id
            and self.task_id == instance.task_id
            and self.run_id in (None, instance.run_id)
            and (self.map_index is None or instance.map_index in self.map_index)
            and (self.try_number is None or instance.try_number in self.try_number)
        )


def _class_path(value: object) -> str:
    if value is None:
        return DEFAULT_EXCEPTION
    if not isinstance(value, str) or not _CLASS_PATH.fullmatch(value):
        raise UsageError(f"task rule: exception must be 'module:Class', such as {DEFAULT_EXCEPTION!r}, got {value!r}")
    module, _, name = value.partition(":")
    if module == "builtins":
        # Other modules may exist only where the tasks run; the task says so when it cannot import one.
        found = getattr(builtins, name, None)
        if not isinstance(found, type) or not issubclass(found, BaseException):
            raise UsageError(f"task rule: {value!r} is not an exception class of Python")
    return value


def _where(value: object) -> dict[str, Any] | None:
    if value is None:
        return None
    if not isinstance(value, dict) or not value:
        raise UsageError(
            f"task rule: where must map a path to a value, such as {{'op_kwargs.item.id': 3}}, got {value!r}"
        )
    for path in value:
        if not isinstance(path, str) or not all(path.split(".")):
            raise UsageError(f"task rule: where has a bad path {path!r}; use names and positions joined by dots")
    return value
