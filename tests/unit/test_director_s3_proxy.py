"""The S3 proxy between a plain HTTP client and a store, on real sockets."""

from __future__ import annotations

import asyncio
import gzip
import socket
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from airbed.director.journal import Journal
from airbed.director.s3book import S3RuleBook
from airbed.director.s3proxy import S3Proxy
from airbed.director.s3rules import S3Request, S3Rule
from airbed.director.s3watch import S3Watch
from airbed.errors import UsageError

HOST = "127.0.0.1"
BODY = bytes(range(256)) * 40


class Store:
    """Keeps what is PUT, and answers GET and HEAD with it; a path under /chunked/ answers in chunks."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.headers: dict[str, dict[str, str]] = {}
        self.targets: list[str] = []

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """One request."""
        path = request.raw_path.partition("?")[0]
        self.targets.append(request.raw_path)
        self.headers[path] = dict(request.headers)
        if "Expect" in request.headers and request.transport is not None:
            request.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        if request.method == "PUT":
            self.objects[path] = await request.read()
            return web.Response(headers={"ETag": '"e"'})
        if path not in self.objects:
            return web.Response(status=404, text="<Error><Code>NoSuchKey</Code></Error>")
        if path.startswith("/chunked/"):
            response = web.StreamResponse()
            await response.prepare(request)
            for start in range(0, len(self.objects[path]), 1000):
                await response.write(self.objects[path][start : start + 1000])
            return response
        return web.Response(body=self.objects[path])


class Bench:
    """A store, a proxy before it, its rules and journal."""

    def __init__(self, folder: Path) -> None:
        self.store = Store()
        self.rules = S3RuleBook(folder)
        self.journal = Journal()
        self.port = 0

    def rule(self, **fields: Any) -> str:
        """Put a rule into force."""
        return self.rules.add(S3Rule.parse(fields))

    def notes(self, kind: str) -> list[dict[str, Any]]:
        """The journal's entries of a kind."""
        return self.journal.entries(kind=kind)

    async def send(self, raw: bytes) -> bytes:
        """Send bytes on a fresh connection, and read until it ends."""
        reader, writer = await asyncio.open_connection(HOST, self.port)
        writer.write(raw)
        try:
            return await reader.read()
        finally:
            writer.close()

    async def get(self, path: str, method: str = "GET", headers: str = "") -> tuple[int, bytes]:
        """One request; gives status and body, however much of it came."""
        raw = f"{method} {path} HTTP/1.1\r\nHost: h:1\r\nConnection: close\r\n{headers}\r\n".encode()
        answer = await self.send(raw)
        head, _, body = answer.partition(b"\r\n\r\n")
        return int(head.split()[1]), body


def run(folder: Path, talk: Callable[[Bench], Awaitable[None]]) -> None:
    """Run `talk` on a bench of its own."""

    async def go() -> None:
        bench = Bench(folder)
        server = web.Server(bench.store.handle, auto_decompress=False, access_log=None)
        loop = asyncio.get_running_loop()
        store = await loop.create_server(server, HOST, 0)
        proxy = S3Proxy(f"http://{HOST}:{store.sockets[0].getsockname()[1]}", S3Watch(bench.rules, bench.journal))
        listening = await proxy.listen(HOST, 0)
        bench.port = listening.sockets[0].getsockname()[1]
        bench.store.objects["/bkt/raw/a"] = bench.store.objects["/chunked/a"] = BODY
        try:
            await talk(bench)
        finally:
            listening.close()
            proxy.close()
            store.close()
            await server.shutdown(0.1)

    asyncio.run(go())


def test_a_request_reaches_the_store_as_it_was_sent(tmp_path: Path) -> None:
    async def talk(bench: Bench) -> None:
        packed = gzip.compress(BODY)
        head = "PUT /bkt/a%20b%2Fc?x=%2F&y HTTP/1.1\r\nHost: signed:99\r\nContent-Encoding: gzip\r\n"
        await bench.send(f"{head}Connection: close\r\nContent-Length: {len(packed)}\r\n\r\n".encode() + packed)
        assert bench.store.targets == ["/bkt/a%20b%2Fc?x=%2F&y"]
        assert bench.store.objects["/bkt/a%20b%2Fc"] == packed
        assert bench.store.headers["/bkt/a%20b%2Fc"]["Host"] == "signed:99"

    run(tmp_path, talk)


def test_chunked_bodies_pass_both_ways(tmp_path: Path) -> None:
    async def talk(bench: Bench) -> None:
        chunks = b"5;ext=1\r\nhello\r\n6\r\n world\r\n0\r\nx-trailer: 1\r\n\r\n"
        head = b"PUT /bkt/c HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
        assert b" 200 " in await bench.send(head + chunks)
        assert bench.store.objects["/bkt/c"] == b"hello world"
        status, body = await bench.get("/chunked/a")
        assert (status, body.count(b"3e8\r\n"), body[-5:]) == (200, 10, b"0\r\n\r\n")

    run(tmp_path, talk)


def test_a_connection_serves_many_requests_and_head_has_no_body(tmp_path: Path) -> None:
    async def talk(bench: Bench) -> None:
        one = b"GET /bkt/raw/a HTTP/1.1\r\nHost: h\r\n\r\n"
        head = b"HEAD /bkt/raw/a HTTP/1.1\r\nHost: h\r\n\r\n"
        last = b"HEAD /bkt/none HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"
        answer = await bench.send(one + head + one + last)  # pipelined: each must end where it ends
        assert answer.count(b"HTTP/1.1 200") == 3
        assert answer.count(b"HTTP/1.1 404") == 1
        assert answer.count(BODY) == 2

    run(tmp_path, talk)


def test_a_body_waits_for_the_stores_100_continue(tmp_path: Path) -> None:
    async def talk(bench: Bench) -> None:
        reader, writer = await asyncio.open_connection(HOST, bench.port)
        writer.write(b"PUT /bkt/e HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n")
        assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        assert "/bkt/e" not in bench.store.objects
        writer.write(b"abc")
        assert b" 200 " in await reader.readuntil(b"\r\n\r\n")
        assert bench.store.objects["/bkt/e"] == b"abc"
        bench.rule(action="error", status=503)
        writer.write(b"PUT /bkt/e HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n")
        answer = await reader.read()
        assert answer.startswith(b"HTTP/1.1 503 SlowDown")
        writer.close()

    run(tmp_path, talk)


def test_errors_are_s3s_and_counted(tmp_path: Path) -> None:
    async def talk(bench: Bench) -> None:
        rule_id = bench.rule(action="error", key="raw/*", methods=["GET"], times=2)
        status, body = await bench.get(
            "/bkt/raw/a", headers="amz-sdk-invocation-id: i\r\namz-sdk-request: attempt=1\r\n"
        )
        assert status == 503
        assert b"<Code>SlowDown</Code>" in body
        assert (await bench.get("/bkt/raw/a", method="HEAD"))[0] == 200
        assert (await bench.get("/bkt/other"))[0] == 404
        assert [(await bench.get("/bkt/raw/a"))[0] for _ in range(3)] == [503, 200, 200]
        kept = bench.rules.get(rule_id)
        assert kept is not None
        assert (kept["fired"], kept["hits"]) == (2, 4)
        first, second = bench.notes("s3-fired")
        expected = {"bucket": "bkt", "key": "raw/a", "method": "GET", "hit": 1, "rule": rule_id, "status": 503}
        assert {**expected, "action": "error", "invocation": "i", "attempt": 1}.items() <= first.items()
        assert second["hit"] == 2
        (followed,) = bench.notes("s3-followed")  # the first that succeeded, and no more
        assert (followed["status"], followed["bytes"], followed["intact"]) == (200, len(BODY), True)

    run(tmp_path, talk)


def test_what_is_followed_survives_a_restart(tmp_path: Path) -> None:
    rules, journal = S3RuleBook(tmp_path), Journal(tmp_path / "journal.jsonl")
    rules.add(S3Rule.parse({"action": "reset", "times": 2}))
    watch = S3Watch(rules, journal)
    requests = [S3Request("GET", "bkt", name) for name in "ab"]
    for request in requests:
        assert watch.meet(request).reset
    watch.answered(requests[0], 200, 3, intact=True)
    again = S3Watch(S3RuleBook(tmp_path), Journal(tmp_path / "journal.jsonl"))
    for request in requests:
        again.answered(request, 200, 3, intact=True)
    followed = [each["key"] for each in Journal(tmp_path / "journal.jsonl").entries(kind="s3-followed")]
    assert followed == ["a", "b"]


def test_the_body_of_a_refused_request_is_read_to_its_end(tmp_path: Path) -> None:
    async def talk(bench: Bench) -> None:
        bench.rule(action="error", status=500, times=1)
        put = b"PUT /bkt/p HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc"
        get = b"GET /bkt/p HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"
        answer = await bench.send(put + get)
        assert answer.index(b"HTTP/1.1 500 InternalError") < answer.index(b"HTTP/1.1 404 Not Found")

    run(tmp_path, talk)


def test_a_reset_is_a_reset(tmp_path: Path) -> None:
    async def talk(bench: Bench) -> None:
        bench.rule(action="reset", times=1)
        with pytest.raises(ConnectionResetError):
            await bench.get("/bkt/raw/a")
        assert (await bench.get("/bkt/raw/a"))[0] == 200

    run(tmp_path, talk)


@pytest.mark.parametrize("path", ["/bkt/raw/a", "/chunked/a"])
def test_bodies_are_cut_and_corrupted_at_a_byte(tmp_path: Path, path: str) -> None:
    async def talk(bench: Bench) -> None:
        plain = (await bench.get(path))[1]
        rule_id = bench.rule(action="truncate", at_byte=500)
        status, cut = await bench.get(path)
        assert status == 200
        assert plain.startswith(cut)
        assert len(cut) == 500 + (len(b"3e8\r\n") if "chunked" in path else 0)
        bench.rules.remove(rule_id)
        bench.rule(action="corrupt", at_byte=1500)
        spoiled = (await bench.get(path))[1]
        wrong = [index for index, (good, bad) in enumerate(zip(plain, spoiled, strict=True)) if good != bad]
        assert wrong == [1500 + (len(b"3e8\r\n\r\n3e8\r\n") if "chunked" in path else 0)]
        assert [note["at_byte"] for note in bench.notes("s3-fired")] == [500, 1500]
        assert not any(note["intact"] for note in bench.notes("s3-followed"))

    run(tmp_path, talk)


def test_a_short_body_may_agree_with_its_length(tmp_path: Path) -> None:
    async def talk(bench: Bench) -> None:
        bench.rule(action="truncate", at_byte=300, fit_length=True, times=1)
        one = b"GET /bkt/raw/a HTTP/1.1\r\nHost: h\r\n\r\n"
        head, _, body = (await bench.send(one)).partition(b"\r\n\r\n")
        assert b"\r\nContent-Length: 300\r\n" in head
        assert head.lower().count(b"content-length") == 1
        assert body == BODY[:300]
        assert not bench.notes("s3-followed")[0]["intact"]

    run(tmp_path, talk)


def test_a_fault_of_the_body_does_not_fire_without_that_byte(tmp_path: Path) -> None:
    async def talk(bench: Bench) -> None:
        rule_id = bench.rule(action="truncate", at_byte=len(BODY))
        assert (await bench.get("/bkt/none"))[0] == 404
        assert (await bench.get("/bkt/raw/a"))[1] == BODY
        kept = bench.rules.get(rule_id)
        assert kept is not None
        assert (kept["hits"], kept["fired"]) == (2, 0)

    run(tmp_path, talk)


def test_a_random_byte_is_the_same_for_the_same_seed(tmp_path: Path) -> None:
    async def talk(bench: Bench) -> None:
        lengths = []
        for seed in (1, 1, 2):
            rule_id = bench.rule(action="truncate", seed=seed)
            lengths.append(len((await bench.get("/bkt/raw/a"))[1]))
            bench.rules.remove(rule_id)
        assert lengths[0] == lengths[1] != lengths[2]

    run(tmp_path, talk)


def test_latency_and_throttle_take_their_time(tmp_path: Path) -> None:
    async def talk(bench: Bench) -> None:
        rule_id = bench.rule(action="latency", seconds=0.2)
        begin = time.monotonic()
        assert (await bench.get("/bkt/raw/a"))[1] == BODY
        assert 0.2 <= time.monotonic() - begin < 1
        bench.rules.remove(rule_id)
        bench.rule(action="throttle", bytes_per_second=len(BODY) * 4)
        begin = time.monotonic()
        assert (await bench.get("/bkt/raw/a"))[1] == BODY
        assert 0.2 <= time.monotonic() - begin < 1

    run(tmp_path, talk)


@pytest.mark.parametrize("rule", [{"action": "latency", "seconds": 5}, {"action": "throttle", "bytes_per_second": 1}])
def test_a_request_that_is_under_way_goes_on_when_its_rule_is_removed(tmp_path: Path, rule: dict[str, Any]) -> None:
    async def talk(bench: Bench) -> None:
        rule_id = bench.rule(**rule)
        asked = asyncio.create_task(bench.get("/bkt/raw/a"))
        await asyncio.sleep(0.1)
        begin = time.monotonic()
        assert not asked.done()
        bench.rules.remove(rule_id)
        assert await asked == (200, BODY)
        assert time.monotonic() - begin < 1

    run(tmp_path, talk)


def test_the_slowest_of_two_rules_sets_the_pace_as_long_as_it_is_there(tmp_path: Path) -> None:
    async def talk(bench: Bench) -> None:
        slow = bench.rule(action="throttle", bytes_per_second=1)
        bench.rule(action="throttle", bytes_per_second=len(BODY) * 4)
        asked = asyncio.create_task(bench.get("/bkt/raw/a"))
        await asyncio.sleep(0.1)
        begin = time.monotonic()
        bench.rules.remove(slow)
        assert await asked == (200, BODY)
        assert 0.1 <= time.monotonic() - begin < 2

    run(tmp_path, talk)


def test_a_dead_store_resets_and_is_noted(tmp_path: Path) -> None:
    async def go() -> None:
        bench = Bench(tmp_path)
        with socket.create_server((HOST, 0)) as free:
            dead = free.getsockname()[1]
        proxy = S3Proxy(f"http://{HOST}:{dead}", S3Watch(bench.rules, bench.journal))
        listening = await proxy.listen(HOST, 0)
        bench.port = listening.sockets[0].getsockname()[1]
        with pytest.raises(ConnectionResetError):
            await bench.get("/bkt/raw/a")
        assert [note["key"] for note in bench.notes("s3-unreachable")] == ["raw/a"]
        listening.close()
        proxy.close()

    asyncio.run(go())


def test_the_upstream_must_be_an_http_url(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--s3-upstream must be like"):
        S3Proxy("127.0.0.1:80", S3Watch(S3RuleBook(tmp_path), Journal()))
