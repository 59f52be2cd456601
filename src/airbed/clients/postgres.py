"""Connections to the databases of a bed; nothing of the caller's Postgres settings is read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airbed.clients.environment import without_the_callers

if TYPE_CHECKING:
    import psycopg

    from airbed.endpoints import PostgresEndpoint


def open_session(url: str = "", **options: Any) -> psycopg.Connection[Any]:
    """`psycopg.connect`, autocommit; raises psycopg's own errors."""
    import psycopg

    with without_the_callers():
        return psycopg.connect(url, autocommit=True, **options)


def connect(
    endpoint: PostgresEndpoint, database: str | None = None, password: str | None = None
) -> psycopg.Connection[Any]:
    """Log in as superuser, autocommit; `database` is the endpoint's unless given."""
    return open_session(
        host=endpoint.direct.host,
        port=endpoint.direct.port,
        user=endpoint.admin_user,
        password=password or endpoint.admin_password,
        dbname=database or endpoint.database,
        connect_timeout=5,
    )


def accepts(endpoint: PostgresEndpoint, password: str | None = None) -> bool:
    """Whether the server lets the superuser in."""
    import psycopg

    try:
        with connect(endpoint, "postgres", password):
            return True
    except psycopg.OperationalError:
        return False
