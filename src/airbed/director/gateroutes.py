"""The director's HTTP interface to the gates, for users and for tasks."""

from __future__ import annotations

from aiohttp import web

from airbed.director import fields as read
from airbed.director.gates import Gate, GateBook
from airbed.director.requests import json_body, not_found
from airbed.director.selection import Instance
from airbed.errors import UsageError

# Shorter than what any client waits for an answer, so that a dead director is noticed soon.
_POLL_SECONDS = 5.0


class GateRoutes:
    """The handlers, over one book of gates."""

    def __init__(self, gates: GateBook) -> None:
        self._gates = gates

    def routes(self) -> list[web.RouteDef]:
        """Every path, its method and its handler."""
        return [
            web.post("/gates", self.add),
            web.get("/gates", self.list),
            web.delete("/gates", self.clear),
            web.get("/gates/{id}", self.get),
            web.delete("/gates/{id}", self.remove),
            web.post("/gates/{id}/open", self.open),
            web.post("/gates/{id}/arrive", self.arrive),
        ]

    async def add(self, request: web.Request) -> web.Response:
        """Put a gate up, in the place of one of the same name; 201, 400 when it is not a valid one."""
        gate = Gate.parse(await json_body(request))
        self._gates.add(gate)
        return web.json_response(gate.view(), status=201)

    async def list(self, _: web.Request) -> web.Response:
        """Every gate with its arrivals."""
        return web.json_response([gate.view() for gate in self._gates.all()])

    async def get(self, request: web.Request) -> web.Response:
        """One gate with its arrivals."""
        gate = self._gates.get(request.match_info["id"])
        return not_found(request, "gate") if gate is None else web.json_response(gate.view())

    async def remove(self, request: web.Request) -> web.Response:
        """Take a gate away; whoever waits there goes on; 204."""
        if self._gates.remove(request.match_info["id"]):
            return web.Response(status=204)
        return not_found(request, "gate")

    async def clear(self, _: web.Request) -> web.Response:
        """Take every gate away; `{"removed": n}`."""
        return web.json_response({"removed": sum(self._gates.remove(gate.name) for gate in self._gates.all())})

    async def open(self, request: web.Request) -> web.Response:
        """Let the first `count` arrivals through, or all without it; twice does no more than once."""
        body = read.as_object(await json_body(request), "gate") if request.can_read_body else {}
        count = read.optional_integer(body, "count", 1, "gate")
        gate = self._gates.open(request.match_info["id"], count)
        return not_found(request, "gate") if gate is None else web.json_response(gate.view())

    async def arrive(self, request: web.Request) -> web.Response:
        """An instance is at the gate: `{"open": true}` when it may go on, false when it must ask again at once.

        Counted at the first time only, so that whoever lost the connection, or the director, just asks again. A gate
        that is gone is open.
        """
        instance = Instance.parse(await json_body(request))
        name = request.match_info["id"]
        if self._gates.arrive(name, instance) is None:
            if self._gates.get(name) is None:
                return web.json_response({"open": True})
            raise UsageError(f"gate {name!r} is not for {instance.dag_id}.{instance.task_id}")
        return web.json_response({"open": await self._gates.wait(name, instance, _POLL_SECONDS) is not False})
