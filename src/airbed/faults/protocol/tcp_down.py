"""tcp.down."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, ClassVar

from airbed.errors import Unavailable
from airbed.faults.exchange import hang_up
from airbed.faults.model import Plan
from airbed.faults.tcp import CONFIRM_WITHIN, TcpFault

if TYPE_CHECKING:
    from airbed.bed import Bed


class TcpDown(TcpFault):
    """Nobody listens: new connections are refused and present ones end, while the service itself is well."""

    kind: ClassVar[str] = "tcp.down"
    summary: ClassVar[str] = "connections to a service are refused, the service itself is well"
    example: ClassVar[dict[str, Any]] = {"service": "shard-1"}

    def plan(self, bed: Bed, key: str) -> Plan:
        """What a Toxiproxy that starts anew takes from here."""
        return {"key": key, "proxy": self.service, "down": True}

    def apply(self, bed: Bed, plan: Plan) -> None:
        """Disable the proxy."""
        bed.toxiproxy.set_enabled(plan["proxy"], False)

    def confirm(self, bed: Bed, plan: Plan) -> None:
        """A client is refused."""
        deadline = time.monotonic() + CONFIRM_WITHIN
        while not isinstance((went := hang_up(bed, self.service, 2)).error, ConnectionRefusedError):
            if time.monotonic() > deadline:
                raise Unavailable(f"tcp.down: {self.service} still answers on the way of the tasks ({went.error})")
            time.sleep(0.05)
