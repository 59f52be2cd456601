"""The part `shards`: a day of events from three shards to the warehouse, in three ways."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from airbed.bench.figures import OURS, Figures
from airbed.errors import Unavailable
from airbed.seed import seed_pattern
from airbed.substrates.embedded import airflow, parts
from airbed.substrates.registry import EMBEDDED
from airbed.topology import SHARDS, WAREHOUSE

if TYPE_CHECKING:
    from airbed.bed import Bed

DAY = date(2031, 1, 6)
ROWS = 240_000
LIMIT = 300.0
# How the worker (`shards_work.py`) calls the ways, and what they are called here.
NAMES = {
    "pattern": ("one process, rows", OURS),
    "copy": ("one process, rows", "plain COPY"),
    "taught": ("one process, rows", "pandas + insert_rows"),
    "pattern-at-once": ("three processes at once, rows", OURS),
}


def measure(bed: Bed, figures: Figures, progress: Callable[[str], None]) -> None:
    """Seed a day that no run uses, let the ways take turns in a process of its own.

    It empties the warehouse's table: the bed is the benchmark's own.
    """
    if bed.spec.substrate != EMBEDDED:
        raise Unavailable("the part shards runs the pattern's code beside the bed: only on the embedded substrate")
    progress(f"seeding {ROWS:,} rows in three shards")
    seed_pattern(bed, "parallel_shard_processor", DAY, rows=ROWS)
    progress("shards: the pattern, plain COPY, pandas")
    spec, files = bed.spec, bed.files
    environment = {
        **parts.common_environment(files, spec),
        **airflow.settings(files, spec, bed.endpoints, files.read_secrets(), bed.settings.resources),
        # Which the warehouse is emptied with before each way; and how the way without Airflow logs in.
        "BENCH_WAREHOUSE_ADMIN": bed.endpoints.databases[WAREHOUSE.service].url(admin=True),
        "BENCH_WAREHOUSE": bed.endpoints.databases[WAREHOUSE.service].url(task=True),
        "BENCH_SHARDS": json.dumps([bed.endpoints.databases[each.service].url(task=True) for each in SHARDS]),
    }
    with tempfile.TemporaryDirectory(prefix="airbed-bench-") as folder:
        out, log = Path(folder) / "out.json", Path(folder) / "log"
        command = [
            sys.executable,
            "-m",
            "airbed.bench.shards_work",
            str(bed.settings.resources.dags),
            str(DAY),
            str(out),
        ]
        try:
            with log.open("wb") as printed:
                subprocess.run(
                    command, env=environment, stdout=printed, stderr=subprocess.STDOUT, timeout=LIMIT, check=True
                )
        except subprocess.TimeoutExpired:
            raise Unavailable(f"the part shards did not end within {LIMIT:.0f} s") from None
        except subprocess.CalledProcessError as error:
            last = log.read_text(errors="replace").strip().splitlines()[-5:]
            raise Unavailable(f"the part shards ended with {error.returncode}: {' '.join(last)}") from None
        for way, rows, seconds in json.loads(out.read_text()):
            name, subject = NAMES[way]
            figures.add("shards", name, rows / seconds, "/s", subject=subject)
