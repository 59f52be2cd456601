"""A user's own project: its requirements in a cached overlay environment, its variables and connections."""

from __future__ import annotations

import sys

from airbed.endpoints import Endpoints
from airbed.settings import Settings
from airbed.spec import BedSpec
from airbed.substrates.embedded.startup import Progress


def environment(settings: Settings, spec: BedSpec, progress: Progress) -> tuple[str, list[str]]:
    """The interpreter that runs Airflow, and the folders to put on its PYTHONPATH."""
    return sys.executable, []


def user_variables(spec: BedSpec, endpoints: Endpoints) -> dict[str, str]:
    """The AIRFLOW_CONN_* and AIRFLOW_VAR_* of the user's files."""
    return {}
