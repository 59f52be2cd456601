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
_LOOK_SECONDS = 0.1  # how soon a request feels that its rule is gone
_UNKNOWN_LENGTH = 1024


class BodyFaults:
    """The faults of one request, gathered from its rules.

    `hold` for latency first; then `reset` or `error` instead of an answer; else what happens to the bodies.
    Afterwards `intact` tells whether the response's body was passed on whole and unchanged, `cut` that the connection
    must end here. Latency and the bodies' pace end with their rules: `in_force` tells whether one is still there.
    """

    def __init__(
        self,
        request: S3Request,
        claim: Callable[[Chosen, int | None], bool],
        in_force: Callable[[Chosen], bool],
    ) -> None:
        self._request = request
        self._claim = claim
        self._in_force = in_force
        self.reset = False
        self.error: tuple[int, str] | None = None
        self.cut = False
        self.intact = True
        self._late: list[Chosen] = []
        self._throttles: list[Chosen] = []
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
                self._late.append(chosen)
            elif rule.action == "reset":
                self.reset = True
            elif rule.action == "error":
                self.error = (rule.status or 503, rule.code or "SlowDown")
            elif rule.bytes_per_second is not None:
                self._throttles.append(chosen)

    async def hold(self) -> None:
        """Wait as long as the rules say, one after the other, and while they are there."""
        for chosen in self._late:
            end = time.monotonic() + (chosen.rule.seconds or 0)
            while (left := end - time.monotonic()) > 0 and self._in_force(chosen):
                await asyncio.sleep(min(left, _LOOK_SECONDS))

    async def upload(self, pieces: Pieces) -> Pieces:
        """The request's body as it is to be passed on."""
        async for piece in self._paced(pieces):
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
        async for piece, content in self._paced(pieces):
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

    async def _paced(self, pieces: Pieces) -> Pieces:
        """The pieces at the slowest rule's bytes a second at most, in small slices."""
        if not self._throttles:
            async for whole in pieces:
                yield whole
            return
        due = time.monotonic()
        async for piece, content in pieces:
            start = 0
            while start < len(piece) and (rate := self._rate()) is not None:
                part = piece[start : start + max(1, rate // _SLICES_A_SECOND)]
                start += len(part)
                due += len(part) / rate
                while (left := due - time.monotonic()) > 0 and self._rate() == rate:
                    await asyncio.sleep(min(left, _LOOK_SECONDS))
                # Of a rule that is gone nothing is left to wait for.
                due = min(due, time.monotonic())
                yield part, content
            if start < len(piece):
                yield piece[start:], content

    def _rate(self) -> int | None:
        rates = [each.rule.bytes_per_second for each in self._throttles if self._in_force(each)]
        return min((rate for rate in rates if rate is not None), default=None)


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
