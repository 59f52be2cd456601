"""`kubernetes.slow-start`: pods of one region take their time to be ready."""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import Field

from airbed.faults.kubernetes import StageFault


class SlowStart(StageFault):
    """New pods are in ContainerCreating for `seconds`, then ready.

    A real kubelet (compose) plays 30 s or more as pods that run and are not ready until the fault ends.
    """

    kind: ClassVar[str] = "kubernetes.slow-start"
    summary: ClassVar[str] = "new pods of a region are ready late (ContainerCreating)"
    example: ClassVar[dict[str, Any]] = {"region": "prod-usw2", "seconds": 30}
    stage: ClassVar[str] = "slow-to-start"
    reason: ClassVar[str] = "Pulling"
    words: ClassVar[str] = "Pulling image"

    seconds: float = Field(20, gt=0, le=86400, description="from the pod's placing to its being ready, in seconds")

    def _seconds(self) -> float | None:
        return self.seconds
