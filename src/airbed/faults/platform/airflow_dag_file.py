"""`airflow.dag-file`: a DAG file changes while its runs are under way, as by a deployment."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from airbed.errors import Unavailable, UsageError
from airbed.faults import dagfiles
from airbed.faults.model import Fault, Level, Plan, Target

if TYPE_CHECKING:
    from airbed.bed import Bed

_PATIENCE = 60.0  # seconds; Airflow looks every second, and one parse takes seconds on a busy machine
# DAGs that are no longer in a file that is parsed still: known for 50 s more, and looked for once a minute.
_FORGOTTEN_WITHIN = 150.0
# What Airflow makes of a file: an import error, DAGs, or neither.
BROKEN, SOUND, EMPTY = "broken", "sound", "empty"


class DagFileChanged(Fault):
    """Another version of a DAG file takes the place of the one in the bed's own DAG folder (`airflow/scenario-dags`).

    Only files there can be changed: a scenario's `given: dags:` puts them there, or you copy yours. Your own folders
    are never written to. In force when Airflow has parsed the new version, or has recorded that it cannot be imported.
    At the end the old version is put back and parsed; one that could not be imported, or had no DAG, is so again.
    """

    kind: ClassVar[str] = "airflow.dag-file"
    level: ClassVar[Level] = "platform"
    summary: ClassVar[str] = "a DAG file is replaced by another version while its runs are under way"
    example: ClassVar[dict[str, Any]] = {"file": "orders.py", "by": "orders_v2.py"}
    paths: ClassVar[tuple[str, ...]] = ("by",)

    file: str = Field(description="name of the file in the bed's own DAG folder", min_length=1)
    by: str = Field(description="path of the new version on this machine", min_length=1)

    def target(self) -> Target:
        """The file."""
        return "DAG file", self.file

    def check(self, bed: Bed) -> None:
        """Refuse a file that the bed does not have, or a new version that is not there."""
        folder = bed.files.scenario_dags
        if not (folder / self.file).is_file() or Path(self.file).name != self.file:
            has = ", ".join(sorted(each.name for each in folder.glob("*.py"))) or "none"
            raise UsageError(
                f"the bed's own DAG folder has no file '{self.file}' (it has: {has}); put yours there first,"
                f" by a scenario's `given: dags:` or by hand: {folder}"
            )
        if not Path(self.by).is_file():
            raise UsageError(f"there is no file {self.by} to replace {self.file} by; give the path of the new version")

    def plan(self, bed: Bed, key: str) -> Plan:
        """The old version's content (it is text, and small), and what Airflow made of it."""
        file = bed.files.scenario_dags / self.file
        return {"key": key, "content": dagfiles.content(file), "was": _kind_of(dagfiles.known(bed, file))}

    def apply(self, bed: Bed, plan: Plan) -> None:
        """Put the new version in its place, whole at once."""
        dagfiles.put(bed.files.scenario_dags / self.file, dagfiles.content(Path(self.by)) or "")

    def confirm(self, bed: Bed, plan: Plan) -> None:
        """Wait until Airflow has parsed it, whatever came of it."""

        def is_done(found: dagfiles.Known, written: float) -> bool:
            gone = plan.get("was") != EMPTY and _kind_of(found) == EMPTY
            return found.began >= written or found.broken >= written or gone

        self._await(bed, is_done, _PATIENCE)

    def undo(self, bed: Bed, plan: Plan) -> None:
        """Put the old version back and wait until Airflow has parsed it, and made of it what it had made before."""
        was = plan.get("was", SOUND)

        def is_done(found: dagfiles.Known, written: float) -> bool:
            if was == SOUND:
                return found.began >= written and found.broken < written
            return found.broken >= written if was == BROKEN else _kind_of(found) == EMPTY

        file = bed.files.scenario_dags / self.file
        # Whoever has deleted it meanwhile has ended the scenario that had brought it.
        if file.is_file():
            if dagfiles.content(file) != plan["content"]:
                dagfiles.put(file, plan["content"])
            self._await(bed, is_done, _FORGOTTEN_WITHIN if was == EMPTY else _PATIENCE)

    def _await(self, bed: Bed, is_done: Callable[[dagfiles.Known, float], bool], patience: float) -> None:
        """Wait until Airflow has looked at the file's present version; `is_done` gets when that was written."""
        file = bed.files.scenario_dags / self.file
        written = file.stat().st_mtime
        text = (dagfiles.content(file) or "").lower()
        # Airflow does not even import a file without these words: its DAGs are forgotten.
        looked_at = "dag" in text and "airflow" in text

        def has_looked(file: Path) -> bool:
            found = dagfiles.known(bed, file)
            return is_done(found, written) if looked_at else found.dags == 0

        if dagfiles.await_all([file], has_looked, patience):
            raise Unavailable(f"Airflow has not parsed {file} in {patience:g} s; see: airbed logs dag-processor")


def _kind_of(found: dagfiles.Known) -> str:
    if found.broken:
        return BROKEN
    return SOUND if found.dags else EMPTY
