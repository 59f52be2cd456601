"""`airflow.dag-file`: a DAG file changes while its runs are under way, as by a deployment."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from airbed.errors import Unavailable, UsageError
from airbed.faults import dagfiles
from airbed.faults.model import Fault, Level, Plan, Target
from airbed.faults.postgres import ask

if TYPE_CHECKING:
    from airbed.bed import Bed

_PATIENCE = 60.0  # seconds; Airflow looks every second, and one parse takes seconds on a busy machine
_POLL = 0.2


class DagFileChanged(Fault):
    """Another version of a DAG file takes the place of the one in the bed's own DAG folder (`airflow/scenario-dags`).

    Only files there can be changed: a scenario's `given: dags:` puts them there, or you copy yours. Your own folders
    are never written to. In force when Airflow has parsed the new version, or has recorded that it cannot be imported.
    At the end the old version is put back and parsed.
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
        """The old version's content: it is text, and small."""
        return {"key": key, "content": dagfiles.content(bed.files.scenario_dags / self.file)}

    def apply(self, bed: Bed, plan: Plan) -> None:
        """Put the new version in its place, whole at once."""
        dagfiles.put(bed.files.scenario_dags / self.file, dagfiles.content(Path(self.by)) or "")

    def confirm(self, bed: Bed, plan: Plan) -> None:
        """Wait until Airflow has parsed it."""
        _await_parsed(bed, self.file, broken_will_do=True)

    def undo(self, bed: Bed, plan: Plan) -> None:
        """Put the old version back and wait until Airflow has parsed it."""
        file = bed.files.scenario_dags / self.file
        # Whoever has deleted it meanwhile has ended the scenario that had brought it.
        if file.is_file():
            if dagfiles.content(file) != plan["content"]:
                dagfiles.put(file, plan["content"])
            _await_parsed(bed, self.file, broken_will_do=False)


def _await_parsed(bed: Bed, name: str, *, broken_will_do: bool) -> None:
    file = bed.files.scenario_dags / name
    changed = file.stat().st_mtime
    text = file.read_text().lower()
    # Airflow does not even import a file without these words: its DAGs are forgotten.
    looked_at = "dag" in text and "airflow" in text
    deadline = time.monotonic() + _PATIENCE
    while True:
        row = ask(
            bed,
            "metadata",
            """
            SELECT (SELECT extract(epoch FROM max(last_parsed_time)) FROM dag WHERE fileloc = %s),
                   (SELECT extract(epoch FROM max(timestamp)) FROM import_error WHERE filename IN (%s, %s)),
                   (SELECT count(*) FROM dag WHERE fileloc = %s AND NOT is_stale)
            """,
            [str(file), str(file), name, str(file)],
        )[0]
        parsed, broken = (float(each or 0) >= changed for each in row[:2])
        if not looked_at:
            parsed, broken = row[2] == 0, False
        if (parsed or broken) if broken_will_do else (parsed and not broken):
            return
        if time.monotonic() > deadline:
            raise Unavailable(f"Airflow has not parsed {file} in {_PATIENCE:g} s; see: airbed logs dag-processor")
        time.sleep(_POLL)
