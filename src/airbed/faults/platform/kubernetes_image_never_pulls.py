"""`kubernetes.image-never-pulls`: an image cannot be pulled in one region."""

from __future__ import annotations

from typing import Any, ClassVar

from airbed.faults.kubernetes import StageFault


class ImageNeverPulls(StageFault):
    """New pods wait with ErrImagePull, then ImagePullBackOff; the rollout ends in ProgressDeadlineExceeded.

    Pods that are ready stay so.
    """

    kind: ClassVar[str] = "kubernetes.image-never-pulls"
    summary: ClassVar[str] = "new pods of a region cannot pull their image (ImagePullBackOff)"
    example: ClassVar[dict[str, Any]] = {"region": "prod-euw1"}
    stage: ClassVar[str] = "never-pulls"
    reason: ClassVar[str] = "Failed"
    words: ClassVar[str] = "Failed to pull image"
