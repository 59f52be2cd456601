"""The director's HTTP interface."""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable
from pathlib import Path

from aiohttp import web

from airbed.director.gateroutes import GateRoutes
from airbed.director.gates import GateBook
from airbed.director.journal import KINDS, Journal
from airbed.director.rulebook import RuleBook
from airbed.director.s3book import S3RuleBook
from airbed.director.s3routes import S3Routes
from airbed.director.statsd import Metrics
from airbed.director.taskroutes import TaskRoutes
from airbed.errors import UsageError

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_MAX_BODY_BYTES = 1 << 20
_FILTERS = ("kind", "dag_id", "run_id", "task_id", "rule", "gate", "bucket", "key")


class Director:
    """What the director keeps: rules, gates and journal in its folder, metrics in memory; and its handlers.

    A wrong request gets `{"error": line}`.
    """

    def __init__(self, folder: Path, journal_limit: int = 10_000) -> None:
        self.metrics = Metrics()
        self.journal = Journal(folder / "journal.jsonl", journal_limit)
        self.rules = RuleBook(folder / "task-rules.json")
        self.gates = GateBook(folder / "gates.json", self.journal)
        self.s3_rules = S3RuleBook(folder)

    def routes(self) -> list[web.RouteDef]:
        """Every path, its method and its handler."""
        return [
            web.get("/health", self.health),
            *TaskRoutes(self.rules, self.gates, self.journal).routes(),
            *GateRoutes(self.gates).routes(),
            *S3Routes(self.s3_rules).routes(),
            web.get("/journal", self.read_journal),
            web.delete("/journal", self.clear_journal),
            web.get("/metrics", self.read_metrics),
            web.delete("/metrics", self.reset_metrics),
        ]

    async def health(self, _: web.Request) -> web.Response:
        """Answer that the director does its work; the only path that needs no token."""
        sink = {"packets": self.metrics.packets, "invalid": self.metrics.invalid, "dropped": self.metrics.dropped}
        return web.json_response({"status": "ok", "statsd": sink})

    async def read_journal(self, request: web.Request) -> web.Response:
        """`{"entries": [...]}`; the query may have one of each filter, after (a seq) and limit."""
        query = dict(request.query)
        after, limit = _number(query, "after"), _number(query, "limit")
        unknown = sorted(set(query) - set(_FILTERS))
        if unknown:
            raise UsageError(f"journal: unknown filter {unknown[0]!r}; known: {', '.join(_FILTERS)}, after, limit")
        if query.get("kind", KINDS[0]) not in KINDS:
            raise UsageError(f"journal: unknown kind {query['kind']!r}; known: {', '.join(KINDS)}")
        return web.json_response({"entries": self.journal.entries(after=after or 0, limit=limit, **query)})

    async def clear_journal(self, _: web.Request) -> web.Response:
        """Forget the journal; 204."""
        self.journal.clear()
        return web.Response(status=204)

    async def read_metrics(self, request: web.Request) -> web.Response:
        """`{name: {"type", "count", "sum", "last", ...}}` of the names that start with the query's `prefix`."""
        return web.json_response(self.metrics.read(request.query.get("prefix", "")))

    async def reset_metrics(self, _: web.Request) -> web.Response:
        """Forget every metric; 204."""
        self.metrics.reset()
        return web.Response(status=204)


def create_app(director: Director, token: str) -> web.Application:
    """The application; everything but GET /health asks for `Authorization: Bearer <token>`."""

    @web.middleware
    async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
        given = request.headers.get("Authorization", "")
        if request.path != "/health" and not hmac.compare_digest(given.encode(), f"Bearer {token}".encode()):
            return web.json_response({"error": "director: the bearer token is missing or wrong"}, status=401)
        try:
            return await handler(request)
        except UsageError as error:
            return web.json_response({"error": str(error)}, status=400)

    app = web.Application(middlewares=[guard], client_max_size=_MAX_BODY_BYTES)
    app.add_routes(director.routes())
    return app


def _number(query: dict[str, str], name: str) -> int | None:
    value = query.pop(name, None)
    if value is not None and not value.isdecimal():
        raise UsageError(f"journal: {name} must be a whole number, got {value!r}")
    return None if value is None else int(value)
