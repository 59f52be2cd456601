"""`postgres.disk-full`: the disk that a database lies on is full."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from airbed import topology
from airbed.errors import Unavailable, UsageError
from airbed.faults import holder
from airbed.faults.model import Plan
from airbed.faults.postgres import PATIENCE, PostgresFault, ask, superuser

if TYPE_CHECKING:
    import psycopg

    from airbed.bed import Bed

_log = logging.getLogger("airbed")


class DiskFull(PostgresFault):
    """All that a database writes meets a real ENOSPC: `No space left on device` (SQLSTATE 53100).

    Its tables, its indexes and its temporary files are moved to a disk of their own with `free_mb` left (a tmpfs in
    memory). A page that has room takes rows still, as in production. Only the write-ahead log stays where it is, so
    that the server itself goes on. Sessions that are open already write temporary files where they did before.
    Needs CAP_SYS_ADMIN or user namespaces on this machine.
    """

    kind: ClassVar[str] = "postgres.disk-full"
    summary: ClassVar[str] = "the disk of a database is full; loads, sorts and new tables fail (53100)"
    example: ClassVar[dict[str, Any]] = {"service": "warehouse"}

    free_mb: float = Field(0, ge=0, le=1024, description="room left on the disk, in MB")
    work_mem_kb: int | None = Field(
        None,
        ge=64,
        description="memory of a sort or join in kB, so that a sample's needs the disk as a real one's does",
    )

    def check(self, bed: Bed) -> None:
        """Refuse when this user can have no disk of their own, or the database lies on a full one already."""
        from airbed.faults.holder import disk

        found = ask(bed, self.service, "SELECT spcname FROM pg_tablespace WHERE spcname LIKE 'airbed-%%'", [])
        if found:
            raise UsageError(f"the disk of {self.service} is full already: fault {found[0][0].removeprefix('airbed-')}")
        disk.ensure_possible()
        disk.ensure_memory(bed, self.service, self.free_mb)

    def apply(self, bed: Bed, plan: Plan) -> None:
        """Start the holder; the disk is full when this returns."""
        parameters = {"service": self.service, "free_mb": self.free_mb, "work_mem_kb": self.work_mem_kb}
        holder.start(bed, plan["key"], "disk", parameters)

    def undo(self, bed: Bed, plan: Plan) -> None:
        """Move everything back, then let the disk go."""
        from airbed.faults.holder import disk

        key = plan["key"]
        deadline = time.monotonic() + PATIENCE
        # One that is still moving the tables is not stopped half-way: it holds what it has moved.
        while holder.alive(bed, key) and holder.told(bed, key).get("state") not in ("holding", "failed"):
            _wait(deadline, f"the holder of fault {key} neither holds nor gives up")
        with superuser(bed, self.service) as session:
            # Not on the way back to the full disk.
            for setting in (
                "default_tablespace = ''",
                "temp_tablespaces = ''",
                "lock_timeout = '15s'",
                "deadlock_timeout = '100ms'",
            ):
                session.execute(f"SET {setting}".encode())
            database = bed.endpoints.databases[self.service].database
            for name in disk.settings(self.work_mem_kb):
                session.execute(f'ALTER DATABASE "{database}" RESET {name}'.encode())
            while session.execute("SELECT 1 FROM pg_tablespace WHERE spcname = %s", [key]).fetchone():
                problem = self._give_back(bed, session, key)
                if problem:
                    _wait(deadline, f"the full disk of {self.service} is still in use: {problem}")
            # A server that is killed replays what happened since its last checkpoint: the disk must be there for that.
            session.execute("CHECKPOINT")
        super().undo(bed, plan)
        disk.forget(bed, key)

    def fired(self, bed: Bed, plan: Plan) -> int | None:
        """How many statements the server has refused for lack of room."""
        return self.log_lines(bed, plan, "No space left on device")

    def _give_back(self, bed: Bed, session: psycopg.Connection[Any], key: str) -> str | None:
        """One attempt to move everything back and to drop the tablespace; what is in the way, or None."""
        import psycopg

        from airbed.faults.holder import disk

        if not holder.alive(bed, key):
            self._make_anew(bed, session, key)
        try:
            disk.move(session, key, "pg_default")
            session.execute(f'DROP TABLESPACE "{key}"'.encode())
        except (
            psycopg.errors.DeadlockDetected,
            psycopg.errors.LockNotAvailable,
            psycopg.errors.ObjectNotInPrerequisiteState,
        ) as error:
            return " ".join(str(error).split())
        return None

    def _make_anew(self, bed: Bed, session: psycopg.Connection[Any], key: str) -> None:
        """Drop the tables that were lost with their disk, and make those of the bed again."""
        lost = session.execute(
            """
            SELECT format('%%I.%%I', n.nspname, c.relname)
              FROM pg_class c
              JOIN pg_namespace n ON n.oid = c.relnamespace
              JOIN pg_tablespace t ON t.oid = c.reltablespace
             WHERE t.spcname = %s AND c.relkind IN ('r', 'p', 'm') AND n.nspname !~ '^pg_'
            """,
            [key],
        ).fetchall()
        if not lost:
            return
        statements = topology.database(self.service).tables_sql(bed.settings.resources.infra)
        if statements is None:
            raise Unavailable(f"the data of {self.service} was lost with its disk; make the bed anew: airbed down")
        with session.transaction():
            for (table,) in lost:
                session.execute(f"DROP TABLE IF EXISTS {table} CASCADE".encode())
            session.execute(statements.encode())
        _log.warning("the full disk of %s ended with its holder: its tables were made anew, empty", self.service)


def _wait(deadline: float, problem: str) -> None:
    if time.monotonic() > deadline:
        raise Unavailable(f"{problem}, after {PATIENCE:g} s")
    time.sleep(0.05)
