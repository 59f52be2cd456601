"""What a case is given before its runs: a cleared bed, data, settings."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from airbed.faults.objects import reaching
from airbed.faults.plane import FaultPlane
from airbed.faults.platform.scenario_given import ScenarioGiven
from airbed.reset import reset
from airbed.seed import seed_pattern

if TYPE_CHECKING:
    from airbed.bed import Bed
    from airbed.incidents.journal import Journal
    from airbed.incidents.schema import Given


def prepare(bed: Bed, given: Given, beside: Path, owner: str, journal: Journal) -> None:
    """Clear the bed, put the data, arm, change the settings. What has to be put back is in the ledger first.

    `beside` is the folder of the scenario file. Raises UsageError for data that cannot be, Unavailable for a bed that
    is not well.
    """
    journal.add("clearing", bed=bed.name)
    reset(bed)
    for seed in given.seed:
        summary = seed_pattern(bed, seed.pattern, seed.day, **seed.options)
        journal.add("seeded", pattern=summary.pattern, day=str(seed.day), rows=getattr(summary, "rows", None))
    with reaching(bed) as s3:
        for each in given.objects:
            s3.put_object(Bucket=each.bucket, Key=each.key, Body=each.text.encode())
    FaultPlane(bed, owner).inject(
        ScenarioGiven(
            scenario=owner,
            pools=given.pools,
            variables=given.variables,
            dags=[str((beside / dag).resolve()) for dag in given.dags],
            airflow=given.bed.airflow,
            warm=given.bed.warm,
            sql=[(sql.database, sql.statement, sql.undo) for sql in given.sql],
        )
    )
    journal.add("given", settings=given.bed.airflow or None, pools=given.pools or None, dags=given.dags or None)
