"""The director's HTTP interface to the S3 rules."""

from __future__ import annotations

from aiohttp import web

from airbed.director import fields as read
from airbed.director.requests import json_body, not_found
from airbed.director.s3book import S3RuleBook
from airbed.director.s3rules import S3Rule


class S3Routes:
    """The handlers, over one book of S3 rules."""

    def __init__(self, rules: S3RuleBook) -> None:
        self._rules = rules

    def routes(self) -> list[web.RouteDef]:
        """Every path, its method and its handler."""
        return [
            web.post("/s3-rules", self.add),
            web.get("/s3-rules", self.list),
            web.delete("/s3-rules", self.clear),
            web.get("/s3-rules/{id}", self.get),
            web.delete("/s3-rules/{id}", self.remove),
        ]

    async def add(self, request: web.Request) -> web.Response:
        """Keep an S3 rule, under the `id` of the client or a new one; 201, 400 when it is not a valid one."""
        fields = read.as_object(await json_body(request), "S3 rule")
        rule_id = read.optional_id(fields, "S3 rule")
        rule = S3Rule.parse({name: value for name, value in fields.items() if name != "id"})
        return web.json_response(self._rules.get(self._rules.add(rule, rule_id)), status=201)

    async def list(self, _: web.Request) -> web.Response:
        """Every S3 rule with its `hits` and `fired`."""
        return web.json_response(self._rules.all())

    async def get(self, request: web.Request) -> web.Response:
        """One S3 rule with its `hits` and `fired`."""
        rule = self._rules.get(request.match_info["id"])
        return not_found(request, "S3 rule") if rule is None else web.json_response(rule)

    async def remove(self, request: web.Request) -> web.Response:
        """Forget one S3 rule; 204."""
        if self._rules.remove(request.match_info["id"]):
            return web.Response(status=204)
        return not_found(request, "S3 rule")

    async def clear(self, _: web.Request) -> web.Response:
        """Forget every S3 rule; `{"removed": n}`."""
        return web.json_response({"removed": self._rules.clear()})
