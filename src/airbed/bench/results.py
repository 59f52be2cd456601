"""The results file: the machine, what was asked for, every figure; and the machine itself."""

from __future__ import annotations

import json
import os
import platform
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from airbed.bench.choice import Choice
from airbed.bench.figures import Figures
from airbed.bench.timeline import Moment
from airbed.doctor.machine import optimised
from airbed.errors import UsageError

FORMAT = 1
PACKAGES = ("airbed", "apache-airflow", "apache-airflow-task-sdk", "sqlalchemy", "pydantic", "psycopg", "pandas")


@dataclass(frozen=True)
class Stop:
    """Where a peer stopped: it did not end, or not well, and larger sizes were not tried."""

    subject: str
    name: str
    reason: str


@dataclass
class Results:
    """Everything that a session found; `missing` has one line for each part that could not be measured."""

    choice: Choice
    machine: dict[str, Any]
    figures: Figures = field(default_factory=Figures)
    stops: list[Stop] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    timeline: list[Moment] = field(default_factory=list)
    began: datetime = field(default_factory=lambda: datetime.now(UTC))

    def to_json(self) -> dict[str, Any]:
        """The content of the results file."""
        return {
            "format": FORMAT,
            "began": self.began.isoformat(timespec="seconds"),
            "machine": self.machine,
            "choice": asdict(self.choice),
            "figures": [each.to_json() for each in self.figures],
            "ratios": [asdict(each) for each in self.figures.ratios()],
            "stops": [asdict(each) for each in self.stops],
            "missing": self.missing,
            "timeline": [asdict(each) for each in self.timeline],
        }

    def write(self, folder: Path) -> Path:
        """Write the results file, named by when the session began (UTC)."""
        file = folder / f"bench-{self.began:%Y%m%dT%H%M%SZ}.json"
        file.write_text(json.dumps(self.to_json(), indent=1) + "\n")
        return file


def read(file: Path) -> dict[str, Any]:
    """An earlier results file; UsageError for anything else."""
    try:
        found = json.loads(file.read_text())
        if found["format"] != FORMAT:
            raise UsageError(f"{file} has format {found['format']}, and this airbed reads format {FORMAT}")
        return {**found, "figures": list(found["figures"]), "machine": dict(found["machine"])}
    except OSError as error:
        raise UsageError(f"{file} cannot be read: {error.strerror}") from None
    except (ValueError, TypeError, KeyError):
        raise UsageError(f"{file} is no results file of `airbed bench`") from None


def machine() -> dict[str, Any]:
    """This machine now: `load` is the mean number of processes that wanted a core in the last minute."""
    return {
        "cores": len(os.sched_getaffinity(0)),
        "load": round(os.getloadavg()[0], 2),
        "cpu": _line("/proc/cpuinfo", "model name") or platform.processor(),
        "memory_mb": int((_line("/proc/meminfo", "MemTotal") or "0").split()[0]) // 1000,
        "system": platform.platform(),
        "python": platform.python_version(),
        "python_optimised": optimised(),
        "versions": {name: found for name in PACKAGES if (found := _version(name))},
    }


def _line(file: str, key: str) -> str | None:
    try:
        lines = Path(file).read_text().splitlines()
    except OSError:
        return None
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(key)), None)


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
