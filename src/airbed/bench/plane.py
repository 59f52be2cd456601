"""What the fault plane costs while no fault is set: `s3-proxy` and `task-rule`."""

from __future__ import annotations

import http.client
import importlib.util
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from airbed.bench.figures import OURS, Figures
from airbed.clients.s3 import s3_client
from airbed.errors import Unavailable
from airbed.topology import S3_WAY

if TYPE_CHECKING:
    from airbed.bed import Bed

DIRECT, DIRECTOR = "direct", "through the director only"
BUCKET, KEY = "artifacts", "airbed-bench"
LARGE_BYTES = 200_000_000
CHUNK = b"x" * 1_000_000
ROUNDS = 3
SMALL_REQUESTS = 200
QUESTIONS = 200


@dataclass
class Way:
    """One way to S3: a large object in MB (1000000 bytes) a second, a small request in milliseconds (median)."""

    name: str
    get_mb: float = 0
    put_mb: float = 0
    small_ms: float = 0


def measure_s3(bed: Bed, figures: Figures, progress: Callable[[str], None]) -> None:
    """The part `s3-proxy`, on a living bed that does nothing else. It takes 20 to 40 seconds and leaves nothing."""
    at = bed.endpoints.s3
    urls = {DIRECT: at.direct, DIRECTOR: f"http://127.0.0.1:{bed.spec.ports[S3_WAY]}", OURS: at.task}
    ways = [Way(name) for name in urls]
    try:
        bed.s3.put_object(Bucket=BUCKET, Key=KEY, Body=b"")
        for number in range(1, ROUNDS + 1):
            progress(f"  s3-proxy: turn {number} of {ROUNDS}")
            # The ways take turns, so that what else the machine does hits all alike; the best round of each counts.
            for way in ways:
                client = s3_client(replace(at, direct=urls[way.name]))
                way.put_mb = max(way.put_mb, _rate(_put, client))
                way.get_mb = max(way.get_mb, _rate(_get, client))
                small = _small(client)
                way.small_ms = min(way.small_ms or small, small)
    finally:
        bed.s3.delete_object(Bucket=BUCKET, Key=KEY)
    for way in reversed(ways):
        figures.add("s3-proxy", "200 MB read", way.get_mb, "MB/s", subject=way.name)
        figures.add("s3-proxy", "200 MB written", way.put_mb, "MB/s", subject=way.name)
        figures.add("s3-proxy", "a small request", way.small_ms, "ms", subject=way.name)


def measure_questions(bed: Bed, figures: Figures) -> None:
    """The part `task-rule`: what a task pays at its start for asking the director."""
    asked = _ask(bed)
    figures.add("task-rule", "a task's question to the director", statistics.median(asked), "ms")
    figures.add("task-rule", "of 10 questions the slowest", asked[len(asked) * 9 // 10], "ms")


def _rate(work: Callable[[Any], None], client: Any) -> float:
    began = time.perf_counter()
    work(client)
    return LARGE_BYTES / 1e6 / (time.perf_counter() - began)


def _put(client: Any) -> None:
    def body() -> Any:
        for _ in range(LARGE_BYTES // len(CHUNK)):
            yield CHUNK

    _plain(client, "put_object", "PUT", body(), {"Content-Length": str(LARGE_BYTES)})


def _get(client: Any) -> None:
    _plain(client, "get_object", "GET", None, {})


def _plain(client: Any, operation: str, method: str, body: Any, headers: dict[str, str]) -> None:
    """A signed request without boto3's own work on the body: the way is measured, not the client."""
    url = urlsplit(client.generate_presigned_url(operation, Params={"Bucket": BUCKET, "Key": KEY}))
    connection = http.client.HTTPConnection(str(url.hostname), url.port, timeout=60, blocksize=len(CHUNK))
    try:
        connection.request(method, f"{url.path}?{url.query}", body, headers)
        answer = connection.getresponse()
        buffer = bytearray(len(CHUNK))
        while answer.readinto(buffer):
            pass
        if answer.status != http.client.OK:
            raise Unavailable(f"S3 answered {answer.status} to {method} of {LARGE_BYTES} bytes")
    finally:
        connection.close()


def _small(client: Any) -> float:
    """The median of many small requests on one connection."""
    found = []
    for _ in range(SMALL_REQUESTS):
        began = time.perf_counter()
        client.head_bucket(Bucket=BUCKET)
        found.append((time.perf_counter() - began) * 1000)
    return statistics.median(found)


def _ask(bed: Bed) -> list[float]:
    """What the plugin does at the start of every task: one question on a new connection; milliseconds, sorted."""
    file = bed.settings.resources.infra / "airflow/plugins/airbed_director.py"
    spec = importlib.util.spec_from_file_location("airbed_director", file)
    if spec is None or spec.loader is None:
        raise Unavailable(f"the plugin's client of the director is not in {file}: reinstall airbed")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    ti = SimpleNamespace(dag_id="bench_noop", run_id="bench", task_id="nothing", map_index=0, try_number=1)
    director = module.DirectorClient(bed.endpoints.director.task_url, bed.endpoints.director.token, ti)
    found = []
    for _ in range(QUESTIONS):
        began = time.perf_counter()
        director.ask()
        found.append((time.perf_counter() - began) * 1000)
    return sorted(found)
