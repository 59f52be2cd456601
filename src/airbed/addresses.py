"""Which hosts a text names: URLs, connect strings, JSON, lists; and whether a host is this machine.

It reads what is written. Names are never resolved: a DNS answer may differ between the check and the task.
"""

from __future__ import annotations

import ipaddress
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import unquote

# Schemes whose "host" is a bucket or a file: the connection's type decides where they are.
_PATH_SCHEMES = frozenset({"s3", "s3a", "s3n", "file", "fs", "sqlite", "duckdb"})
_AUTHORITY = re.compile(r"([A-Za-z][\w+.-]*)://([^/?#\s\"'<>]*)")
# libpq and JDBC take the host from behind an empty authority too: postgresql:///db?host=..., jdbc:sqlserver://;server...
_IN_QUERY = re.compile(r"(?i)[?&;](?:host|hostaddr|servername)=([^&;#\s\"'<>]*)")
_NAMES_A_PLACE = re.compile(
    r"(^|[._-])(host|hosts|hostname|hostaddr|server|servers|endpoint|url|uri|address|addr|dsn|broker|brokers|proxy|proxies)$"
)
_IN_CONNECT_STRING = re.compile(
    r"(?i)\b(?:server|servername|host|hostname|hostaddr|data source|address|addr)\s*=\s*([^;,\s()=]+)"
)
# jdbc:oracle:thin:@host:1521:x, user:password@host:5432/x, user@tcp(host:3306)/x
_BEHIND_A_USER = re.compile(r"@(?://|tcp\()?([\w.-]+):\d{2,5}\b")
_PROTOCOL = re.compile(r"(?i)(tcp|np|lpc|admin):(?=\D)")

_NUMBER = r"(?:\d{1,3}\.){3}\d{1,3}"
_DOTTED = r"[\w-]+(?:\.[\w-]+)*\.[A-Za-z][\w-]*"
_WITH_PORT = re.compile(rf"(?:{_NUMBER}|{_DOTTED}):\d{{2,5}}|[A-Za-z][\w-]*:\d{{4,5}}")
_WITH_A_DOT = re.compile(rf"(?:{_NUMBER}|{_DOTTED})(?::\d+)?")


def places_below(key: str, value: Any) -> Iterator[tuple[str, str]]:
    """Every (key, host) in a JSON value; a key such as `extra.host` makes its plain text a host."""
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield from places_below(f"{key}.{name}", inner)
    elif isinstance(value, list):
        for inner in value:
            yield from places_below(key, inner)
    else:
        yield from places(key, value, is_place=bool(_NAMES_A_PLACE.search(key.lower())))


def places(key: str, value: Any, *, is_place: bool) -> Iterator[tuple[str, str]]:
    """Every (key, host) that a text names. `is_place`: a text that is nothing else is a host, or a list of them."""
    if not isinstance(value, str) or not value.strip():
        return
    if "://" in value:
        yield from ((key, host) for host in hosts_of_urls(value))
        return
    if value.lstrip().startswith(("{", "[")):
        try:
            yield from places_below(key, json.loads(value))
        except ValueError:
            pass
        else:
            return
    in_string = _IN_CONNECT_STRING.findall(value) + _BEHIND_A_USER.findall(value)
    for found in in_string or (value.split(",") if is_place else []):
        if host := _without_port(found):
            yield key, host


def hosts_of_urls(text: str) -> Iterator[str]:
    """The hosts of all URLs in a text; a list such as mongodb://a,b/ gives each. Bucket and file URLs give none."""
    for scheme, authority in _AUTHORITY.findall(text):
        if scheme.lower().rpartition("+")[0] in _PATH_SCHEMES or scheme.lower() in _PATH_SCHEMES:
            continue
        for each in authority.rpartition("@")[2].partition(";")[0].split(","):
            if host := _without_port(each):
                yield host
    for found in _IN_QUERY.findall(text):
        for each in unquote(found).split(","):
            if host := _without_port(each):
                yield host


def hosts_by_their_looks(text: str, *, without_port: bool) -> Iterator[str]:
    """The hosts of a list such as `a.prod:9092,b:9092`; those without a port only if asked for.

    A version, a file, a module (`a.b.c`), a time (`12:30`) or an image (`postgres:16`) is no host with a port.
    """
    shape = _WITH_A_DOT if without_port else _WITH_PORT
    for each in text.split(","):
        if shape.fullmatch(each.strip()) or _WITH_PORT.fullmatch(each.strip()):
            yield _without_port(each)


def _without_port(text: str) -> str:
    """`host`, `host:port`, `[::1]:port`, `tcp:host,port`; empty for a path such as a Unix socket's folder."""
    text = _PROTOCOL.sub("", text.strip().strip("\"'"), count=1)
    if text.startswith("/"):
        return ""
    text = text.partition("/")[0]
    if text.startswith("["):
        return text[1:].partition("]")[0]
    return text if text.count(":") > 1 else text.partition(":")[0]


def is_loopback(host: str) -> bool:
    """Whether a host is this machine by its name or number alone."""
    name = host.lower().rstrip(".").strip("[]")
    if name in ("localhost", "localhost.localdomain", "ip6-localhost") or name.endswith(".localhost"):
        return True
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return bool((mapped or address).is_loopback)


def shown(host: str) -> str:
    """A host for a message: no more than a host may have in it, in case a file has a secret in the wrong place."""
    return re.sub(r"[^\w.:-]", "?", host)[:80]
