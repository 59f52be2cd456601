"""The part `fanout`: one run after the other of mapped instances, on whatever serves Airflow's REST API."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from airbed.bench.choice import FIRST, Size
from airbed.bench.figures import Figures
from airbed.bench.owned import Owned
from airbed.bench.results import Stop
from airbed.bench.usage import PeakMemory, cpu_by_service, difference
from airbed.bench.watch import Watch
from airbed.bench.workload import DAG_ID, MAPPED
from airbed.clients.airflow import FINISHED, AirflowClient, run_path
from airbed.clients.rest import Rest
from airbed.endpoints import AirflowEndpoint
from airbed.errors import Unavailable, UsageError

Progress = Callable[[str], None]

POLL = 0.3
SAY_EACH = 5.0
KNOWN_WITHIN = 60.0
TOO_LONG = "it did not end within"


@dataclass(frozen=True)
class Mapped:
    """One run: seconds from the trigger to its end, instances a second from the first start to the last end.

    `cpu` is CPU seconds by process or service, all instances together; `memory` the peak PSS of all processes in MB.
    """

    seconds: float
    rate: float
    cpu: dict[str, float]
    memory: float


@dataclass
class Served:
    """Airflow as one subject serves it: its REST API, all its processes, a look at its database."""

    subject: str
    endpoint: AirflowEndpoint
    owned: Owned
    watch: Watch
    airflow: AirflowClient = field(init=False)
    rest: Rest = field(init=False)

    def __post_init__(self) -> None:
        self.airflow, self.rest = AirflowClient(self.endpoint), Rest(self.endpoint)


def measure(served: Served, sizes: Sequence[Size], limit: float, figures: Figures, progress: Progress) -> list[Stop]:
    """The run of 10 that comes first, then each size up to the one that does not end well; returns what did not.

    A first run that fails is no end: the first request to a cold execution API can cost it an instance.
    """
    await_dag(served.airflow, served.subject)
    stops: list[Stop] = []
    for number, size in enumerate([FIRST, *sizes]):
        name = size.name if number else f"{size.name}, first run"
        progress(f"{served.subject}: {name}")
        found = run(served, size, limit, progress)
        if isinstance(found, Mapped):
            progress(f"{served.subject}: {name} took {found.seconds:.1f} s, {found.rate:.1f} a second")
            add(figures, served.subject, size, name, found)
            continue
        progress(f"{served.subject} stopped at {name}: {found}")
        stops.append(Stop(served.subject, name, found))
        if number or TOO_LONG in found:
            break
    return stops


def add(figures: Figures, subject: str, size: Size, name: str, found: Mapped) -> None:
    """The figures of one run."""
    # The first run pays for what the later ones find done, and the one with work to do is another thing: not drawn.
    drawn = size.instances if not size.cpu_ms and name == size.name else None
    each = sum(found.cpu.values()) / size.instances * 1000
    shares = {service: value / size.instances * 1000 for service, value in found.cpu.items()}
    figures.add("fanout", f"{name}, to done", found.seconds, "s", subject=subject, size=drawn)
    figures.add("fanout", f"{name}, rate", found.rate, "/s", subject=subject)
    figures.add("fanout", f"{name}, CPU of each", each, "ms", subject=subject)
    figures.add_shares("fanout", f"{name}, CPU of each", shares, "ms", subject=subject)
    figures.add("fanout", f"{name}, peak memory", found.memory, "MB", subject=subject)


def await_dag(airflow: AirflowClient, subject: str) -> None:
    """Wait until the DAG is known, and let it run. Unavailable after a minute."""
    deadline = time.monotonic() + KNOWN_WITHIN
    while True:
        try:
            airflow.unpause(DAG_ID)
            return
        except UsageError:
            if time.monotonic() > deadline:
                raise Unavailable(f"{subject} did not find the DAG {DAG_ID} within {KNOWN_WITHIN:.0f} s") from None
        time.sleep(0.25)


def run(served: Served, size: Size, limit: float, progress: Progress) -> Mapped | str:
    """One run, or why there is no figure of it: it took longer than `limit` seconds, or did not end in success."""
    before = cpu_by_service(served.owned)
    with PeakMemory(served.owned) as peak:
        began = time.time()
        conf = {"instances": size.instances, "cpu_ms": size.cpu_ms}
        run_id = served.airflow.trigger(DAG_ID, conf=conf)
        state = _await(served, run_id, began, limit, progress)
    used = difference(before, cpu_by_service(served.owned))
    if state != "success":
        why = f"it ended as {state}" if state else f"{TOO_LONG} {limit:.0f} s"
        return f"{why}; {served.watch.done(run_id)} of {size.instances} instances had succeeded"
    # Not when this program noticed, but when Airflow wrote it down: both read the same clock.
    ended = _moment(served.rest.json("GET", run_path(DAG_ID, run_id))["end_date"])
    first, last = _window(served, run_id)
    return Mapped(ended - began, size.instances / max(last - first, 0.001), used, peak.total)


def _await(served: Served, run_id: str, began: float, limit: float, progress: Progress) -> str | None:
    """The state that the run ended with; None when time is up."""
    said = began
    while time.time() - began < limit:
        state = served.watch.state(run_id)
        if state in FINISHED:
            return state
        if time.time() - said > SAY_EACH:
            said = time.time()
            progress(f"  {served.subject}: {served.watch.done(run_id)} done after {said - began:.0f} s")
        time.sleep(POLL)
    return None


def _window(served: Served, run_id: str) -> tuple[float, float]:
    """The first start and the last end of the mapped instances."""
    path = f"{run_path(DAG_ID, run_id)}/taskInstances"

    def edge(order: str, key: str) -> float:
        params = {"limit": 1, "order_by": order, "task_id": MAPPED}
        return _moment(served.rest.json("GET", path, params=params)["task_instances"][0][key])

    return edge("start_date", "start_date"), edge("-end_date", "end_date")


def _moment(text: str) -> float:
    return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()
