"""`kubernetes.crash-loop`: containers start and end at once in one region."""

from __future__ import annotations

from typing import Any, ClassVar

from airbed.faults.kubernetes import StageFault


class CrashLoop(StageFault):
    """New pods go into CrashLoopBackOff, exit code 1, and are started again every 2 seconds.

    Pods that are ready stay so.
    """

    kind: ClassVar[str] = "kubernetes.crash-loop"
    summary: ClassVar[str] = "new pods of a region end as soon as they start (CrashLoopBackOff)"
    example: ClassVar[dict[str, Any]] = {"region": "prod-apse1", "image": "web:1.2.4"}
    stage: ClassVar[str] = "crash-loops"
    reason: ClassVar[str] = "BackOff"
    words: ClassVar[str] = "restarting failed container"
