"""Task rules: which instance has which fault, when, and how often."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from airbed.director import fields as read
from airbed.director.exceptions import DEFAULT_EXCEPTION, check_exception
from airbed.director.selection import Instance, Selection
from airbed.errors import UsageError

WHENS = ("before", "after")
DEFAULT_MESSAGE = "injected by airbed"
_WHAT = "task rule"
# What an action can be told; it must be told those that have no default.
_DETAILS: dict[str, tuple[str, ...]] = {
    "raise": ("exception", "message"),
    "fail-now": ("message",),
    "kill": (),
    "exit": ("code",),
    "memory-limit": ("megabytes",),
    "oom-kill": ("megabytes",),
    "hang": (),
    "slow": ("seconds",),
    "return": ("value",),
    "return-none": (),
}
ACTIONS = tuple(_DETAILS)
_BEFORE_ONLY = ("memory-limit", "oom-kill")
# After the other ones nothing of the try is left that a trigger could resume.
_LEAVE_THE_WORK = ("slow", *_BEFORE_ONLY)


@dataclass(frozen=True)
class TaskRule:
    """A fault for chosen instances of one task.

    `times` is the highest number of firings (None: no limit), `arrivals` which instances in the order they come to the
    point of the fault (from 1; a try is counted once). `when` is before or after the task's real work. `where` maps a
    dotted path into the rendered task ("op_kwargs.item.id") to the value it must have; the task's process checks it.
    `action` is raise (`exception` as "module:Class", `message`), fail-now (no retry; `message`), kill (SIGKILL of the
    task's process), exit (`code`), memory-limit (`megabytes` above the present size, then MemoryError), oom-kill
    (SIGKILL when the process has more than `megabytes` in memory), hang (until the rule is removed), slow (`seconds`),
    return (`value` instead of the work's) or return-none.
    """

    selection: Selection
    action: str
    times: int | None = None
    arrivals: tuple[int, ...] | None = None
    when: str = "before"
    where: Mapping[str, Any] | None = None
    exception: str | None = None
    message: str | None = None
    code: int | None = None
    megabytes: float | None = None
    seconds: float | None = None
    value: Any = None

    @classmethod
    def parse(cls, body: object) -> TaskRule:
        """Read and check a rule from a JSON object; UsageError says in one line what is wrong with it."""
        fields = read.as_object(body, _WHAT)
        known = (*Selection.__dataclass_fields__, *(name for name in cls.__dataclass_fields__ if name != "selection"))
        read.only_known(fields, known, _WHAT)
        action = read.choice(fields, "action", ACTIONS, None, _WHAT)
        when = read.choice(fields, "when", WHENS, "before", _WHAT)
        if when == "after" and action in _BEFORE_ONLY:
            raise UsageError(f"{_WHAT}: action {action!r} is for the time of the work: when must be 'before'")
        return cls(
            selection=Selection.parse(fields, _WHAT),
            action=action,
            times=read.optional_integer(fields, "times", 1, _WHAT),
            arrivals=read.integers(fields, "arrivals", 1, _WHAT),
            when=when,
            where=read.paths(fields, "where", _WHAT),
            **_details(fields, action),
        )

    def details(self) -> dict[str, Any]:
        """What the action was told."""
        return {name: getattr(self, name) for name in _DETAILS[self.action]}

    def view(self) -> dict[str, Any]:
        """The rule as a flat JSON object, as `parse` reads it."""
        whole = asdict(self)
        return {**whole.pop("selection"), **whole}

    def offer(self) -> dict[str, Any]:
        """What the task's process must know."""
        return {"action": self.action, "when": self.when, "where": self.where, **self.details()}

    @property
    def lasts(self) -> bool:
        """Whether it is about the whole work: a part of it that is resumed in another process needs it again."""
        return self.action in _BEFORE_ONLY

    @property
    def leaves_the_work(self) -> bool:
        """Whether it comes before the work and lets it go on, maybe in a second process."""
        return self.when == "before" and self.action in _LEAVE_THE_WORK

    def matches(self, instance: Instance) -> bool:
        """Whether the rule is for that instance (apart from `where`, which only the task's process can check)."""
        return self.selection.matches(instance)


def _details(fields: Mapping[str, Any], action: str) -> dict[str, Any]:
    own = _DETAILS[action]
    for owner, names in _DETAILS.items():
        for name in names:
            if fields.get(name) is not None and name not in own:
                raise UsageError(f"{_WHAT}: {name} is only for action {owner!r}, not for {action!r}")
    details: dict[str, Any] = {}
    if "exception" in own:
        details["exception"] = _class_path(fields.get("exception"))
    if "message" in own:
        details["message"] = read.optional_text(fields, "message") or DEFAULT_MESSAGE
    if "code" in own:
        code = read.optional_integer(fields, "code", 0, _WHAT)
        details["code"] = 1 if code is None else code
    for name, highest in (("megabytes", 1_000_000), ("seconds", 86_400)):
        if name in own:
            details[name] = read.optional_number(fields, name, 0, highest, _WHAT)
            if details[name] is None:
                raise UsageError(f"{_WHAT}: action {action!r} needs {name}")
    if "value" in own:
        details["value"] = fields.get("value")
    return details


def _class_path(value: object) -> str:
    if value is None:
        return DEFAULT_EXCEPTION
    try:
        return check_exception(value)
    except ValueError as error:
        raise UsageError(f"{_WHAT}: {error}") from None
