"""HTTP/1.1 as far as a proxy must know it that passes every byte on: heads, and where a body ends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

READ_BYTES = 1 << 18
MAX_HEAD_BYTES = 1 << 16

Framing = Literal["none", "length", "chunked", "until-close"]


class Malformed(Exception):
    """What was received is not HTTP/1.1, or ended too early."""


@dataclass(frozen=True)
class Head:
    """The first line and the headers of a message, as received (`raw` ends with the empty line)."""

    raw: bytes

    @cached_property
    def _lines(self) -> list[str]:
        return self.raw.decode("latin-1").split("\r\n")

    @cached_property
    def first(self) -> list[str]:
        """The three parts of the first line."""
        parts = self._lines[0].split(" ", 2)
        if len(parts) < 2:
            raise Malformed(f"first line {self._lines[0][:100]!r}")
        return parts

    @cached_property
    def headers(self) -> dict[str, str]:
        """The headers by lower-case name; the last one of a name counts."""
        pairs = (line.partition(":") for line in self._lines[1:] if line)
        return {name.strip().lower(): value.strip() for name, _, value in pairs}

    @property
    def status(self) -> int:
        """The status of a response."""
        try:
            return int(self.first[1])
        except ValueError as error:
            raise Malformed(f"status {self.first[1]!r}") from error

    @property
    def length(self) -> int:
        """Content-Length in bytes; 0 when there is none."""
        try:
            return int(self.headers.get("content-length", "0"))
        except ValueError as error:
            raise Malformed("Content-Length is no number") from error

    def with_length(self, length: int) -> bytes:
        """The head with another Content-Length, and the connection to be closed."""
        kept = [line for line in self._lines if not line.lower().startswith(("content-length:", "connection:"))]
        return "\r\n".join([*kept[:-2], f"Content-Length: {length}", "Connection: close", "", ""]).encode("latin-1")

    @property
    def closes(self) -> bool:
        """Whether the connection ends after this message."""
        wish = self.headers.get("connection", "").lower()
        old = "HTTP/1.0" in (self.first[0], self.first[-1])
        return "close" in wish or (old and "keep-alive" not in wish)

    def request_framing(self) -> Framing:
        """How the body of this request is delimited."""
        if "chunked" in self.headers.get("transfer-encoding", "").lower():
            return "chunked"
        return "length" if self.length else "none"

    def response_framing(self, method: str) -> Framing:
        """How the body of this response to `method` is delimited."""
        if method == "HEAD" or self.status in (204, 304) or self.status < 200:
            return "none"
        if "chunked" in self.headers.get("transfer-encoding", "").lower():
            return "chunked"
        if "content-length" in self.headers:
            return "length" if self.length else "none"
        return "until-close"


async def read_head(reader: asyncio.StreamReader) -> Head | None:
    """The next head; None when the connection ended before it. Malformed when it ended within, or is too long."""
    try:
        return Head(await reader.readuntil(b"\r\n\r\n"))
    except asyncio.IncompleteReadError as error:
        if not error.partial:
            return None
        raise Malformed("the connection ended within a head") from error
    except asyncio.LimitOverrunError as error:
        raise Malformed("a head is too long") from error


async def body(reader: asyncio.StreamReader, framing: Framing, length: int) -> AsyncIterator[tuple[bytes, bool]]:
    """The bytes of a body as they come, each with whether they are content (chunk sizes and trailers are not)."""
    if framing == "length":
        async for piece in _exactly(reader, length):
            yield piece, True
    elif framing == "until-close":
        while piece := await reader.read(READ_BYTES):
            yield piece, True
    elif framing == "chunked":
        while size := await _line(reader):
            yield size, False
            try:
                left = int(size.split(b";")[0], 16)
            except ValueError as error:
                raise Malformed(f"chunk size {size[:20]!r}") from error
            if not left:
                break
            async for piece in _exactly(reader, left):
                yield piece, True
            yield await _line(reader), False
        while trailer := await _line(reader):
            yield trailer, False
            if trailer == b"\r\n":
                break


async def _exactly(reader: asyncio.StreamReader, left: int) -> AsyncIterator[bytes]:
    while left:
        piece = await reader.read(min(left, READ_BYTES))
        if not piece:
            raise Malformed(f"the connection ended {left} bytes before the end of a body")
        left -= len(piece)
        yield piece


async def _line(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.readuntil(b"\r\n")
    except (asyncio.IncompleteReadError, asyncio.LimitOverrunError) as error:
        raise Malformed("the connection ended within a chunk") from error
