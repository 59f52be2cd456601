"""Bring a bed of its own up, measure it, take it down."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airbed.bench.plane import Plane, measure_plane
from airbed.bench.usage import cpu_seconds, memory_by_service
from airbed.errors import RunFailed
from airbed.lifecycle import down, every_name, up
from airbed.request import Request
from airbed.settings import Settings

if TYPE_CHECKING:
    from airbed.bed import Bed

INSTANCES = 100
DAG = '''"""Mapped instances that do nothing."""
from airflow.sdk import dag, task

@dag(schedule=None, params={"instances": 100}, max_active_tasks=1000)
def bench_noop():
    @task
    def numbers(params=None):
        return list(range(params["instances"]))

    @task
    def nothing(number):
        return None

    nothing.expand(number=numbers())

bench_noop()
'''


@dataclass
class Mapped:
    """A run of mapped no-ops: `rate` is instances a second from the first start to the last end."""

    instances: int
    run_seconds: float
    rate: float
    cpu_seconds_each: float


@dataclass
class Report:
    """Everything that was measured; seconds, and MB of PSS. `load` is the machine's one-minute load at the start."""

    cpus: int
    load: float
    up_seconds: float = 0
    up_services: dict[str, float] = field(default_factory=dict)
    up_cpu_seconds: float = 0
    status_seconds: float = 0
    mapped: Mapped | None = None
    memory: dict[str, float] = field(default_factory=dict)
    plane: Plane | None = None
    kubernetes_seconds: float | None = None
    kubernetes_memory: dict[str, float] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """The report with the sums."""
        return {
            **asdict(self),
            "memory_mb": sum(self.memory.values()),
            "kubernetes_memory_mb": sum(self.kubernetes_memory.values()) or None,
        }


def measure(settings: Settings, name: str, kubernetes: bool, progress: Callable[[str], None]) -> Report:
    """Measure a new bed of that name; one that is there is taken down first, and the new one at the end.

    `kubernetes` measures a second new bed, with Kubernetes. Raises what `up` raises.
    """
    report = Report(os.cpu_count() or 1, os.getloadavg()[0])
    if name in every_name(settings):
        down(settings, name, progress)
    with tempfile.TemporaryDirectory(prefix="airbed-bench-") as folder:
        (Path(folder) / "bench_noop.py").write_text(DAG)
        try:
            bed, came = up(settings, Request(name, dags=[folder], kubernetes=False), progress)
            report.up_seconds, report.up_services = came.seconds, came.services
            report.up_cpu_seconds = cpu_seconds(bed.spec.mark)
            report.memory = memory_by_service(bed.spec.mark)
            report.status_seconds = _status_seconds(name)
            progress("mapped no-ops, once to warm up")
            _mapped(bed, 20)
            progress(f"{INSTANCES} mapped no-ops")
            report.mapped = _mapped(bed, INSTANCES)
            progress("the fault plane, with no fault set")
            report.plane = measure_plane(bed)
            if kubernetes:
                # Anew: the workers of the runs before stay, and an idle bed has none.
                down(settings, name, progress)
                bed, came = up(settings, Request(name, dags=[folder], kubernetes=True), progress)
                report.kubernetes_seconds = came.seconds
                report.kubernetes_memory = memory_by_service(bed.spec.mark)
        finally:
            if name in every_name(settings):
                down(settings, name, progress)
    return report


def _status_seconds(name: str, tries: int = 5) -> float:
    """The quickest `airbed status` of a few."""
    found = []
    for _ in range(tries):
        began = time.monotonic()
        subprocess.run([sys.executable, "-m", "airbed", "status", "--name", name], capture_output=True, check=False)
        found.append(time.monotonic() - began)
    return min(found)


def _mapped(bed: Bed, instances: int) -> Mapped:
    from airbed.runs.execute import run_dag

    before = cpu_seconds(bed.spec.mark)
    result = run_dag(bed, "bench_noop", conf={"instances": instances}, timeout=600)
    used = cpu_seconds(bed.spec.mark) - before
    if result.state != "success":
        raise RunFailed(f"bench_noop ended as {result.state}; see: airbed logs --run {result.run_id} --task nothing[0]")
    done = result.tasks["nothing"].instances
    first = min(each.started for each in done if each.started)
    last = max(each.ended for each in done if each.ended)
    return Mapped(instances, result.seconds or 0, instances / (last - first).total_seconds(), used / instances)
