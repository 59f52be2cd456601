"""Settings of Airflow that a scenario changes for a while: the same steps on every substrate."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Protocol

from airbed.errors import UsageError
from airbed.spec import BedFiles, BedSpec
from airbed.substrates.base import Progress
from airbed.topology import AIRFLOW_SERVICES


class Reconfigurable(Protocol):
    """What this needs of a substrate."""

    def reconfigure(self, spec: BedSpec, services: Sequence[str], progress: Progress, *, warm: bool = True) -> None:
        """Restart services under changed settings of the bed."""

    def wait_ready(self, service: str, timeout: float = 60) -> None:
        """Wait until a service does its work."""


def change(
    substrate: Reconfigurable, files: BedFiles, spec: BedSpec, settings: Mapping[str, str], *, warm: bool
) -> None:
    """See `Substrate.with_airflow_settings`."""
    for name in settings:
        if not re.fullmatch(r"[A-Z][A-Z0-9_]*__[A-Z0-9_]+", name):
            raise UsageError(f"'{name}' is no Airflow setting; write SECTION__KEY, such as CORE__PARALLELISM")
    # Left by a call that was killed: nobody knows which component has which settings, or runs.
    half_done = files.airflow / "reconfiguring"
    changed = dict(settings) != spec.airflow or half_done.exists()
    spec.airflow = dict(settings)
    if changed or not warm:
        half_done.touch()
        services = AIRFLOW_SERVICES if changed else ("api-server",)
        substrate.reconfigure(spec, services, lambda line: None, warm=warm)
        half_done.unlink()
    if warm:
        # Also after a start that left it cold.
        substrate.wait_ready("api-server")
