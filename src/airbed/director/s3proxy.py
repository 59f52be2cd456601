"""The S3 proxy: passes requests to the store byte by byte, and gives chosen ones a fault.

Nothing of a message is changed, so a client's SigV4 signature (it signs the Host) stays valid at the store.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from urllib.parse import urlsplit

from airbed.director import http1
from airbed.director.http1 import Head, Malformed
from airbed.director.s3faults import BodyFaults, error_response
from airbed.director.s3rules import S3Request
from airbed.director.s3watch import S3Watch
from airbed.errors import UsageError

_BUFFER_BYTES = 1 << 20
_MAX_IDLE = 64
_RST = struct.pack("ii", 1, 0)

Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class S3Proxy:
    """Serves one port in front of one store. Connections to the store are kept and used again."""

    def __init__(self, upstream: str, watch: S3Watch) -> None:
        """`upstream` is the store's URL (http only: it is on the loopback)."""
        parts = urlsplit(upstream)
        if parts.scheme != "http" or not parts.hostname:
            raise UsageError(f"director: --s3-upstream must be like http://127.0.0.1:8333, got {upstream!r}")
        self._upstream = (parts.hostname, parts.port or 80)
        self._watch = watch
        self._idle: list[Connection] = []
        self._clients: set[asyncio.Task[None]] = set()

    async def listen(self, host: str, port: int) -> asyncio.Server:
        """Start to serve; OSError when the port is taken."""
        return await asyncio.start_server(self._accept, host, port, limit=_BUFFER_BYTES, backlog=512)

    def close(self) -> None:
        """Cut every connection."""
        for task in self._clients:
            task.cancel()
        while self._idle:
            self._idle.pop()[1].close()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._clients.add(task)
        writer.transport.set_write_buffer_limits(high=_BUFFER_BYTES)
        try:
            while (head := await http1.read_head(reader)) is not None:
                if not await self._serve(head, reader, writer):
                    break
        except (Malformed, OSError, asyncio.CancelledError):
            pass  # the client sees its connection end, as it would without the proxy
        finally:
            self._clients.discard(task)
            writer.close()

    async def _serve(self, head: Head, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Answer one request; False when the connection is of no use afterwards."""
        faults = None
        request = S3Request.parse(head.first[0], head.first[1], head.headers) if self._watch.needed else None
        if request is not None:
            faults = self._watch.meet(request)
            await faults.hold()
            if faults.reset:
                reset(writer)
                return False
            if faults.error is not None:
                return await self._refuse(head, error_response(head, *faults.error), reader, writer)
        status, size, keep = await self._pass_on(head, reader, writer, faults)
        if request is not None:
            self._watch.answered(request, status, size, intact=faults is not None and faults.intact)
        return keep

    @staticmethod
    async def _refuse(head: Head, answer: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Answer in the store's place. A client that waits for "100 Continue" never sends its body."""
        if "expect" not in head.headers:
            async for _ in http1.body(reader, head.request_framing(), head.length):
                pass
        writer.write(answer)
        await writer.drain()
        return "expect" not in head.headers and not head.closes

    async def _pass_on(
        self, head: Head, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, faults: BodyFaults | None
    ) -> tuple[int, int, bool]:
        """Exchange one request and its response; returns status, bytes of the body, and whether to go on."""
        framing = head.request_framing()
        connection, answer = await self._ask(head, framing, writer)
        store_reader, store_writer = connection
        upload: asyncio.Task[bool] | None = None
        done = False
        try:
            if framing != "none":
                upload = asyncio.create_task(_upload(head, framing, reader, store_writer, faults))
            answer = answer or await _first_answer(store_reader)
            while answer.status < 200:
                writer.write(answer.raw)
                answer = await _first_answer(store_reader)
            way = answer.response_framing(head.first[0])
            size = 0
            pieces = http1.body(store_reader, way, answer.length)
            if faults is not None and way != "none" and answer.status < 300:
                writer.write(faults.respond(answer, answer.length if way == "length" else None))
                pieces = faults.download(pieces)
            else:
                writer.write(answer.raw)
            async for piece, content in pieces:
                writer.write(piece)
                size += len(piece) if content else 0
                await writer.drain()
            await writer.drain()
            if faults is not None and faults.cut:
                return answer.status, size, False
            # A store that answers before it has read the body will not read the rest of it.
            early = upload is not None and not (upload.done() and upload.result())
            done = not early and way != "until-close" and not answer.closes
            return answer.status, size, done and not head.closes
        finally:
            if upload is not None:
                upload.cancel()
                with contextlib.suppress(Malformed, OSError, asyncio.CancelledError):
                    await upload
            if done and len(self._idle) < _MAX_IDLE:
                self._idle.append(connection)
            else:
                store_writer.close()

    async def _ask(
        self, head: Head, framing: http1.Framing, writer: asyncio.StreamWriter
    ) -> tuple[Connection, Head | None]:
        """Send the head to the store; gives the connection, and the answer's head when there is no body to send.

        A kept connection may have been closed by the store just now: then a fresh one is used.
        """
        try:
            while self._idle:
                store = self._idle.pop()
                if store[0].at_eof() or store[1].is_closing():
                    store[1].close()
                    continue
                store[1].write(head.raw)
                if framing != "none":
                    return store, None
                answer = None
                try:
                    answer = await http1.read_head(store[0])
                except OSError:
                    pass
                finally:
                    if answer is None:
                        store[1].close()
                if answer is not None:
                    return store, answer
            store = await asyncio.open_connection(*self._upstream, limit=_BUFFER_BYTES)
        except OSError:
            # The client would be refused by a dead store; the nearest to that here is a reset.
            self._watch.unreachable(head)
            reset(writer)
            raise
        store[1].transport.set_write_buffer_limits(high=_BUFFER_BYTES)
        store[1].write(head.raw)
        return store, None


def reset(writer: asyncio.StreamWriter) -> None:
    """End a connection with RST instead of FIN."""
    raw = writer.get_extra_info("socket")
    if raw is not None:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RST)
    writer.transport.abort()


async def _first_answer(reader: asyncio.StreamReader) -> Head:
    answer = await http1.read_head(reader)
    if answer is None:
        raise Malformed("the store ended the connection instead of answering")
    return answer


async def _upload(
    head: Head,
    framing: http1.Framing,
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    faults: BodyFaults | None,
) -> bool:
    """Pass a request's body on; False when the store stopped reading it.

    When the client goes away in the middle, the store must see that too.
    """
    pieces = http1.body(reader, framing, head.length)
    try:
        async for piece, _ in pieces if faults is None else faults.upload(pieces):
            try:
                writer.write(piece)
                await writer.drain()
            except OSError:
                return False
    except (Malformed, OSError):
        writer.transport.abort()
        raise
    return True
