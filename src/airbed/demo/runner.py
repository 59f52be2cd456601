"""Bring a bed up, play every scenario, and build the Kubernetes tools beside it where they are missing."""

from __future__ import annotations

import threading
from collections.abc import Callable

from airbed.bed import Bed
from airbed.demo.scenario import Row, Scenario, play
from airbed.errors import AirbedError, UsageError
from airbed.lifecycle import up
from airbed.request import Request
from airbed.reset import reset
from airbed.settings import Settings
from airbed.spec import BedFiles
from airbed.substrates.base import Beds
from airbed.substrates.registry import EMBEDDED, beds_on

Progress = Callable[[str], None]


def scenarios() -> tuple[list[Scenario], list[Scenario]]:
    """Those that need no Kubernetes, in the order of the patterns, and those that do."""
    from airbed.demo import backfill, heavy, regions, resilient, s3_daily, shards

    groups = (s3_daily, shards, resilient, backfill, heavy)
    return [each for group in groups for each in group.SCENARIOS], list(regions.SCENARIOS)


def demo(
    settings: Settings, name: str, on: str | None, progress: Progress, on_row: Callable[[Row], None]
) -> tuple[Bed, list[Row]]:
    """Play everything on a bed and return the rows; the bed stays up. `on` is its substrate (None: as it is).

    The build of the Kubernetes tools takes minutes the first time: it runs beside everything that can do without.
    """
    _refuse_bed_of_other_dags(settings, name)
    beds = beds_on(on or _substrate_of(settings, name))
    building = _Build(beds, settings, progress)
    building.start()
    bed, came = up(settings, Request(name, kubernetes=beds.has_kubernetes(settings), substrate=on), progress)
    if came.outcome != "created":
        progress("clearing what earlier runs left on the bed")
        reset(bed)
    plain, on_kubernetes = scenarios()
    rows = []

    def run(scenario: Scenario) -> None:
        progress(f"{scenario.dag_id}: {scenario.name} ({scenario.injected})")
        rows.append(play(bed, scenario))
        on_row(rows[-1])

    for scenario in plain:
        run(scenario)
    problem = building.wait()
    if problem is None:
        bed, _ = up(settings, Request(name, kubernetes=True), progress)
        for scenario in on_kubernetes:
            run(scenario)
    else:
        for scenario in on_kubernetes:
            rows.append(_not_run(scenario, problem))
            on_row(rows[-1])
    return bed, rows


def _substrate_of(settings: Settings, name: str) -> str:
    files = BedFiles(settings, name)
    return files.read_spec().substrate if files.exists() else EMBEDDED


def _refuse_bed_of_other_dags(settings: Settings, name: str) -> None:
    files = BedFiles(settings, name)
    if files.exists() and ((spec := files.read_spec()).dags or spec.project):
        raise UsageError(
            f"bed '{name}' runs other DAGs ({spec.project or ', '.join(spec.dags)}) and the demo clears its bed:"
            " give the demo a bed of its own with --name demo"
        )


def _not_run(scenario: Scenario, problem: str) -> Row:
    return Row(
        scenario.dag_id,
        scenario.name,
        scenario.injected,
        "",
        "not run",
        0,
        0,
        0,
        0,
        0,
        0,
        scenario.cap,
        0.0,
        False,
        problem,
    )


class _Build(threading.Thread):
    """Builds the Kubernetes tools; does nothing when they are there."""

    def __init__(self, beds: Beds, settings: Settings, progress: Progress) -> None:
        super().__init__(daemon=True)
        self._beds = beds
        self._settings = settings
        self._progress = progress
        self._problem: str | None = None

    def run(self) -> None:
        try:
            self._beds.build_kubernetes(self._settings, self._progress)
        except AirbedError as error:
            self._problem = str(error)

    def wait(self) -> str | None:
        """Wait for the end of the build; returns why it failed, or None."""
        if self.is_alive():
            self._progress("waiting for the build of the Kubernetes tools")
        while self.is_alive():
            self.join(0.2)
        return self._problem
