"""The director's HTTP interface."""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable
from dataclasses import asdict

from aiohttp import web

from airbed.director.journal import KINDS, Journal
from airbed.director.requests import json_body, not_found
from airbed.director.rulebook import RuleBook
from airbed.director.rules import Instance, TaskRule
from airbed.director.s3book import S3RuleBook
from airbed.director.s3routes import S3Routes
from airbed.director.statsd import Metrics
from airbed.errors import UsageError

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_MAX_BODY_BYTES = 1 << 20


class Director:
    """The handlers, over one rule book, one journal and one set of metrics. A wrong request gets `{"error": line}`."""

    def __init__(self, rules: RuleBook, s3_rules: S3RuleBook, journal: Journal, metrics: Metrics) -> None:
        self.rules = rules
        self.s3_rules = s3_rules
        self.journal = journal
        self.metrics = metrics

    def routes(self) -> list[web.RouteDef]:
        """Every path, its method and its handler."""
        return [
            web.get("/health", self.health),
            web.post("/task-rules", self.add_rule),
            web.get("/task-rules", self.list_rules),
            web.delete("/task-rules", self.clear_rules),
            web.get("/task-rules/{id}", self.get_rule),
            web.delete("/task-rules/{id}", self.remove_rule),
            *S3Routes(self.s3_rules).routes(),
            web.post("/task", self.ask),
            web.post("/task/fired", self.fired),
            web.get("/journal", self.read_journal),
            web.delete("/journal", self.clear_journal),
            web.get("/metrics", self.read_metrics),
            web.delete("/metrics", self.reset_metrics),
        ]

    async def health(self, _: web.Request) -> web.Response:
        """Answer that the director does its work; the only path that needs no token."""
        sink = {"packets": self.metrics.packets, "invalid": self.metrics.invalid, "dropped": self.metrics.dropped}
        return web.json_response({"status": "ok", "statsd": sink})

    async def add_rule(self, request: web.Request) -> web.Response:
        """Keep a task rule; 201 with its `id`, 400 when it is not a valid one."""
        rule_id = self.rules.add(TaskRule.parse(await json_body(request)))
        return web.json_response(self.rules.get(rule_id), status=201)

    async def list_rules(self, _: web.Request) -> web.Response:
        """Every rule with its `fired`."""
        return web.json_response(self.rules.all())

    async def get_rule(self, request: web.Request) -> web.Response:
        """One rule with its `fired`."""
        rule = self.rules.get(request.match_info["id"])
        return not_found(request, "task rule") if rule is None else web.json_response(rule)

    async def remove_rule(self, request: web.Request) -> web.Response:
        """Forget one rule; 204."""
        return (
            web.Response(status=204) if self.rules.remove(request.match_info["id"]) else not_found(request, "task rule")
        )

    async def clear_rules(self, _: web.Request) -> web.Response:
        """Forget every rule; `{"removed": n}`."""
        return web.json_response({"removed": self.rules.clear()})

    async def ask(self, request: web.Request) -> web.Response:
        """An instance starts: `{"rules": [...]}` that may fire for it, each to be claimed at /task/fired first."""
        instance = Instance.parse(await json_body(request))
        matching = self.rules.matching(instance)
        self.journal.add("asked", **asdict(instance), rules=list(matching))
        fields = ("action", "when", "exception", "message", "where")
        return web.json_response(
            {"rules": [{"id": key, **{name: getattr(rule, name) for name in fields}} for key, rule in matching.items()]}
        )

    async def fired(self, request: web.Request) -> web.Response:
        """An instance is about to have a fault: `{"fire": true}` and counted, or false: the rule is spent or gone."""
        body = await json_body(request)
        instance = Instance.parse(body)
        rule_id = body.get("rule") if isinstance(body, dict) else None
        rule = self.rules.claim(str(rule_id), instance)
        if rule is None:
            self.journal.add("refused", **asdict(instance), rule=rule_id)
        else:
            detail = {"exception": rule.exception, "message": rule.message} if rule.action == "raise" else {}
            self.journal.add("fired", **asdict(instance), rule=rule_id, action=rule.action, when=rule.when, **detail)
        return web.json_response({"fire": rule is not None})

    async def read_journal(self, request: web.Request) -> web.Response:
        """`{"entries": [...]}`; the query may have kind, dag_id, run_id, task_id, rule, after (seq) and limit."""
        query = dict(request.query)
        after, limit = _number(query, "after"), _number(query, "limit")
        unknown = sorted(set(query) - {"kind", "dag_id", "run_id", "task_id", "rule"})
        if unknown:
            raise UsageError(
                f"journal: unknown filter {unknown[0]!r}; known: kind, dag_id, run_id, task_id, rule, after, limit"
            )
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
