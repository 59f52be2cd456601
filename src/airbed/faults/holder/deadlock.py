"""Run into whoever touches a table in such a way that both wait for each other, and let the other one be the victim."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg import sql

from airbed.faults.holder.lock import WAITERS
from airbed.faults.postgres import ask, relation, superuser

if TYPE_CHECKING:
    from airbed.bed import Bed
    from airbed.faults.holder.report import Report

_POLL = 0.01


def hold(bed: Bed, key: str, parameters: dict[str, Any], report: Report) -> None:
    """Take the index of `table` that each of its statements opens, then the table itself once somebody waits.

    Every statement locks the table first and its indexes after it; a maintenance script that takes the index first and
    the table second closes the circle. Postgres ends the one whose deadlock_timeout is over first: this side's is an
    hour. After `times` victims the locks are given back, and nothing happens any more. Tells `fired`: the transactions
    that were ended.
    """
    service, table, times = parameters["service"], parameters["table"], parameters["times"]
    fired = 0
    with superuser(bed, service, key) as session, superuser(bed, service, key) as watch:
        session.execute("SET deadlock_timeout = '1h'")
        session.execute("SET lock_timeout = '15s'")
        session.execute("BEGIN")
        _take_index(session, parameters["index"])
        report.tell(state="holding", fired=0)
        while fired < times:
            session.execute("SAVEPOINT armed")
            while not (victims := watch.execute(WAITERS, [session.info.backend_pid]).fetchall()):
                time.sleep(_POLL)
            try:
                session.execute(sql.SQL("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE").format(relation(table)))
                # It was granted, so whoever had the table and waited for the index has it no more.
                fired += len(victims)
            except psycopg.errors.LockNotAvailable:
                # They had looked for a deadlock before there was one, and each looks only once: let them go on.
                session.execute("ROLLBACK")
                session.execute("BEGIN")
                _take_index(session, parameters["index"])
                continue
            # Gives the table back and keeps the index: the next one runs into it.
            session.execute("ROLLBACK TO SAVEPOINT armed")
            report.tell(fired=fired)
        session.execute("ROLLBACK")
    # The holder stays: that it was there, and how often it hit, is asked later.
    while True:
        time.sleep(3600)


def index_of(bed: Bed, service: str, table: str) -> str | None:
    """The index by which the circle is closed: the table's primary key, else any; None when it has none."""
    rows = ask(
        bed,
        service,
        "SELECT n.nspname || '.' || c.relname FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid"
        " JOIN pg_namespace n ON n.oid = c.relnamespace"
        " WHERE i.indrelid = to_regclass(%s) ORDER BY i.indisprimary DESC, 1 LIMIT 1",
        [table],
    )
    return str(rows[0][0]) if rows else None


def _take_index(session: psycopg.Connection[Any], index: str) -> None:
    """ACCESS EXCLUSIVE on an index alone: moving it to where it is takes that, and moves nothing."""
    place = session.execute(
        """
        SELECT t.spcname FROM pg_tablespace t WHERE t.oid = (
            SELECT coalesce(nullif(c.reltablespace, 0), d.dattablespace) FROM pg_class c, pg_database d
             WHERE c.oid = %s::regclass AND d.datname = current_database())
        """,
        [index],
    ).fetchone()
    assert place is not None
    move = sql.SQL("ALTER INDEX {} SET TABLESPACE {}")
    session.execute(move.format(relation(index), sql.Identifier(place[0])))
