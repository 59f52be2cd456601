"""What the handlers of the HTTP interface share."""

from __future__ import annotations

import json
from typing import Any

from aiohttp import web

from airbed.errors import UsageError


async def json_body(request: web.Request) -> Any:
    """The body's JSON; UsageError when it is none."""
    try:
        return json.loads(await request.read())
    except ValueError as error:
        raise UsageError(f"{request.method} {request.path}: the body is not JSON ({error})") from error


def not_found(request: web.Request, what: str) -> web.Response:
    """404 for a path whose `id` names nothing."""
    return web.json_response({"error": f"no {what} {request.match_info['id']!r}"}, status=404)
