"""What the TCP faults share: the proxy they are about, the toxic they put there, and how it is proven gone."""

from __future__ import annotations

import time
from abc import abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from airbed.clients.toxiproxy import Stream, Toxic
from airbed.errors import AirbedError, Unavailable
from airbed.faults.exchange import Exchange, hang_up, talk
from airbed.faults.model import Fault, Level, Plan

if TYPE_CHECKING:
    from airbed.bed import Bed

Service = Literal["metadata", "shard-0", "shard-1", "shard-2", "warehouse", "s3", "kube-apiserver", "api-server"]
CONFIRM_WITHIN = 15.0  # seconds
# Seconds of a talk that prove a fault which makes clients wait, however long they would.
PROOF_WITHIN = 2.0


class TcpFault(Fault):
    """A fault on the way of the tasks to one service; Airflow's own way to `metadata` is one of them.

    The host's clients (tests, the command line) go directly and never meet it.
    """

    level: ClassVar[Level] = "protocol"
    undo_order: ClassVar[int] = 20

    service: Service = Field(description="the service that the way leads to")

    def check(self, bed: Bed) -> None:
        """Toxiproxy must be there, and the service too."""
        _ = bed.toxiproxy
        if self.service not in bed.substrate.services:
            raise Unavailable(
                f"bed '{bed.name}' has no {self.service}; add it: airbed up --name {bed.name} --with kubernetes"
            )

    def undo(self, bed: Bed, plan: Plan) -> None:
        """Take it away, then prove the way as it was.

        A Toxiproxy that does not run has nothing to take away: at its next start it restores what is in force only.
        """
        take_away(bed, plan)
        prove_way(bed, str(plan["proxy"]))
        # Once more: a Toxiproxy that came up just now may have read the ledger a moment before.
        take_away(bed, plan)


class ToxicFault(TcpFault):
    """A TCP fault that toxics of one direction make."""

    direction: Literal["downstream", "upstream"] = Field(
        default="downstream", description="downstream: towards the client; upstream: towards the service"
    )

    @abstractmethod
    def toxics(self) -> list[tuple[str, dict[str, int], float]]:
        """The toxics: type, attributes, and the share of connections that have it."""

    @abstractmethod
    def is_met(self, bed: Bed) -> Exchange | None:
        """Talk to the service; the exchange when it was not as it must be with the fault, None when it was."""

    def plan(self, bed: Bed, key: str) -> Plan:
        """The toxics are named by the key; a Toxiproxy that starts anew takes them from here."""
        stream: Stream = self.direction
        made = [
            {"name": f"{key}-{kind}", "type": kind, "stream": stream, "toxicity": share, "attributes": attributes}
            for kind, attributes, share in self.toxics()
        ]
        return {"key": key, "proxy": self.service, "toxics": made}

    def apply(self, bed: Bed, plan: Plan) -> None:
        """Add the toxics to the proxy."""
        for each in plan["toxics"]:
            bed.toxiproxy.add_toxic(plan["proxy"], Toxic(**each))

    def confirm(self, bed: Bed, plan: Plan) -> None:
        """Talk to the service until a talk goes as it must with the fault."""
        wanted = {each["name"] for each in plan["toxics"]}
        deadline = time.monotonic() + CONFIRM_WITHIN
        while True:
            present = {each.name for each in bed.toxiproxy.proxy(self.service).toxics}
            went = self.is_met(bed)
            if went is None and wanted <= present:
                return
            if time.monotonic() > deadline:
                said = (
                    "is not there" if went is None else f"is not felt: a talk took {went.seconds:.2f} s, {went.error}"
                )
                raise Unavailable(
                    f"{self.kind} on the way to {self.service} {said}; see: airbed status --name {bed.name}"
                )

    def talk(self, bed: Bed, size: int = 0, patience: float = 10) -> Exchange:
        """A talk that carries `size` bytes in the fault's direction."""
        up, down = (size, 0) if self.direction == "upstream" else (0, size)
        return talk(bed, self.service, up=up, down=down, patience=patience)

    def hang_up(self, bed: Bed, patience: float) -> Exchange:
        """A talk that the service ends."""
        return hang_up(bed, self.service, patience)


def take_away(bed: Bed, plan: Plan, timeout: float = 15) -> None:
    """Remove a plan's toxics from the living Toxiproxy; Unavailable when one that runs does not answer in time."""
    names = [str(each["name"]) for each in plan.get("toxics", [])]
    deadline = time.monotonic() + timeout
    if _state(bed) == "paused":
        bed.substrate.unpause("toxiproxy")
    while True:
        try:
            for name in names:
                bed.toxiproxy.remove_toxic(plan["proxy"], name)
            return
        except AirbedError as error:
            state = _state(bed)
            if state in ("stopped", "failed"):
                return
            if time.monotonic() > deadline:
                raise Unavailable(f"Toxiproxy is {state} and kept {', '.join(names)}: {error}") from None
        time.sleep(0.05)


def prove_way(bed: Bed, proxy: str, timeout: float = 30) -> None:
    """Return when the way is as it was: open if its service is up, and a client gets its answer if nothing hinders it.

    Another toxic on the same way, a service that is down, a Toxiproxy that is stopped: nothing more can be proven.
    """
    bed.substrate.set_ways()
    if _state(bed) != "running":
        return
    deadline = time.monotonic() + timeout
    while True:
        found = bed.toxiproxy.proxy(proxy)
        states = {each.name: each.state for each in bed.substrate.status()}
        if found.toxics or not found.enabled or states.get(proxy) != "running" or states.get("director") != "running":
            return
        went = hang_up(bed, proxy, 5)
        if went.error is None:
            return
        if time.monotonic() > deadline:
            raise Unavailable(f"{proxy} cannot be reached on the way of the tasks: {went.error}")
        time.sleep(0.1)


def _state(bed: Bed) -> str:
    rows: list[Any] = bed.substrate.status()
    return next((str(each.state) for each in rows if each.name == "toxiproxy"), "stopped")
