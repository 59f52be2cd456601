"""Hold a database's connections open, as an application that leaks them does."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import psycopg

from airbed.faults.postgres import ask, is_refused_for_lack_of_slots, login

if TYPE_CHECKING:
    from airbed.bed import Bed
    from airbed.faults.holder.report import Report

_POLL = 0.2


def hold(bed: Bed, key: str, parameters: dict[str, Any], report: Report) -> None:
    """Take all but `leave` of the connections that non-superusers may have; those in use, as soon as they are closed.

    Tells `held`, `refused` (how often it was refused itself) and `target`.
    """
    service, leave = parameters["service"], parameters["leave"]
    row = ask(
        bed,
        service,
        "SELECT current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int"
        " - current_setting('reserved_connections')::int",
    )
    target = max(0, int(row[0][0]) - leave)
    held: list[psycopg.Connection[Any]] = []
    refused = 0
    while True:
        held = [each for each in held if _lives(each)]
        full = False
        # One more than fits shows that the next client will be refused.
        while len(held) < target or (leave == 0 and not refused):
            try:
                held.append(login(bed, service, key))
            except psycopg.OperationalError as error:
                full = is_refused_for_lack_of_slots(error)
                refused += full
                break
        if full or len(held) >= target:
            report.tell(state="holding", held=len(held), refused=refused, target=target)
        time.sleep(_POLL)


def _lives(connection: psycopg.Connection[Any]) -> bool:
    """Whether the server has not ended it; an idle server sends nothing but its farewell."""
    import select

    readable, _, _ = select.select([connection.fileno()], [], [], 0)
    if not readable:
        return True
    connection.close()
    return False
