"""The director's process: HTTP and StatsD until it is told to stop; on the loopback, or in a container of its own."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import signal
import socket
import sys
from pathlib import Path

from aiohttp import web

from airbed.director.app import Director, create_app
from airbed.director.s3proxy import S3Proxy
from airbed.director.s3watch import S3Watch
from airbed.director.statsd import StatsdProtocol
from airbed.errors import AirbedError, Unavailable, UsageError

HOST = "127.0.0.1"
_RECEIVE_BUFFER_BYTES = 4 << 20


def run(arguments: list[str] | None = None) -> int:
    """Run until SIGTERM or SIGINT; returns the exit code (2 wrong input, 3 an address is taken)."""
    parser = argparse.ArgumentParser(prog="python -m airbed.director", description="The director of one bed.")
    parser.add_argument("--host", default=HOST, help="address to listen on (a container of its own: 0.0.0.0)")
    parser.add_argument("--port", type=int, required=True, help="TCP port of the HTTP interface")
    parser.add_argument("--statsd-port", type=int, required=True, help="UDP port of the StatsD sink")
    parser.add_argument("--token-file", type=Path, required=True, help="file with the bearer token")
    parser.add_argument("--state-dir", type=Path, required=True, help="folder where the rules are kept")
    parser.add_argument("--s3-port", type=int, help="TCP port of the S3 proxy (none: no proxy)")
    parser.add_argument("--s3-upstream", metavar="URL", help="the S3 service behind the proxy")
    options = parser.parse_args(arguments)
    if (options.s3_port is None) != (options.s3_upstream is None):
        parser.error("--s3-port and --s3-upstream go together")
    s3 = None if options.s3_port is None else (options.s3_port, options.s3_upstream)
    try:
        token = _read_token(options.token_file)
        asyncio.run(serve(options.port, options.statsd_port, token, options.state_dir, s3, options.host))
    except AirbedError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    return 0


async def serve(
    port: int, statsd_port: int, token: str, state: Path, s3: tuple[int, str] | None = None, host: str = HOST
) -> None:
    """Serve HTTP, StatsD and S3 on `host` until SIGTERM or SIGINT; Unavailable when a port is taken.

    `s3` is the port of the S3 proxy and the URL of the service behind it; None: no proxy.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    director = Director(state)
    proxy = None if s3 is None else S3Proxy(s3[1], S3Watch(director.s3_rules, director.journal))
    runner = web.AppRunner(create_app(director, token), access_log=None, shutdown_timeout=1)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
        udp, _ = await loop.create_datagram_endpoint(
            lambda: StatsdProtocol(director.metrics), local_addr=(host, statsd_port)
        )
        s3_server = None if proxy is None or s3 is None else await proxy.listen(host, s3[0])
    except OSError as error:
        await runner.cleanup()
        also = "" if s3 is None else f", {host}:{s3[0]} (S3)"
        raise Unavailable(
            f"director: cannot listen on {host}:{port} (TCP), {host}:{statsd_port} (UDP){also}: {error}"
        ) from error
    with contextlib.suppress(OSError):
        udp.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER_BYTES)
    where = "" if s3 is None else f", S3 on {host}:{s3[0]} for {s3[1]}"
    sys.stderr.write(f"director: HTTP on {host}:{port}, StatsD on {host}:{statsd_port}{where}\n")
    director.journal.add("started", pid=os.getpid())
    await stop.wait()
    udp.close()
    if proxy is not None and s3_server is not None:
        s3_server.close()
        proxy.close()
    await runner.cleanup()


def _read_token(file: Path) -> str:
    try:
        token = file.read_text().strip()
    except OSError as error:
        raise UsageError(f"director: cannot read the token file {file}: {error.strerror}") from error
    if not token:
        raise UsageError(f"director: the token file {file} is empty")
    return token
