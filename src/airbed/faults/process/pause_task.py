"""process.pause-task."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from airbed.faults.instances import InstanceFault

if TYPE_CHECKING:
    from airbed.bed import Bed
    from airbed.faults.model import Plan


class ProcessPauseTask(InstanceFault):
    """A running instance with all its children is frozen (SIGSTOP).

    Its supervisor goes on sending heartbeats: Airflow never notices, only an execution_timeout ends it.
    """

    kind: ClassVar[str] = "process.pause-task"
    summary: ClassVar[str] = "freeze one running task instance with its children"
    example: ClassVar[dict[str, Any]] = {
        "dag_id": "heavy_data_mapping",
        "task_id": "fetch_segment_data",
        "map_index": 1,
    }

    def apply(self, bed: Bed, plan: Plan) -> None:
        """Freeze the tree until no new process appears in it."""
        bed.substrate.pause_tree(plan["pid"], plan["start"])

    def undo(self, bed: Bed, plan: Plan) -> None:
        """Let what is left of it go on."""
        bed.substrate.unpause_tree(plan["pid"], plan["start"])
