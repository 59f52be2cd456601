"""A logged-in HTTP session with Airflow's API server, whose errors are airbed's one-liners."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx

from airbed.endpoints import AirflowEndpoint
from airbed.errors import AirbedError, Unavailable, UsageError


class ApiError(AirbedError):
    """The API refused a request. `status` is the HTTP status, `detail` its reason as one line."""

    def __init__(self, message: str, status: int, detail: str) -> None:
        super().__init__(message)
        self.status = status
        self.detail = detail


class BadRequest(ApiError, UsageError):
    """The API says that the input is wrong (400, 404, 409, 422): exit code 2."""

    exit_code = 2


class Rest:
    """HTTP with a bearer token, fetched on first use and again after a 401.

    The token comes from `POST /auth/token` (Airflow's simple auth manager, 24 h).
    """

    def __init__(self, endpoint: AirflowEndpoint, timeout: float = 30.0) -> None:
        """`timeout` is for one request, in seconds."""
        self._endpoint = endpoint
        self._http = httpx.Client(base_url=endpoint.url, timeout=timeout, trust_env=False)
        self._token: str | None = None

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def json(self, method: str, path: str, *, body: object = None, params: dict[str, Any] | None = None) -> Any:
        """The decoded answer of one API call (None for an empty one); BadRequest, ApiError or Unavailable otherwise."""
        with self._reaching(method, path):
            answer = self._http.request(method, path, json=body, params=params, headers=self._headers())
            if answer.status_code == httpx.codes.UNAUTHORIZED:
                self._token = None
                answer = self._http.request(method, path, json=body, params=params, headers=self._headers())
        ensure_is_ok(answer, method, path)
        return answer.json() if answer.content else None

    def open_json(self, path: str) -> Any:
        """GET without a login (health checks); the decoded answer even of a 500."""
        with self._reaching("GET", path):
            return self._http.get(path).json()

    def lines(self, path: str, params: dict[str, Any], timeout: float) -> Iterator[str]:
        """The lines of a streamed answer; `timeout` is the longest silence between two of them, in seconds."""
        with (
            self._reaching("GET", path),
            self._http.stream("GET", path, params=params, headers=self._headers(), timeout=timeout) as answer,
        ):
            if answer.is_error:
                answer.read()
                ensure_is_ok(answer, "GET", path)
            yield from answer.iter_lines()

    def _headers(self) -> dict[str, str]:
        if self._token is None:
            body = {"username": self._endpoint.user, "password": self._endpoint.password}
            answer = self._http.post("/auth/token", json=body)
            ensure_is_ok(answer, "POST", "/auth/token")
            self._token = str(answer.json()["access_token"])
        return {"Authorization": f"Bearer {self._token}"}

    @contextmanager
    def _reaching(self, method: str, path: str) -> Iterator[None]:
        try:
            yield
        except httpx.TimeoutException as error:
            raise Unavailable(
                f"Airflow's API server did not answer {method} {path} in time ({self._endpoint.url}); "
                "see: airbed logs api-server"
            ) from error
        except httpx.HTTPError as error:
            raise Unavailable(
                f"cannot reach Airflow's API server at {self._endpoint.url}: {error}; see: airbed status"
            ) from error


def ensure_is_ok(answer: httpx.Response, method: str, path: str) -> None:
    """Return for a 2xx answer; raise BadRequest for wrong input, ApiError for everything else."""
    if answer.is_success:
        return
    detail = detail_of(answer)
    message = f"Airflow refused {method} {path}: {answer.status_code} {detail}"
    wrong_input = answer.status_code in {400, 404, 409, 422}
    raise (BadRequest if wrong_input else ApiError)(message, answer.status_code, detail)


def detail_of(answer: httpx.Response) -> str:
    """The API's reason as one line: a text, a list of pydantic errors, or a dict with `reason`."""
    try:
        detail = answer.json().get("detail")
    except (ValueError, AttributeError):
        detail = answer.text
    if isinstance(detail, list):
        detail = "; ".join(
            f"{'.'.join(str(part) for part in each.get('loc', ())[1:])}: {each.get('msg')}"
            if isinstance(each, dict)
            else str(each)
            for each in detail
        )
    elif isinstance(detail, dict):
        detail = detail.get("reason") or detail.get("message") or str(detail)
    return " ".join(str(detail).split())[:500]
