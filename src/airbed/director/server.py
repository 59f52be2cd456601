"""The director's process: HTTP and StatsD on the loopback, until it is told to stop."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import signal
import socket
import sys
from pathlib import Path

from aiohttp import web

from airbed.director.app import Director, create_app
from airbed.director.journal import Journal
from airbed.director.rulebook import RuleBook
from airbed.director.statsd import Metrics, StatsdProtocol
from airbed.errors import AirbedError, Unavailable, UsageError

HOST = "127.0.0.1"
_RECEIVE_BUFFER_BYTES = 4 << 20


def run(arguments: list[str] | None = None) -> int:
    """Run until SIGTERM or SIGINT; returns the exit code (2 wrong input, 3 an address is taken)."""
    parser = argparse.ArgumentParser(prog="python -m airbed.director", description="The director of one bed.")
    parser.add_argument("--port", type=int, required=True, help="TCP port of the HTTP interface")
    parser.add_argument("--statsd-port", type=int, required=True, help="UDP port of the StatsD sink")
    parser.add_argument("--token-file", type=Path, required=True, help="file with the bearer token")
    parser.add_argument("--state-dir", type=Path, required=True, help="folder where the rules are kept")
    options = parser.parse_args(arguments)
    try:
        asyncio.run(serve(options.port, options.statsd_port, _read_token(options.token_file), options.state_dir))
    except AirbedError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    return 0


async def serve(port: int, statsd_port: int, token: str, state: Path) -> None:
    """Serve HTTP and StatsD on the loopback until SIGTERM or SIGINT; Unavailable when a port is taken."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    metrics = Metrics()
    director = Director(RuleBook(state / "task-rules.json"), Journal(), metrics)
    runner = web.AppRunner(create_app(director, token), access_log=None, shutdown_timeout=1)
    await runner.setup()
    try:
        await web.TCPSite(runner, HOST, port).start()
        udp, _ = await loop.create_datagram_endpoint(lambda: StatsdProtocol(metrics), local_addr=(HOST, statsd_port))
    except OSError as error:
        await runner.cleanup()
        raise Unavailable(
            f"director: cannot listen on {HOST}:{port} (TCP) and {HOST}:{statsd_port} (UDP): {error}"
        ) from error
    with contextlib.suppress(OSError):
        udp.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER_BYTES)
    sys.stderr.write(f"director: HTTP on {HOST}:{port}, StatsD on {HOST}:{statsd_port}\n")
    await stop.wait()
    udp.close()
    await runner.cleanup()


def _read_token(file: Path) -> str:
    try:
        token = file.read_text().strip()
    except OSError as error:
        raise UsageError(f"director: cannot read the token file {file}: {error.strerror}") from error
    if not token:
        raise UsageError(f"director: the token file {file} is empty")
    return token
