"""What S3 rules do to one request and its response."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from xml.sax.saxutils import escape

from airbed.director.http1 import Head
from airbed.director.s3book import Chosen
from airbed.director.s3rules import S3Request

Pieces = AsyncIterator[tuple[bytes, bool]]

_SLICES_A_SECOND = 20
_UNKNOWN_LENGTH = 1024


class BodyFaults:
    """The faults of one request, gathered from its rules.

    `seconds` of latency first; then `reset` or `error` instead of an answer; else what happens to the bodies.
    Afterwards `intact` tells whether the response's body was passed on whole and unchanged, `cut` that the connection
    must end here.
    """

    def __init__(self, request: S3Request, claim: Callable[[Chosen, int | None], bool]) -> None:
        self._request = request
        self._claim = claim
        self.seconds = 0.0
        self.reset = False
        self.error: tuple[int, str] | None = None
        self.cut = False
        self.intact = True
        self._rate: int | None = None
        self._on_body: list[Chosen] = []
        self._wrong: set[int] = set()
        self._end: int | None = None

    def add(self, chosen: Chosen) -> None:
        """Take one rule up; one that touches the response's body is claimed only when there is a body to touch."""
        rule = chosen.rule
        if self.reset or self.error is not None:
            return
        if rule.action in ("truncate", "corrupt"):
            self._on_body.append(chosen)
        elif self._claim(chosen, None):
            if rule.action == "latency":
                self.seconds += rule.seconds or 0
            elif rule.action == "reset":
                self.reset = True
            elif rule.action == "error":
                self.error = (rule.status or 503, rule.code or "SlowDown")
            elif rule.bytes_per_second is not None:
                self._rate = min(rule.bytes_per_second, self._rate or rule.bytes_per_second)

    async def upload(self, pieces: Pieces) -> Pieces:
        """The request's body as it is to be passed on."""
        async for piece in _paced(pieces, self._rate):
            yield piece

    def respond(self, head: Head, length: int | None) -> bytes:
        """Look at a successful response with a body (`length` in bytes where its head says it); gives its head.

        The faults of the body are claimed here, when there is such a byte.
        """
        raw = head.raw
        for chosen in self._on_body:
            at = chosen.rule.position(self._request, chosen.hit, length or _UNKNOWN_LENGTH)
            if (length is not None and at >= length) or not self._claim(chosen, at):
                continue
            self.intact = False
            if chosen.rule.action == "corrupt":
                self._wrong.add(at)
            elif self._end is None or at < self._end:
                self._end = at
                if chosen.rule.fit_length and length is not None:
                    raw = head.with_length(at)
        return raw

    async def download(self, pieces: Pieces) -> Pieces:
        """The body of a response that `respond` has looked at, as it is to be passed on."""
        seen = 0
        async for piece, content in _paced(pieces, self._rate):
            if not content:
                yield piece, content
                continue
            if spoiled := [at - seen for at in self._wrong if seen <= at < seen + len(piece)]:
                changed = bytearray(piece)
                for at in spoiled:
                    changed[at] ^= 0xFF
                piece = bytes(changed)  # noqa: PLW2901
            if self._end is not None and seen + len(piece) >= self._end:
                self.cut = True
                yield piece[: self._end - seen], content
                return
            seen += len(piece)
            yield piece, content


def error_response(head: Head, status: int, code: str) -> bytes:
    """An error as S3 answers it; without a body for HEAD."""
    message = escape(f"{code} ({status}), injected by airbed")
    xml = (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>{escape(code)}</Code><Message>{message}</Message>'
        f"<Resource>{escape(head.first[1].partition('?')[0])}</Resource><RequestId>airbed</RequestId></Error>"
    ).encode()
    lines = [
        f"HTTP/1.1 {status} {code}",
        "Content-Type: application/xml",
        f"Content-Length: {len(xml)}",
        "x-amz-request-id: airbed",
        # The client may have a body under way that nobody will read.
        *(["Connection: close"] if "expect" in head.headers or head.closes else []),
    ]
    return "\r\n".join([*lines, "", ""]).encode("latin-1", "replace") + (b"" if head.first[0] == "HEAD" else xml)


async def _paced(pieces: Pieces, rate: int | None) -> Pieces:
    """The pieces at `rate` bytes a second at most, in small slices."""
    if rate is None:
        async for whole in pieces:
            yield whole
        return
    step = max(1, rate // _SLICES_A_SECOND)
    begin, sent = time.monotonic(), 0
    async for piece, content in pieces:
        for start in range(0, len(piece), step):
            part = piece[start : start + step]
            sent += len(part)
            await asyncio.sleep(max(0.0, begin + sent / rate - time.monotonic()))
            yield part, content
