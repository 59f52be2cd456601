"""Free loopback ports for a bed."""

from __future__ import annotations

import random
import socket
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

from airbed.errors import Unavailable

_LOWEST = 15000


def allocate(
    purposes: Iterable[str], taken: set[int], offsets: Mapping[str, tuple[str, int]] | None = None
) -> dict[str, int]:
    """One free port for each purpose.

    They lie below the kernel's range for outgoing connections, so that no client of anybody takes one between now and
    the start of its service; `taken` are the ports that other beds have been given, running or not. `offsets` has the
    purposes whose port is that of another one plus a number, which no option of the program can change.
    Raises Unavailable when there are not enough.
    """
    highest = _first_outgoing_port()
    candidates = [port for port in range(_LOWEST, highest) if port not in taken]
    random.shuffle(candidates)
    found: dict[str, int] = {}
    for purpose, (first, offset) in (offsets or {}).items():
        both = (port for port in candidates if port + offset < highest and port + offset not in taken)
        pair = next(((port, port + offset) for port in both if is_free(port) and is_free(port + offset)), None)
        if pair is None:
            raise _none_left(highest, purpose)
        found[first], found[purpose] = pair
        candidates = [port for port in candidates if port not in pair]
    for purpose in purposes:
        if purpose in found:
            continue
        while candidates and not is_free(candidates[-1]):
            candidates.pop()
        if not candidates:
            raise _none_left(highest, purpose)
        found[purpose] = candidates.pop()
    return found


def _none_left(highest: int, purpose: str) -> Unavailable:
    return Unavailable(f"no free port between {_LOWEST} and {highest} for {purpose}; end some beds: airbed down --all")


def is_free(port: int) -> bool:
    """Whether nothing listens on that loopback port, TCP or UDP."""
    try:
        with socket.socket() as tcp, socket.socket(type=socket.SOCK_DGRAM) as udp:
            # Connections that have ended, but are remembered by the kernel for a minute, do not count.
            tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            tcp.bind(("127.0.0.1", port))
            udp.bind(("127.0.0.1", port))
    except OSError:
        return False
    return True


def still_taken(ports: Iterable[int], timeout: float = 20) -> list[int]:
    """The ports that are not free within `timeout` seconds.

    A killed process is gone before the kernel has closed the sockets of its last thread, so a moment has to pass: on a
    machine with forty processes waiting for two cores more than five seconds.
    """
    deadline = time.monotonic() + timeout
    taken = list(ports)
    while taken := [port for port in taken if not is_free(port)]:
        if time.monotonic() > deadline:
            break
        time.sleep(0.02)
    return taken


def _first_outgoing_port() -> int:
    try:
        first = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    except (OSError, ValueError):
        first = 32768
    return first if first > _LOWEST + 2000 else 32768
