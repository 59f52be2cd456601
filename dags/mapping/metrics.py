"""The three counters of a mapped run, sent the way Airflow sends its own metrics."""

from __future__ import annotations

import logging

from airflow.sdk.observability import stats

from mapping.outcomes import Kind
from mapping.summary import Summary

log = logging.getLogger(__name__)


def send(summary: Summary, *, dag_id: str) -> dict[str, int]:
    """Count the run's items as processing.success, processing.soft_failure and processing.hard_failure.

    Uses Airflow's own client, which every task process has ready: the numbers go wherever `[metrics]` points (StatsD,
    Datadog, OpenTelemetry) with its prefix (`airflow.` by default) and the tag `dag_id`; nowhere when that is off. A
    metrics service that is down never fails a run. Items that were lost or removed count as hard failures. Returns what
    was sent, by name.
    """
    counts = {
        "processing.success": len(summary.of(Kind.SUCCESS)),
        "processing.soft_failure": len(summary.of(Kind.SOFT)),
        "processing.hard_failure": len(summary.hard),
    }
    for name, count in counts.items():
        try:
            stats.incr(name, count=count, tags={"dag_id": dag_id})
        except Exception:
            log.warning("Could not send the metric %s=%s", name, count, exc_info=True)
    return counts
