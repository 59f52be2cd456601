"""S3 rules: which request meets which fault, and how often."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from fnmatch import fnmatchcase
from urllib.parse import parse_qs, unquote

from airbed.director import fields as read
from airbed.errors import UsageError

ACTIONS = ("error", "latency", "reset", "truncate", "corrupt", "throttle")
METHODS = ("GET", "HEAD", "PUT", "POST", "DELETE")
CODES = {
    400: "InvalidRequest",
    403: "AccessDenied",
    404: "NoSuchKey",
    409: "OperationAborted",
    429: "TooManyRequests",
    500: "InternalError",
    503: "SlowDown",
}
_WHAT = "S3 rule"
_OWN_FIELDS = {
    "error": ("status", "code"),
    "latency": ("seconds",),
    "reset": (),
    "truncate": ("at_byte", "fit_length"),
    "corrupt": ("at_byte",),
    "throttle": ("bytes_per_second",),
}


@dataclass(frozen=True)
class S3Request:
    """What rules look at. `key` of a request for a bucket itself is the `prefix` it lists, or empty.

    `invocation` and `attempt` are what AWS clients send: one call of theirs and the number of its try.
    """

    method: str
    bucket: str
    key: str
    invocation: str | None = None
    attempt: int | None = None

    @classmethod
    def parse(cls, method: str, target: str, headers: dict[str, str]) -> S3Request:
        """Read it from a request line (path style: /bucket/key) and its headers."""
        path, _, query = target.partition("?")
        bucket, _, key = path.lstrip("/").partition("/")
        listed = parse_qs(query).get("prefix", [""])[0] if not key and "prefix=" in query else ""
        attempt = headers.get("amz-sdk-request", "").partition("attempt=")[2].partition(";")[0].strip()
        return cls(
            method=method,
            bucket=unquote(bucket),
            key=listed or unquote(key),
            invocation=headers.get("amz-sdk-invocation-id"),
            attempt=int(attempt) if attempt.isdecimal() else None,
        )


@dataclass(frozen=True)
class S3Rule:
    """A fault for chosen requests.

    `methods`, `bucket` and `key` choose them (globs; `*` takes slashes too; None: every one). Of those each key's hits
    are counted from 1: `nth` chooses hits, `share` a part of them by a hash of `seed`, bucket, key and hit, `times`
    is the highest number of firings over all keys. `action` is error (`status`, S3 `code`), latency (`seconds`), reset
    (RST instead of an answer), truncate (the response's body ends after `at_byte` bytes, then the connection, unless
    `fit_length` makes Content-Length agree), corrupt
    (the byte at `at_byte` of it is inverted; from 0; None: by the hash) or throttle (`bytes_per_second`, both ways).
    """

    action: str
    methods: tuple[str, ...] | None = None
    bucket: str | None = None
    key: str | None = None
    nth: tuple[int, ...] | None = None
    times: int | None = None
    share: float | None = None
    seed: int = 0
    status: int | None = None
    code: str | None = None
    seconds: float | None = None
    at_byte: int | None = None
    bytes_per_second: int | None = None
    fit_length: bool | None = None

    @classmethod
    def parse(cls, body: object) -> S3Rule:
        """Read and check a rule from a JSON object; UsageError says in one line what is wrong with it."""
        fields = read.as_object(body, _WHAT)
        read.only_known(fields, tuple(cls.__dataclass_fields__), _WHAT)
        action = read.choice(fields, "action", ACTIONS, None, _WHAT)
        for owner, names in _OWN_FIELDS.items():
            for name in names:
                if fields.get(name) is not None and name not in _OWN_FIELDS[action]:
                    raise UsageError(f"{_WHAT}: {name} is only for action {owner!r}, not for {action!r}")
        status = code = None
        if action == "error":
            number = read.optional_number(fields, "status", 400, 599, _WHAT)
            status = 503 if number is None else int(number)
            code = read.optional_text(fields, "code") or CODES.get(status, "InternalError")
        seconds = read.optional_number(fields, "seconds", 0, 3600, _WHAT)
        rate = read.optional_integer(fields, "bytes_per_second", 1, _WHAT)
        for name, value in (("seconds", seconds), ("bytes_per_second", rate)):
            if name in _OWN_FIELDS[action] and value is None:
                raise UsageError(f"{_WHAT}: action {action!r} needs {name}")
        return cls(
            action=action,
            methods=_methods(fields.get("methods"), action),
            bucket=read.optional_text(fields, "bucket"),
            key=read.optional_text(fields, "key"),
            nth=read.integers(fields, "nth", 1, _WHAT),
            times=read.optional_integer(fields, "times", 1, _WHAT),
            share=read.optional_number(fields, "share", 0, 1, _WHAT),
            seed=0 if fields.get("seed") is None else read.integer(fields, "seed"),
            status=status,
            code=code,
            seconds=seconds,
            at_byte=read.optional_integer(fields, "at_byte", 0, _WHAT),
            bytes_per_second=rate,
            fit_length=read.optional_flag(fields, "fit_length", _WHAT),
        )

    def selects(self, request: S3Request) -> bool:
        """Whether the request counts as a hit of this rule."""
        return (
            (self.methods is None or request.method in self.methods)
            and (self.bucket is None or fnmatchcase(request.bucket, self.bucket))
            and (self.key is None or fnmatchcase(request.key, self.key))
        )

    def chooses(self, request: S3Request, hit: int) -> bool:
        """Whether the n-th hit of a key has the fault (apart from `times`)."""
        return (self.nth is None or hit in self.nth) and (
            self.share is None or self._hash(request, hit, "share") < self.share
        )

    def position(self, request: S3Request, hit: int, length: int) -> int:
        """The byte that truncate and corrupt mean in a body of `length` bytes."""
        return self.at_byte if self.at_byte is not None else int(self._hash(request, hit, "byte") * length)

    def _hash(self, request: S3Request, hit: int, purpose: str) -> float:
        """A number from 0 (included) to 1 (excluded), the same for the same seed, bucket, key and hit."""
        text = f"{self.seed}\0{purpose}\0{request.bucket}\0{request.key}\0{hit}"
        return int.from_bytes(hashlib.sha256(text.encode()).digest()[:6]) / (1 << 48)


def _methods(value: object, action: str) -> tuple[str, ...] | None:
    if value is None:
        return ("GET",) if action in ("truncate", "corrupt") else None
    methods = tuple(value) if isinstance(value, list | tuple) else (value,)
    for method in methods:
        if method not in METHODS:
            raise UsageError(f"{_WHAT}: unknown method {method!r}; known: {', '.join(METHODS)}")
    if not methods:
        raise UsageError(f"{_WHAT}: methods must name one at least")
    return methods
