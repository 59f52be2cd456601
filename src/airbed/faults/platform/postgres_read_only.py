"""`postgres.read-only`: a database refuses to write."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, ClassVar

from airbed.errors import Unavailable
from airbed.faults.model import Plan, Target
from airbed.faults.postgres import PATIENCE, PostgresFault, superuser

if TYPE_CHECKING:
    from airbed.bed import Bed

_SETTING = "default_transaction_read_only"


class ReadOnly(PostgresFault):
    """Every transaction that begins from now on is read only, in sessions that are open already too.

    Clients meet what they meet on a replica after a failover: `cannot execute INSERT in a read-only transaction`
    (SQLSTATE 25006). It outlives a restart of the server. A client that asks for `SET TRANSACTION READ WRITE` may
    write, which a replica would refuse.
    """

    kind: ClassVar[str] = "postgres.read-only"
    summary: ClassVar[str] = "a database refuses every write (25006), as a replica after a failover does"
    example: ClassVar[dict[str, Any]] = {"service": "warehouse"}

    def target(self) -> Target:
        """The server's setting."""
        return "writes to", self.service

    def apply(self, bed: Bed, plan: Plan) -> None:
        """Change the server's setting."""
        with superuser(bed, self.service, plan["key"]) as session:
            session.execute(f"ALTER SYSTEM SET {_SETTING} = on".encode())
            session.execute("SELECT pg_reload_conf()")

    def confirm(self, bed: Bed, plan: Plan) -> None:
        """Wait until a task's session is read only."""
        self._await(bed, "on")

    def undo(self, bed: Bed, plan: Plan) -> None:
        """Take the setting back and wait until a task's session may write."""
        super().undo(bed, plan)
        with superuser(bed, self.service) as session:
            session.execute(f"ALTER SYSTEM RESET {_SETTING}".encode())
            session.execute("SELECT pg_reload_conf()")
        self._await(bed, "off")

    def fired(self, bed: Bed, plan: Plan) -> int | None:
        """How many statements the server has refused."""
        return self.log_lines(bed, plan, "in a read-only transaction")

    def _await(self, bed: Bed, wanted: str) -> None:
        deadline = time.monotonic() + PATIENCE
        with superuser(bed, self.service) as session:
            # The server passes the new setting on to the sessions that are open, each in its own time.
            while session.execute(f"SHOW {_SETTING}".encode()).fetchone() != (wanted,):
                if time.monotonic() > deadline:
                    raise Unavailable(f"{self.service} does not take over {_SETTING} = {wanted} in {PATIENCE:g} s")
                time.sleep(0.05)
