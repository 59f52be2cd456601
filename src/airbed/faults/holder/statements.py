"""Cancel statements, or end their sessions, as an administrator or a watchdog does."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from psycopg import sql

from airbed.faults.postgres import relation, superuser

if TYPE_CHECKING:
    from airbed.bed import Bed
    from airbed.faults.holder.report import Report

_POLL = 0.01
_RUNNING = (
    "SELECT pid, query_start FROM pg_stat_activity WHERE state = 'active' AND usename = %s AND query ~* %s"
    " AND (%s::int IS NULL OR %s = ANY (pg_blocking_pids(pid)))"
)


def hold(bed: Bed, key: str, parameters: dict[str, Any], report: Report) -> None:
    """Kill statements of the tasks' role that match `statement`, `times` in all; tells `fired`.

    With `table`, statements on that table are kept waiting until their turn has come, so that quick ones are met too.
    """
    service, table = parameters["service"], parameters["table"]
    role = bed.endpoints.databases[service].user
    kill = "pg_terminate_backend" if parameters["mode"] == "terminate" else "pg_cancel_backend"
    seen: set[Any] = set()
    with superuser(bed, service, key) as session, superuser(bed, service, key) as watch:
        if table:
            session.execute("SET lock_timeout = '15s'")
            session.execute("BEGIN")
            session.execute(sql.SQL("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE").format(relation(table)))
        blocker = session.info.backend_pid if table else None
        report.tell(state="holding", fired=0)
        while len(seen) < parameters["times"]:
            found = watch.execute(_RUNNING, [role, parameters["statement"], blocker, blocker]).fetchall()
            for pid, since in found:
                # A cancelled statement is in the list until it has noticed.
                if (pid, since) not in seen and len(seen) < parameters["times"]:
                    watch.execute(f"SELECT {kill}(%s)".encode(), [pid])
                    seen.add((pid, since))
            report.tell(fired=len(seen))
            time.sleep(_POLL)
        if table:
            session.execute("ROLLBACK")
    while True:
        time.sleep(3600)
