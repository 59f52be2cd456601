"""Gates: where task instances arrive, are counted, and wait until they are let through."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from airbed.director import fields as read
from airbed.director.journal import Journal
from airbed.director.rules import WHENS
from airbed.director.selection import Instance, Selection
from airbed.director.state import read_state, write_state
from airbed.errors import UsageError

DEFAULT_TIMEOUT_SECONDS = 300.0
_WHAT = "gate"
_FIELDS = ("name", *Selection.__dataclass_fields__, "where", "when", "hold", "timeout")


@dataclass
class Gate:
    """One gate for chosen instances of a task.

    `where` maps a dotted path into the rendered task to the values of which it must have one; the task's process
    checks it. Instances arrive before or after their work (`when`). `hold` False: they are counted and go on. Those
    that are held go on when they are let through, or `timeout` seconds after the first arrival.
    """

    name: str
    selection: Selection
    where: Mapping[str, Any] | None = None
    when: str = "before"
    hold: bool = True
    timeout: float = DEFAULT_TIMEOUT_SECONDS
    arrived: dict[Instance, float] = field(default_factory=dict)  # in order of arrival
    let_through: int | None = 0  # the first n; None: all
    timed_out: bool = False
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    @classmethod
    def parse(cls, body: object) -> Gate:
        """Read and check a gate from a JSON object; UsageError says in one line what is wrong with it."""
        fields = read.as_object(body, _WHAT)
        read.only_known(fields, _FIELDS, _WHAT)
        name = read.optional_id({"id": read.text(fields, "name")}, _WHAT)
        timeout = read.optional_number(fields, "timeout", 0.001, 86_400, _WHAT)
        where = read.paths(fields, "where", _WHAT)
        for path, values in (where or {}).items():
            if not isinstance(values, list) or not values:
                raise UsageError(f"{_WHAT}: where must map {path!r} to a list of values, got {values!r}")
        hold = read.optional_flag(fields, "hold", _WHAT)
        return cls(
            name=str(name),
            selection=Selection.parse(fields, _WHAT),
            where=where,
            when=read.choice(fields, "when", WHENS, "before", _WHAT),
            hold=hold is not False,
            timeout=DEFAULT_TIMEOUT_SECONDS if timeout is None else timeout,
        )

    def settings(self) -> dict[str, Any]:
        """What `parse` reads."""
        own = {name: getattr(self, name) for name in ("name", "where", "when", "hold", "timeout")}
        return {**own, **asdict(self.selection)}

    def view(self) -> dict[str, Any]:
        """The gate as a JSON object: its settings, `arrived` in order, `open` (to all), `let_through`, `timed_out`."""
        arrived = [
            {"position": position, **asdict(instance), "time": at}
            for position, (instance, at) in enumerate(self.arrived.items(), 1)
        ]
        state = {"open": self.let_through is None, "let_through": self.let_through, "timed_out": self.timed_out}
        return {**self.settings(), **state, "arrived": arrived}

    def passes(self, instance: Instance) -> bool:
        """Whether an instance that has arrived may go on."""
        return not self.hold or self.let_through is None or list(self.arrived).index(instance) < self.let_through

    def seconds_left(self) -> float:
        """Until the gate's timeout passes."""
        first = next(iter(self.arrived.values()), time.time())
        return first + self.timeout - time.time()

    def wake(self) -> None:
        """Let those who wait look again."""
        self.changed.set()
        self.changed = asyncio.Event()


class GateBook:
    """All gates by name; every arrival and opening is on the disk before it is answered.

    Arrivals are counted in one step of the director's only thread: an instance (run, task, map index, try) once.
    """

    def __init__(self, file: Path, journal: Journal) -> None:
        self._file = file
        self._journal = journal
        self._gates: dict[str, Gate] = {}
        self._load()

    def add(self, gate: Gate) -> None:
        """Put a gate up; one of the same name is replaced, and whoever waits there goes on."""
        self.remove(gate.name)
        self._gates[gate.name] = gate
        self._save()

    def remove(self, name: str) -> bool:
        """Take a gate away, whoever waits goes on; False when there is none of that name."""
        gate = self._gates.pop(name, None)
        if gate is None:
            return False
        self._save()
        gate.wake()
        return True

    def get(self, name: str) -> Gate | None:
        """The gate of that name; its timeout may pass by this."""
        gate = self._gates.get(name)
        if gate is not None:
            self._expire(gate)
        return gate

    def all(self) -> list[Gate]:
        """Every gate, in the order they were put up."""
        return [gate for name in list(self._gates) if (gate := self.get(name)) is not None]

    def matching(self, instance: Instance) -> list[Gate]:
        """The gates that are for an instance (apart from `where`)."""
        return [gate for gate in self._gates.values() if gate.selection.matches(instance)]

    def arrive(self, name: str, instance: Instance) -> Gate | None:
        """Count an arrival; returns the gate, or None when there is none of that name for that instance."""
        gate = self._gates.get(name)
        if gate is None or not gate.selection.matches(instance):
            return None
        if instance not in gate.arrived:
            gate.arrived[instance] = time.time()
            self._save()
            self._journal.add("gate-arrived", **asdict(instance), gate=name, position=len(gate.arrived))
        return gate

    def open(self, name: str, count: int | None = None) -> Gate | None:
        """Let the first `count` arrivals through, or all; never fewer than before. None: no such gate."""
        gate = self._gates.get(name)
        if gate is None:
            return None
        wider = gate.let_through is not None and (count is None or count > gate.let_through)
        if wider:
            gate.let_through = count
            self._save()
            self._journal.add("gate-opened", gate=name, count=count, arrived=len(gate.arrived))
            gate.wake()
        return gate

    async def wait(self, name: str, instance: Instance, seconds: float) -> bool | None:
        """Wait at a gate for up to `seconds`: True may go on, False not yet, None there is no such gate (any more)."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + seconds
        while (gate := self.get(name)) is not None and instance in gate.arrived:
            if gate.passes(instance):
                return True
            left = deadline - loop.time()
            if left <= 0:
                return False
            try:
                async with asyncio.timeout(max(0.001, min(left, gate.seconds_left()))):
                    await gate.changed.wait()
            except TimeoutError:
                pass
        return None

    def _expire(self, gate: Gate) -> None:
        waiting = gate.hold and gate.let_through is not None and len(gate.arrived) > gate.let_through
        if waiting and gate.seconds_left() <= 0:
            gate.let_through, gate.timed_out = None, True
            self._save()
            self._journal.add("gate-timed-out", gate=gate.name, arrived=len(gate.arrived), seconds=gate.timeout)
            gate.wake()

    def _save(self) -> None:
        write_state(self._file, json.dumps([gate.view() for gate in self._gates.values()]))

    def _load(self) -> None:
        try:
            for saved in read_state(self._file, "gates") or []:
                gate = Gate.parse({name: saved[name] for name in _FIELDS})
                gate.let_through, gate.timed_out = saved["let_through"], bool(saved["timed_out"])
                gate.arrived = {Instance.parse(each): float(each["time"]) for each in saved["arrived"]}
                self._gates[gate.name] = gate
        except (ValueError, KeyError, TypeError, UsageError) as error:
            raise UsageError(
                f"director: {self._file} is not a file of gates ({error}); delete it to start without"
            ) from error
