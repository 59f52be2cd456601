"""Gates: instances of a task are counted as they arrive, and held until the fault that they wait for is in force."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from airbed.errors import AirbedError

if TYPE_CHECKING:
    from airbed.bed import Bed
    from airbed.incidents.moments import Arrived

GRACE = 240.0  # seconds that a fault may take to come into force while instances wait for it


@dataclass
class Gate:
    """One gate of a scenario at the director. `arrived` is what was seen there last, in order of arrival."""

    bed: Bed
    name: str
    asked: Arrived
    dag_id: str
    run_id: str | None
    arrived: list[dict[str, Any]] = field(default_factory=list)
    opened: bool = False

    def put(self) -> None:
        """Put the gate up, closed; it counts only where nobody is to be held."""
        self.bed.director.add_gate(
            self.name,
            dag_id=self.dag_id,
            task_id=self.asked.task,
            run_id=self.run_id,
            map_index=self.asked.map_index,
            try_number=self.asked.try_number,
            where=self.asked.items,
            when=self.asked.point,
            hold=self.asked.hold,
            timeout=self.asked.timeout + GRACE,
        )

    def full(self) -> bool:
        """Whether as many have arrived as were asked for."""
        self.arrived = list(self.bed.director.gate(self.name)["arrived"])
        return len(self.arrived) >= self.asked.count

    def open(self) -> bool:
        """Let everybody through, now and later; False when the director had lost its patience before."""
        self.opened = True
        return not self.bed.director.open_gate(self.name)["timed_out"]

    def remove(self) -> str | None:
        """Take the gate away, which opens it; returns why that failed, or None."""
        try:
            self.bed.director.remove_gate(self.name)
        except AirbedError as error:
            return str(error)
        return None

    def names(self) -> list[str]:
        """Who has arrived: `process_shard[1] try 1`."""
        return [_name(each) for each in self.arrived]


def _name(each: dict[str, Any]) -> str:
    index = "" if each["map_index"] < 0 else f"[{each['map_index']}]"
    return f"{each['task_id']}{index} try {each['try_number']}"
