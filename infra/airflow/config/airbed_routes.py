"""Let FastAPI analyse a route when it is first used, not each time that it is put into a router.

FastAPI 0.136 analyses the signature of an endpoint, and builds a validator for each of its parameters and results, in
the constructor of a route. Including a router in another one constructs all of its routes anew. Airflow's public routes
go through four routers, and most of them are never asked for on a bed: more than half of the CPU of an API server's
start. What is built in the end is what FastAPI builds, by its own code.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from enum import IntEnum
from typing import Any

# What the constructor works out. All else about a route is known without that.
BUILT = frozenset(
    {
        *("unique_id", "response_field", "response_fields", "stream_item_type", "stream_item_field"),
        *("dependant", "_flat_dependant", "_embed_body_fields", "body_field"),
        *("is_sse_stream", "is_json_stream", "app"),
    }
)
PENDING = "_airbed_pending"


def build_routes_late() -> Callable[[], None]:
    """Change fastapi.routing.APIRoute in this process; the returned function takes it back for new routes.

    Routes made before, and routes of classes derived from it, work as they did.
    """
    from fastapi.routing import APIRoute

    build = APIRoute.__init__
    signature = inspect.signature(build)

    def note(self: Any, *args: Any, **kwargs: Any) -> None:
        bound = signature.bind(self, *args, **kwargs)
        bound.apply_defaults()
        given = {name: value for name, value in bound.arguments.items() if name != "self"}
        vars(self).update(given | _known(given))
        # Lists may be changed in place afterwards; FastAPI would have read them before.
        vars(self)[PENDING] = {name: list(value) if type(value) is list else value for name, value in given.items()}

    def complete(self: Any) -> None:
        given = vars(self).pop(PENDING)
        meanwhile = {name: value for name, value in vars(self).items() if name not in BUILT}
        build(self, **given)
        vars(self).update(meanwhile)

    def read(self: Any, name: str) -> Any:
        """Called for what is not there."""
        if name in BUILT and PENDING in vars(self):
            complete(self)
            return getattr(self, name)
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}", name=name, obj=self)

    def write(self: Any, name: str, value: Any) -> None:
        if name in BUILT and PENDING in vars(self):
            complete(self)
        object.__setattr__(self, name, value)

    APIRoute.__init__ = note  # type: ignore[method-assign]
    APIRoute.__getattr__ = read  # type: ignore[attr-defined]
    APIRoute.__setattr__ = write  # type: ignore[method-assign]

    def take_back() -> None:
        APIRoute.__init__ = build  # type: ignore[method-assign]

    return take_back


def _known(given: dict[str, Any]) -> dict[str, Any]:
    """The attributes of a route that need no analysis, where they are not simply what the constructor was given."""
    from starlette.routing import compile_path, get_name

    endpoint, name, methods, status = given["endpoint"], given["name"], given["methods"], given["status_code"]
    regex, written, convertors = compile_path(given["path"])
    description = given["description"] or inspect.cleandoc(endpoint.__doc__ or "")
    return {
        "response_model": _response_model(given),
        "status_code": int(status) if isinstance(status, IntEnum) else status,
        "tags": given["tags"] or [],
        "responses": given["responses"] or {},
        "dependencies": list(given["dependencies"] or []),
        "description": description.split("\f")[0].strip(),
        "name": get_name(endpoint) if name is None else name,
        "methods": {method.upper() for method in (["GET"] if methods is None else methods)},
        "path_regex": regex,
        "path_format": written,
        "param_convertors": convertors,
    }


def _response_model(given: dict[str, Any]) -> Any:
    """What the endpoint says that it returns, where its route does not say."""
    from fastapi.datastructures import DefaultPlaceholder
    from fastapi.dependencies.utils import get_stream_item_type, get_typed_return_annotation
    from fastapi.routing import lenient_issubclass  # type: ignore[attr-defined]
    from starlette.responses import Response

    model = given["response_model"]
    if not isinstance(model, DefaultPlaceholder):
        return model
    returned = get_typed_return_annotation(given["endpoint"])
    if lenient_issubclass(returned, Response) or get_stream_item_type(returned) is not None:
        return None
    return returned
