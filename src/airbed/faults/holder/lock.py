"""Hold a lock on a table in an open transaction, as a forgotten session or a long migration does."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from psycopg import sql

from airbed.errors import Unavailable
from airbed.faults.postgres import relation, superuser

if TYPE_CHECKING:
    from airbed.bed import Bed
    from airbed.faults.holder.report import Report

_POLL = 0.02
# Who waits for the backend `%s`, each wait once: a backend and the moment its statement began.
WAITERS = (
    "SELECT pid, query_start FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND backend_type = 'client backend'"
    " AND %s = ANY (pg_blocking_pids(pid))"
)


def hold(bed: Bed, key: str, parameters: dict[str, Any], report: Report) -> None:
    """Take the lock on `table` in `mode` and keep it; tells how many statements have waited for it (`fired`)."""
    service, table, mode = parameters["service"], parameters["table"], parameters["mode"]
    with superuser(bed, service, key) as session, superuser(bed, service, key) as watch:
        session.execute("SET lock_timeout = '15s'")
        session.execute("BEGIN")
        session.execute(sql.SQL("LOCK TABLE {} IN {} MODE").format(relation(table), sql.SQL(mode)))
        report.tell(state="holding", fired=0, backend=session.info.backend_pid)
        seen: set[Any] = set()
        while watch.execute("SELECT 1 FROM pg_locks WHERE pid = %s", [session.info.backend_pid]).fetchone():
            seen.update(watch.execute(WAITERS, [session.info.backend_pid]).fetchall())
            report.tell(fired=len(seen))
            time.sleep(_POLL)
        raise Unavailable(f"{service} has ended the session that held the lock on {table}")
