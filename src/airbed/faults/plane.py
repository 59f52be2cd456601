"""Inject faults into a bed and take them back, for certain."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from airbed.errors import AirbedError, Unavailable, UsageError
from airbed.faults import registry
from airbed.faults.ledger import BY_HAND, Entry, Ledger
from airbed.faults.model import Fault, meet
from airbed.faults.owner import lives, start_of
from airbed.substrates.capabilities import ensure_can

if TYPE_CHECKING:
    from airbed.bed import Bed


@dataclass(frozen=True)
class Undone:
    """A fault that was taken back. `fired`: how often it hit (None: not countable, or its counter did not answer)."""

    entry: Entry
    fired: int | None


class FaultPlane:
    """The faults of one bed. `inject` writes the undo to the disk before anything changes."""

    def __init__(self, bed: Bed, owner: str = BY_HAND) -> None:
        self._bed = bed
        self._owner = owner
        self._ledger = Ledger(bed.folder)

    def active(self) -> list[Entry]:
        """Everything injected and not taken back, oldest first, whoever injected it."""
        return self._ledger.entries()

    def inject(self, fault: Fault, *, confirm: bool = True) -> Entry:
        """Bring a fault into force; returns its entry, whose `id` is for `undo`.

        `confirm` waits until a real client would meet it. When applying or confirming fails, the fault is undone before
        the error is raised. UsageError when another fault has the same target, Unavailable when somebody takes the
        fault back meanwhile.
        """
        ensure_can(self._bed.spec.substrate, fault.kind)
        fault.check(self._bed)
        entry = self._ledger.add(lambda key: self._entry(fault, key))
        try:
            fault.apply(self._bed, entry.plan)
            if fault.momentary:
                self._ledger.remove(entry.id)
                return entry
            if confirm and self._has(entry):
                fault.confirm(self._bed, entry.plan)
            entry.state = "active"
            if not self._ledger.update(entry):
                raise Unavailable(
                    f"fault {entry.id} ({entry.kind}) of bed '{self._bed.name}' was taken back before it was in force"
                )
        except BaseException as error:
            self._give_up(fault, entry, error)
            raise
        return entry

    def _has(self, entry: Entry) -> bool:
        return any(each.id == entry.id for each in self._ledger.entries())

    def _give_up(self, fault: Fault, entry: Entry, why: BaseException) -> None:
        """Undo what did not come into force. Unavailable, with `why` before the rest, when that fails too."""
        try:
            if self._has(entry):
                self.undo(entry.id)
            else:
                # Whoever took it back did so before all of it was there.
                fault.undo(self._bed, entry.plan)
        except Exception as error:
            words = " ".join(str(why).split()) or type(why).__name__
            raise Unavailable(f"{words}; then: {' '.join(str(error).split()) or type(error).__name__}") from why

    def _entry(self, fault: Fault, key: str) -> Entry:
        self._ensure_target_is_free(fault)
        plan = fault.plan(self._bed, f"airbed-{key}")
        parameters = fault.model_dump(mode="json", exclude_defaults=True)
        return Entry(key, fault.kind, parameters, plan, self._owner, os.getpid(), owner_start=start_of(os.getpid()))

    def _ensure_target_is_free(self, fault: Fault) -> None:
        target = fault.target()
        if target is None:
            return
        for each in self._ledger.entries():
            if meet(target, _fault_of(each).target()):
                raise UsageError(
                    f"{fault.kind}: {' '.join(part or '*' for part in target)} of bed '{self._bed.name}' is changed"
                    f" already by fault {each.id} ({each.kind} {each.describe()}); put that back first:"
                    f" airbed fault clear {each.id} --name {self._bed.name}"
                )

    def fired(self, entry: Entry) -> int | None:
        """How often a fault has hit something so far; None when that cannot be counted."""
        return _fault_of(entry).fired(self._bed, entry.plan)

    def undo(self, entry_id: str) -> Undone:
        """Take one fault back; UsageError when there is none of that id, Unavailable when it cannot be undone now."""
        entry = next((each for each in self._ledger.entries() if each.id == entry_id), None)
        if entry is None:
            known = ", ".join(each.id for each in self._ledger.entries()) or "none"
            raise UsageError(f"bed '{self._bed.name}' has no fault '{entry_id}'; it has: {known}")
        if entry.state == "arming" and entry.owner_pid != os.getpid() and lives(entry.owner_pid, entry.owner_start):
            raise Unavailable(
                f"fault {entry.id} ({entry.kind}) of bed '{self._bed.name}' is being brought into force by process"
                f" {entry.owner_pid}: wait for it, or end that process, then: airbed fault clear {entry.id}"
                f" --name {self._bed.name}"
            )
        fault = _fault_of(entry)
        fired = _count(lambda: fault.fired(self._bed, entry.plan))
        entry.state = "undoing"
        self._ledger.update(entry)
        try:
            fault.undo(self._bed, entry.plan)
        except Exception as error:
            entry.state, entry.problem = "stuck", " ".join(str(error).split()) or type(error).__name__
            self._ledger.update(entry)
            raise Unavailable(
                f"fault {entry.id} ({entry.kind}) of bed '{self._bed.name}' was not undone: {entry.problem};"
                f" try again: airbed fault clear {entry.id} --name {self._bed.name}"
            ) from error
        self._ledger.remove(entry.id)
        return Undone(entry, fired)

    def clear(self, owner: str | None = None, only: Collection[str] | None = None) -> list[Undone]:
        """Take back every fault, those of one owner, or those of some ids; one that is stuck does not keep the others.

        Raises Unavailable at the end when some are stuck.
        """
        wanted = [
            each for each in self._ledger.entries() if owner in (None, each.owner) and (only is None or each.id in only)
        ]
        # The youngest first within an order: what lies on top of another goes before it.
        wanted.sort(key=lambda each: (registry.kind(each.kind).undo_order, -int(each.id[1:])))
        undone, problems = [], []
        for entry in wanted:
            try:
                undone.append(self.undo(entry.id))
            except AirbedError as error:
                problems.append(str(error))
        if problems:
            raise Unavailable("; ".join(problems))
        return undone

    @contextmanager
    def injected(self, fault: Fault) -> Iterator[Entry]:
        """The fault in force for the time of a `with` block."""
        entry = self.inject(fault)
        try:
            yield entry
        finally:
            if self._has(entry):
                self.undo(entry.id)


def _fault_of(entry: Entry) -> Fault:
    return registry.make(entry.kind, entry.parameters)


def _count(ask: Callable[[], int | None]) -> int | None:
    try:
        return ask()
    except Exception:
        # Whatever keeps it from counting must not keep the fault from being undone.
        return None
