"""The director's HTTP interface to the task rules, for users and for tasks."""

from __future__ import annotations

from dataclasses import asdict

from aiohttp import web

from airbed.director import fields as read
from airbed.director.gates import GateBook
from airbed.director.journal import Journal
from airbed.director.requests import json_body, not_found
from airbed.director.rulebook import RuleBook
from airbed.director.rules import TaskRule
from airbed.director.selection import Instance


class TaskRoutes:
    """The handlers, over one rule book, its gates and its journal."""

    def __init__(self, rules: RuleBook, gates: GateBook, journal: Journal) -> None:
        self._rules = rules
        self._gates = gates
        self._journal = journal

    def routes(self) -> list[web.RouteDef]:
        """Every path, its method and its handler."""
        return [
            web.post("/task-rules", self.add),
            web.get("/task-rules", self.list),
            web.delete("/task-rules", self.clear),
            web.get("/task-rules/{id}", self.get),
            web.delete("/task-rules/{id}", self.remove),
            web.post("/task", self.ask),
            web.post("/task/fired", self.fired),
        ]

    async def add(self, request: web.Request) -> web.Response:
        """Keep a task rule, under the `id` of the client or a new one; 201, 400 when it is not a valid one."""
        fields = read.as_object(await json_body(request), "task rule")
        rule_id = read.optional_id(fields, "task rule")
        rule = TaskRule.parse({name: value for name, value in fields.items() if name != "id"})
        return web.json_response(self._rules.get(self._rules.add(rule, rule_id)), status=201)

    async def list(self, _: web.Request) -> web.Response:
        """Every rule with its `fired`."""
        return web.json_response(self._rules.all())

    async def get(self, request: web.Request) -> web.Response:
        """One rule with its `fired`."""
        rule = self._rules.get(request.match_info["id"])
        return not_found(request, "task rule") if rule is None else web.json_response(rule)

    async def remove(self, request: web.Request) -> web.Response:
        """Forget one rule; 204."""
        if self._rules.remove(request.match_info["id"]):
            return web.Response(status=204)
        return not_found(request, "task rule")

    async def clear(self, _: web.Request) -> web.Response:
        """Forget every rule; `{"removed": n}`."""
        return web.json_response({"removed": self._rules.clear()})

    async def ask(self, request: web.Request) -> web.Response:
        """An instance starts: the `rules` that may fire for it, each to be claimed first, and the `gates` it may meet.

        With `"again": true` (after a gate) only the rules are looked up, and the journal is left alone. With
        `"resumed": true` its try goes on after a trigger: what fired before the first part is left out.
        """
        body = read.as_object(await json_body(request), "task instance")
        instance = Instance.parse(body)
        matching = self._rules.matching(instance, resumed=body.get("resumed") is True)
        rules = [{"id": key, **rule.offer()} for key, rule in matching.items()]
        if body.get("again") is True:
            return web.json_response({"rules": rules, "gates": []})
        gates = self._gates.matching(instance)
        names = [gate.name for gate in gates]
        self._journal.add("asked", **asdict(instance), rules=list(matching), gates=names)
        offered = [{"name": gate.name, "when": gate.when, "where": gate.where} for gate in gates]
        return web.json_response({"rules": rules, "gates": offered})

    async def fired(self, request: web.Request) -> web.Response:
        """An instance is about to have a fault: `{"fire": true}` and counted, or false: not its turn, spent or gone."""
        body = read.as_object(await json_body(request), "task instance")
        instance, rule_id = Instance.parse(body), str(body.get("rule"))
        resumed = body.get("resumed") is True
        goes_on = resumed and self._rules.has_met(rule_id, instance)
        rule, position = self._rules.claim(rule_id, instance, resumed=resumed)
        if goes_on:
            # Said and counted in the first part of the try.
            return web.json_response({"fire": rule is not None})
        if position is not None:
            self._journal.add("arrived", **asdict(instance), rule=rule_id, position=position)
        if rule is not None:
            told = {"action": rule.action, "when": rule.when, **rule.details()}
            self._journal.add("fired", **asdict(instance), rule=rule_id, **told)
        elif position is None:
            self._journal.add("refused", **asdict(instance), rule=rule_id)
        return web.json_response({"fire": rule is not None})
