"""What the Postgres kinds have in common: the databases, sessions that bear a fault's name, server-wide settings."""

from __future__ import annotations

import contextlib
import secrets
import time
from abc import ABC
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from airbed.errors import Unavailable, UsageError
from airbed.faults import holder
from airbed.faults.model import Fault, Plan

if TYPE_CHECKING:
    import psycopg
    from psycopg import sql

    from airbed.bed import Bed

Service = Literal["metadata", "shard-0", "shard-1", "shard-2", "warehouse"]
PATIENCE = 30.0  # seconds
LOG_PATIENCE = 5.0  # seconds
_POLL = 0.05


class PostgresFault(Fault, ABC):
    """A fault of one database server.

    Its plan has the size of the server's log, so that `log_lines` can count what was written since.
    """

    level = "platform"

    service: Service = Field(description="the database")

    def check(self, bed: Bed) -> None:
        """Refuse when the server does not answer."""
        ask(bed, self.service, "SELECT 1")

    def plan(self, bed: Bed, key: str) -> Plan:
        """The fault's name, and where the server's log ends."""
        log = bed.substrate.log_file(self.service)
        return {"key": key, "log": log.stat().st_size if log.exists() else 0}

    def undo(self, bed: Bed, plan: Plan) -> None:
        """End the fault's holder and its sessions."""
        release(bed, self.service, plan["key"])

    def fired(self, bed: Bed, plan: Plan) -> int | None:
        """What the holder has counted."""
        counted = holder.told(bed, plan["key"]).get("fired")
        return None if counted is None else int(counted)

    def log_lines(self, bed: Bed, plan: Plan, *words: str) -> int:
        """How many lines of the server's log since `plan` have one of these words.

        A client has its error before the log has the line, so the server is made to write one more, and that one is
        waited for. A server that cannot be asked now has written what it will.
        """
        import psycopg

        last = f"airbed reads to here: {secrets.token_hex(8)}"
        with contextlib.suppress(Unavailable, psycopg.Error):
            ask(bed, self.service, f"DO $$ BEGIN RAISE LOG '{last}'; END $$")
            deadline = time.monotonic() + LOG_PATIENCE
            while not any(last in line for line in self._log_since(bed, plan)) and time.monotonic() < deadline:
                time.sleep(0.02)
        return sum(any(word in line for word in words) for line in self._log_since(bed, plan))

    def _log_since(self, bed: Bed, plan: Plan) -> list[str]:
        log = bed.substrate.log_file(self.service)
        with log.open("rb") as file:
            # A log that was rotated in the meantime is read from its start.
            file.seek(plan["log"] if log.stat().st_size >= plan["log"] else 0)
            return file.read().decode(errors="replace").splitlines()


def superuser(bed: Bed, service: str, name: str = "airbed") -> psycopg.Connection[Any]:
    """A superuser's session (autocommit) called `name`; Unavailable when the server does not let it in."""
    import psycopg

    try:
        session = bed.database(service)
        session.execute("SELECT set_config('application_name', %s, false)", [name])
    except psycopg.OperationalError as error:
        raise Unavailable(f"{service} does not let airbed in: {_words(error)}; see: airbed status") from None
    return session


def ask(bed: Bed, service: str, query: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
    """The rows of one query, asked as superuser."""
    with superuser(bed, service) as session:
        answer = session.execute(query.encode(), values)
        return answer.fetchall() if answer.description else []


def login(bed: Bed, service: str, name: str = "airbed") -> psycopg.Connection[Any]:
    """A session (autocommit) of the role that tasks use; raises psycopg's own error."""
    from airbed.clients.postgres import open_session

    return open_session(bed.endpoints.databases[service].url(), connect_timeout=5, application_name=name)


def is_refused_for_lack_of_slots(error: Exception) -> bool:
    """Whether a login was refused because all connections are in use (SQLSTATE 53300, which libpq does not hand on)."""
    return any(words in str(error) for words in ("remaining connection slots are reserved", "too many clients already"))


def relation(dotted: str) -> sql.Identifier:
    """A table or index given as `schema.name`, quoted; names are taken in lower case as Postgres does."""
    from psycopg import sql

    return sql.Identifier(*dotted.lower().split("."))


def ensure_table_exists(bed: Bed, service: str, table: str) -> None:
    """Raise UsageError when there is no such table, with those that there are."""
    if ask(bed, service, "SELECT to_regclass(%s) IS NOT NULL", [table])[0][0]:
        return
    rows = ask(
        bed,
        service,
        "SELECT schemaname || '.' || tablename FROM pg_tables"
        " WHERE schemaname NOT IN ('pg_catalog', 'information_schema') ORDER BY 1 LIMIT 20",
    )
    has = ", ".join(name for (name,) in rows) or "none"
    raise UsageError(f"{service} has no table '{table}' (give schema.table); it has: {has}")


def release(bed: Bed, service: str, key: str) -> None:
    """End the holder of a fault and every session of its name; returns when the server has none."""
    holder.end(bed, key)
    end_sessions(bed, service, key)


def end_sessions(bed: Bed, service: str, key: str) -> None:
    """End every session of a fault: one that waits for a lock, or works, does not notice that its client is gone."""
    deadline = time.monotonic() + PATIENCE
    while is_up(bed, service) and ask(
        bed, service, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = %s", [key]
    ):
        if time.monotonic() > deadline:
            raise Unavailable(f"{service} still has sessions of fault {key} after {PATIENCE:g} s")
        time.sleep(_POLL)


def is_up(bed: Bed, service: str) -> bool:
    """Whether the server runs at all; one that is down holds nothing."""
    import socket

    address = bed.endpoints.databases[service].direct
    try:
        socket.create_connection((address.host, address.port), timeout=5).close()
    except ConnectionRefusedError:
        return False
    except OSError as error:
        raise Unavailable(f"{service} does not answer ({error}); see: airbed status") from None
    return True


def _words(error: Exception) -> str:
    return " ".join(str(error).split())
