"""The part `xcom`: the pattern heavy_data_mapping, 50 MB from each of four instances through object storage."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from airbed.bench.figures import Figures
from airbed.bench.owned import of_bed
from airbed.bench.usage import PeakMemory, cpu_seconds
from airbed.errors import Unavailable
from airbed.runs.execute import run_dag
from airbed.runs.follow import Progress

if TYPE_CHECKING:
    from airbed.bed import Bed

DAG_ID, TASK = "heavy_data_mapping", "fetch_segment_data"
SIZE_MB = 50
# A task lives for seconds only, so the few processes of these two services are looked at often.
WATCHED, SHARE = ("scheduler", "api-server"), 0.2


def measure(bed: Bed, figures: Figures, progress: Callable[[str], None], limit: float = 600) -> None:
    """One run: seconds, CPU, the most memory of a task and of the API server. Unavailable when it does not end well."""
    said = 0.0

    def say(now: Progress) -> None:
        nonlocal said
        if now.seconds - said > 5:
            said = now.seconds
            progress(f"  {DAG_ID}: {now}")

    owned = of_bed(bed)
    before = cpu_seconds(owned)
    with PeakMemory(owned, WATCHED, SHARE) as peak:
        result = run_dag(bed, DAG_ID, conf={"size_mb": SIZE_MB}, timeout=limit, on_progress=say)
    used = cpu_seconds(owned) - before
    if result.state != "success":
        raise Unavailable(f"{DAG_ID} ended as {result.state}; see: airbed logs --run {result.run_id} --task {TASK}[0]")
    name = f"{len(result.tasks[TASK].instances)} x {SIZE_MB} MB"
    figures.add("xcom", f"{name}, to done", result.seconds or 0, "s")
    figures.add("xcom", f"{name}, CPU", used, "s")
    figures.add("xcom", "a task, peak memory (PSS)", peak.task, "MB")
    figures.add("xcom", "a task, peak memory (RSS)", peak.task_resident, "MB")
    figures.add("xcom", "api-server, peak memory (PSS)", peak.services.get("api-server", 0), "MB")
