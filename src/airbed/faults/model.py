"""What every kind of fault is: its parameters, and how it is planned, applied, confirmed and undone."""

from __future__ import annotations

from abc import ABC, abstractmethod
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict

if TYPE_CHECKING:
    from airbed.bed import Bed

Level = Literal["task", "protocol", "process", "platform"]
Plan = dict[str, Any]
Target = tuple[str | None, ...]


class Fault(BaseModel, ABC):
    """One fault with its parameters; each subclass that sets `kind` is a kind that users can name.

    `kind` is `<what>.<does>`, such as `s3.error`; `summary` one line; `example` parameters that work on a bed of the
    six patterns. Each field has a `description`, with its unit. `momentary` faults (a kill) have nothing to undo: they
    are done when `apply` returns. `undo_order` decides who is undone first when all are: lower first. `paths` are the
    fields that name files of this machine: a scenario names them relative to itself.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: ClassVar[str]
    level: ClassVar[Level]
    summary: ClassVar[str]
    example: ClassVar[dict[str, Any]]
    momentary: ClassVar[bool] = False
    undo_order: ClassVar[int] = 50
    by_hand: ClassVar[bool] = True
    paths: ClassVar[tuple[str, ...]] = ()

    def target(self) -> Target | None:
        """What the fault changes and later puts back to what it was, such as `("pool", "db_etl")`.

        A part that is None stands for every one, one with `*` or `?` for those that match. A second fault of the same
        target is refused while one is injected: taken back in another order, they would leave the change for good.
        None: such faults may lie on one another.
        """
        return None

    def check(self, bed: Bed) -> None:
        """Refuse what cannot be, before anything is changed.

        Raises UsageError for parameters that fit nothing on this bed, Unavailable for what the bed lacks (Kubernetes,
        Toxiproxy, rights on this machine).
        """

    def plan(self, bed: Bed, key: str) -> Plan:
        """What `undo` will need, as a JSON object; it is on the disk before `apply` is called.

        `key` is unique for this injection: name after it what the fault creates, so that `undo` finds it even when
        `apply` was killed half-way. Looks, changes nothing.
        """
        return {"key": key}

    @abstractmethod
    def apply(self, bed: Bed, plan: Plan) -> None:
        """Bring the fault into force."""

    def confirm(self, bed: Bed, plan: Plan) -> None:
        """Return when a real client would meet the fault; Unavailable when that does not come to pass."""

    def undo(self, bed: Bed, plan: Plan) -> None:
        """Take the fault back and return when it is gone; does no harm twice, or when `apply` never happened."""

    def fired(self, bed: Bed, plan: Plan) -> int | None:
        """How often the fault has hit something so far; None when that cannot be counted.

        Asked before `undo`, which may forget it.
        """
        return None

    def describe(self) -> str:
        """The parameters that differ from their defaults: `key='raw/*', status=503`."""
        given = self.model_dump(exclude_defaults=True)
        return ", ".join(f"{name}={value!r}" for name, value in given.items())


def meet(one: Target | None, other: Target | None) -> bool:
    """Whether two targets have something in common."""
    if one is None or other is None or len(one) != len(other):
        return False
    return all(_fits(mine, its) for mine, its in zip(one, other, strict=True))


def _fits(one: str | None, other: str | None) -> bool:
    return one is None or other is None or one == other or fnmatchcase(one, other) or fnmatchcase(other, one)
