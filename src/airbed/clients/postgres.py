"""Superuser's connections to the databases of a bed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import psycopg

    from airbed.endpoints import PostgresEndpoint


def connect(
    endpoint: PostgresEndpoint, database: str | None = None, password: str | None = None
) -> psycopg.Connection[Any]:
    """Log in as superuser, autocommit; `database` is the endpoint's unless given."""
    import psycopg

    return psycopg.connect(
        host=endpoint.direct.host,
        port=endpoint.direct.port,
        user=endpoint.admin_user,
        password=password or endpoint.admin_password,
        dbname=database or endpoint.database,
        autocommit=True,
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
