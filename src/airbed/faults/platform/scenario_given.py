"""What a scenario changes of the bed itself for the time of a case: no fault of its own, but undone like one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from airbed.errors import Unavailable, UsageError
from airbed.faults import dagfiles
from airbed.faults.model import Fault, Level, Plan
from airbed.faults.platform.scenario_sql import Statement, run_statements, undo_statements
from airbed.faults.postgres import ask
from airbed.spec import write_private

if TYPE_CHECKING:
    from airbed.bed import Bed

PARSED_WITHIN = 60.0
_PUT_BACK = """
    INSERT INTO variable (key, val, description, is_encrypted) VALUES (%s, %s, %s, %s)
    ON CONFLICT (key) DO UPDATE
    SET val = EXCLUDED.val, description = EXCLUDED.description, is_encrypted = EXCLUDED.is_encrypted
"""


class ScenarioGiven(Fault):
    """The file `armed` (tasks fail when the director does not answer), SQL, pools, variables, DAG files, settings."""

    kind: ClassVar[str] = "scenario.given"
    level: ClassVar[Level] = "platform"
    summary: ClassVar[str] = "what a running scenario changed of the bed: pools, variables, settings, DAG files"
    example: ClassVar[dict[str, Any]] = {"scenario": "demo/case", "pools": {"db_etl": 2}}
    undo_order: ClassVar[int] = 90  # the bed is put back when its parts work again
    by_hand: ClassVar[bool] = False

    scenario: str = Field(description="scenario and case")
    pools: dict[str, int] = Field(default={}, description="slots by pool")
    variables: dict[str, str] = Field(default={}, description="Airflow Variables")
    dags: list[str] = Field(default=[], description="paths of DAG files that are added to the bed")
    airflow: dict[str, str] = Field(default={}, description="Airflow settings, such as WORKERS__EXECUTION_API_TIMEOUT")
    warm: bool = Field(default=True, description="false: the execution API is restarted and not asked once")
    sql: list[Statement] = Field(default=[], description="database, statement, and its undo for the end (or null)")

    def check(self, bed: Bed) -> None:
        """Refuse a Variable that the bed's environment hides."""
        from airbed.userdags import VARIABLE, of_bed

        if not self.variables:
            return
        given = of_bed(bed.spec).environment
        for name in self.variables:
            hiding = f"{VARIABLE}{name.upper()}"
            if hiding in given:
                raise UsageError(
                    f"given.variables: tasks would not see '{name}': {hiding} of your --env-file or project goes before"
                    " it; take it out there and make the bed anew, or use another name"
                )

    def plan(self, bed: Bed, key: str) -> Plan:
        """Pools, Variables and DAG files as they are now; None: there is none of that name."""
        there = bed.airflow.pools() if self.pools else {}
        before = {name: there.get(name) for name in self.pools}
        return {
            "key": key,
            "pools": {
                name: row and {"slots": row["slots"], "description": row.get("description") or ""}
                for name, row in before.items()
            },
            "variables": self._variables(bed),
            "dags": {each.name: dagfiles.content(each) for each in self._copies(bed)},
        }

    def _variables(self, bed: Bed) -> dict[str, list[Any] | None]:
        """The rows, values encrypted as they are: Airflow's API hides those of some names."""
        before: dict[str, list[Any] | None] = dict.fromkeys(self.variables)
        if before:
            query = "SELECT key, val, description, is_encrypted FROM variable WHERE key = ANY(%s)"
            before |= {row[0]: list(row[1:]) for row in ask(bed, "metadata", query, [list(before)])}
        return before

    def _copies(self, bed: Bed) -> list[Path]:
        return [bed.files.scenario_dags / Path(each).name for each in self.dags]

    def apply(self, bed: Bed, plan: Plan) -> None:
        """Arm first: from here on a task without the director's word fails."""
        write_private(bed.files.armed, f"{self.scenario}\n")
        run_statements(bed, plan, self.sql)
        if self.airflow or not self.warm:
            bed.substrate.with_airflow_settings(self.airflow, warm=self.warm)
        for name, slots in self.pools.items():
            description = (plan["pools"][name] or {}).get("description", "")
            bed.airflow.set_pool(name, slots, description)
        for name, value in self.variables.items():
            bed.airflow.set_variable(name, value)
        if self.dags:
            self._add_dags(bed)

    def undo(self, bed: Bed, plan: Plan) -> None:
        """Everything as it was; what fails does not keep the rest."""
        problems = []
        for step in (
            self._undo_gates,
            self._undo_sql,
            self._undo_dags,
            self._undo_pools,
            self._undo_variables,
            self._undo_settings,
        ):
            try:
                step(bed, plan)
            except Exception as error:
                problems.append(" ".join(str(error).split()) or type(error).__name__)
        if problems:
            raise Unavailable("; ".join(problems))
        bed.files.armed.unlink(missing_ok=True)

    def _add_dags(self, bed: Bed) -> None:
        """Copy the DAG files and wait until Airflow knows what is in them."""
        bed.files.scenario_dags.mkdir(parents=True, exist_ok=True)
        copies = self._copies(bed)
        for source, copy in zip(self.dags, copies, strict=True):
            dagfiles.put(copy, dagfiles.content(Path(source)) or "")
        written = {copy: copy.stat().st_mtime for copy in copies}

        def is_parsed(copy: Path) -> bool:
            found = dagfiles.known(bed, copy)
            if found.broken >= written[copy]:
                for each in bed.metadata.import_errors():
                    if Path(each.filename).name == copy.name:
                        reason = each.stacktrace.strip().splitlines()[-1]
                        raise UsageError(f"{each.filename} cannot be imported: {reason}")
            return found.began >= written[copy]

        waiting = dagfiles.await_all(copies, is_parsed, PARSED_WITHIN)
        if waiting:
            raise Unavailable(f"Airflow did not parse {waiting[0]} within {PARSED_WITHIN:g} s; see: airbed logs")

    def _undo_gates(self, bed: Bed, plan: Plan) -> None:
        """Those of a runner that was killed; its own are gone by now."""
        for gate in bed.director.gates():
            if gate["name"].startswith(f"{gate_prefix(self.scenario)}."):
                bed.director.remove_gate(gate["name"])

    def _undo_dags(self, bed: Bed, plan: Plan) -> None:
        for copy in self._copies(bed):
            before = plan.get("dags", {}).get(copy.name)
            if before is None:
                copy.unlink(missing_ok=True)
            elif dagfiles.content(copy) != before:
                dagfiles.put(copy, before)

    def _undo_pools(self, bed: Bed, plan: Plan) -> None:
        there = bed.airflow.pools() if plan["pools"] else {}
        for name, before in plan["pools"].items():
            if before is not None:
                bed.airflow.set_pool(name, before["slots"], before["description"])
            elif name in there:
                bed.airflow.delete_pool(name)

    def _undo_variables(self, bed: Bed, plan: Plan) -> None:
        from airbed.clients.rest import BadRequest

        for name in self.variables:
            before = plan.get("variables", {}).get(name)
            if before is not None:
                ask(bed, "metadata", _PUT_BACK, [name, *before])
                continue
            try:
                bed.airflow.delete_variable(name)
            except BadRequest as error:
                if error.status != 404:
                    raise

    def _undo_settings(self, bed: Bed, plan: Plan) -> None:
        if self.airflow or not self.warm:
            bed.substrate.with_airflow_settings({}, warm=True)

    def _undo_sql(self, bed: Bed, plan: Plan) -> None:
        undo_statements(bed, plan, self.sql)


def gate_prefix(scenario: str) -> str:
    """What the names of a scenario's gates begin with."""
    return scenario.replace("/", ".")
