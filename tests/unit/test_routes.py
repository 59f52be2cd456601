"""Routes that FastAPI analyses late are those that it analyses at once."""

from __future__ import annotations

import importlib.util
from collections.abc import AsyncIterator, Callable, Iterator
from copy import copy, deepcopy
from enum import IntEnum
from pathlib import Path
from typing import Annotated, Any

import pytest
from fastapi import APIRouter, Depends, FastAPI, Header, Query, Response
from fastapi.dependencies.utils import get_dependant
from fastapi.routing import APIRoute
from pydantic import BaseModel
from starlette.testclient import TestClient

FILE = Path(__file__).parents[2] / "infra/airflow/config/airbed_routes.py"
SPEC = importlib.util.spec_from_file_location("airbed_routes_under_test", FILE)
assert SPEC is not None and SPEC.loader is not None
airbed_routes = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(airbed_routes)


class Item(BaseModel):
    name: str
    size: int = 3


class Status(IntEnum):
    CREATED = 201


def token(x_token: Annotated[str, Header()] = "none") -> str:
    return x_token


class Marked(APIRoute):
    """Sets an attribute of its own, as Airflow's class for the execution API does."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.needs = len(self.dependencies)


@pytest.fixture
def late(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], None]]:
    """Routes are built late from here on; call it to have them built at once again."""
    take_back = airbed_routes.build_routes_late()
    yield take_back
    take_back()
    for name in ("__getattr__", "__setattr__"):
        delattr(APIRoute, name)


def make_app() -> FastAPI:
    """Routers in routers, with parameters of every kind, results said and guessed, streams, plain responses."""
    inner = APIRouter(prefix="/items", tags=["items"], dependencies=[Depends(token)], route_class=Marked)

    @inner.get("/{name}", responses={404: {"model": Item}})
    def one(name: str, size: Annotated[int, Query(ge=1)] = 1) -> Item:
        """Give one.\f Not shown."""
        return Item(name=name, size=size)

    @inner.post("", status_code=Status.CREATED, response_model=list[Item])
    def many(items: list[Item], sender: Annotated[str, Depends(token)]) -> Any:
        return [*items, {"name": sender}]

    @inner.get("/of/{owner}/plain", response_class=Response, include_in_schema=False)
    def plain(owner: str) -> Response:
        return Response(owner)

    @inner.get("/a/stream")
    async def stream() -> AsyncIterator[Item]:
        yield Item(name="a")

    middle = APIRouter(prefix="/{tenant}", dependencies=[Depends(token)])
    middle.include_router(inner, responses={418: {"description": "teapot"}})
    app = FastAPI(title="test")
    app.include_router(middle, prefix="/v1", tags=["v1"])
    app.include_router(inner, prefix="/v2", deprecated=True)
    return app


def described(value: Any) -> Any:
    """What a dependant, with what it depends on, consists of."""
    if value is None:
        return None
    fields = (value.path_params, value.query_params, value.header_params, value.cookie_params, value.body_params)
    names = [[(each.name, each.alias, each.mode, repr(each.field_info.annotation)) for each in some] for some in fields]
    return [getattr(value.call, "__name__", None), value.path, names, [described(each) for each in value.dependencies]]


def attributes(app: FastAPI) -> list[dict[str, Any]]:
    """All about each route that can be compared."""
    found = []
    for route in app.routes:
        if isinstance(route, APIRoute):
            dependant = described(route.dependant)
            rest = {name: repr(value) for name, value in vars(route).items() if name not in airbed_routes.BUILT}
            plain = {name: rest.pop(name).partition(" at 0x")[0] for name in ("endpoint", "dependencies")}
            for name in ("dependency_overrides_provider", "generate_unique_id_function", "responses", "response_model"):
                rest.pop(name)
            found.append({**rest, **plain, "dependant": dependant, "unique_id": route.unique_id})
    return found


def answers(app: FastAPI) -> list[Any]:
    """What a client gets, wrong requests included."""
    client = TestClient(app)
    asked = [
        client.get("/v1/me/items/a?size=2", headers={"x-token": "t"}),
        client.get("/v1/me/items/a?size=0"),
        client.post("/v1/me/items", json=[{"name": "b"}], headers={"x-token": "t"}),
        client.post("/v2/items", json=[{"size": "no"}]),
        client.get("/v2/items/of/o/plain"),
        client.get("/v2/items/a/stream"),
        client.get("/v3"),
        client.delete("/v2/items/a"),
    ]
    return [(each.status_code, each.headers.get("content-type"), each.text) for each in asked]


def test_late_routes_are_those_that_are_built_at_once(late: Callable[[], None]) -> None:
    made_late = make_app()
    assert answers(made_late) and made_late.openapi()
    late()
    made_at_once = make_app()

    assert made_late.openapi() == made_at_once.openapi()
    assert attributes(made_late) == attributes(made_at_once)
    assert answers(made_late) == answers(made_at_once)


def test_only_what_is_used_is_built(late: Callable[[], None]) -> None:
    app = make_app()
    routes = [each for each in app.routes if isinstance(each, APIRoute)]
    assert len(routes) == 8
    assert all(airbed_routes.PENDING in vars(each) for each in routes)

    assert TestClient(app).get("/v1/me/items/a").status_code == 200

    assert [each.path for each in routes if airbed_routes.PENDING not in vars(each)] == ["/v1/{tenant}/items/{name}"]


def test_what_was_changed_meanwhile_stays(late: Callable[[], None]) -> None:
    def endpoint(a: str) -> None: ...

    route = Marked("/{a}", endpoint, dependencies=[Depends(token)])
    route.dependencies.append(Depends(endpoint))
    route.tags = ["new"]
    other = get_dependant(path="/", call=token)
    route.dependant = other

    assert route.dependant is other
    assert (len(route.dependencies), route.tags, route.needs) == (2, ["new"], 1)
    # FastAPI has looked at the dependencies when the route was made.
    assert len(route._flat_dependant.header_params) == 1


@pytest.mark.parametrize("take", [copy, deepcopy])
def test_a_copy_builds_itself(late: Callable[[], None], take: Callable[[APIRoute], APIRoute]) -> None:
    def endpoint(a: str) -> None: ...

    route = APIRoute("/{a}", endpoint)
    copied = take(route)

    assert [each.name for each in copied.dependant.path_params] == ["a"]
    assert airbed_routes.PENDING in vars(route)
    assert [each.name for each in route.dependant.path_params] == ["a"]


def test_what_there_is_not_is_an_attribute_error(late: Callable[[], None]) -> None:
    def endpoint() -> None: ...

    with pytest.raises(AttributeError, match="'APIRoute' object has no attribute 'nothing'"):
        _ = APIRoute("/", endpoint).nothing  # type: ignore[attr-defined]
