"""`python -m airbed.faults.holder BED KEY JOB PARAMETERS`: hold a fault until somebody ends this process."""

from __future__ import annotations

import importlib
import json
import os
import sys
import traceback

import psycopg

from airbed.bed import Bed
from airbed.errors import AirbedError
from airbed.faults.holder.report import Report
from airbed.faults.ledger import Ledger


def main() -> None:
    """Leave the caller, then do the job; what goes wrong is told like everything else."""
    name, key, job, parameters = sys.argv[1:]
    if os.fork():
        os._exit(0)
    bed = Bed.open(name)
    if not _is_wanted(bed, key):
        return
    report = Report(bed.folder / "faults" / f"{key}.json")
    try:
        importlib.import_module(f"airbed.faults.holder.{job}").hold(bed, key, json.loads(parameters), report)
    except psycopg.errors.LockNotAvailable:
        problem = f"other sessions keep the table locked for 15 s; inject fault {key} before they begin, or after them"
        report.tell(state="failed", problem=problem)
        sys.exit(1)
    except Exception as error:
        traceback.print_exc()
        reason = " ".join(str(error).split()) or type(error).__name__
        report.tell(state="failed", problem=reason if isinstance(error, AirbedError) else f"fault {key}: {reason}")
        sys.exit(1)


def _is_wanted(bed: Bed, key: str) -> bool:
    """Whether the fault is still to come into force.

    Who started this process may have been killed since, and the fault undone before this process bore its mark.
    """
    entries = Ledger(bed.folder).entries()
    return any(each.plan.get("key") == key and each.state == "arming" for each in entries)


if __name__ == "__main__":
    main()
