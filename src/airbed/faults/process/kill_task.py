"""process.kill-task."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from airbed.faults.instances import InstanceFault

if TYPE_CHECKING:
    from airbed.bed import Bed
    from airbed.faults.model import Plan


class ProcessKillTask(InstanceFault):
    """SIGKILL of a running instance with all its children, as the kernel does it when memory is short."""

    kind: ClassVar[str] = "process.kill-task"
    summary: ClassVar[str] = "SIGKILL one running task instance with its children"
    example: ClassVar[dict[str, Any]] = {
        "dag_id": "heavy_data_mapping",
        "task_id": "fetch_segment_data",
        "map_index": 1,
    }
    momentary: ClassVar[bool] = True

    def apply(self, bed: Bed, plan: Plan) -> None:
        """Freeze the tree until no new process appears in it, then kill it."""
        bed.substrate.kill_tree(plan["pid"], plan["start"])
