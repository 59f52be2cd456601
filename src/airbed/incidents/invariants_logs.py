"""No secret and no personal data in the logs of the tasks."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from airbed.bed import Bed
    from airbed.incidents.observe import Seen

# The sample data's own e-mail addresses and phone numbers: `airbed.seed.shards` makes no others.
# One character before the @ will do: "all of them" takes minutes on a long line without one.
_PERSONAL = re.compile(r"[\w.+-]@example\.(?:com|org|net)|\+1555\d{7}")
SHORTEST = 8  # characters; a shorter text is in a log by chance


def secrets(bed: Bed, seen: Seen) -> Iterator[str]:
    """No password, key or token of the bed stands in a task's log."""
    known = secrets_of(bed)
    for file in _logs(bed, seen):
        text = file.read_text(errors="replace")
        for name, secret in known.items():
            if secret in text:
                yield f"{name} stands in {file.relative_to(bed.files.airflow)}, line {_line(text, text.index(secret))}"


def personal_data(bed: Bed, seen: Seen) -> Iterator[str]:
    """No e-mail address and no phone number of the sample data stands in a task's log."""
    for file in _logs(bed, seen):
        text = file.read_text(errors="replace")
        found = _PERSONAL.search(text)
        if found is not None:
            what = "an e-mail address" if "@" in found[0] else "a phone number"
            yield f"{what} stands in {file.relative_to(bed.files.airflow)}, line {_line(text, found.start())}"


def secrets_of(bed: Bed) -> dict[str, str]:
    """Every secret of a bed by what it is."""
    ends = bed.endpoints
    found = {f"the secret '{name}'": value for name, value in bed.files.read_secrets().items()}
    for service, database in ends.databases.items():
        found[f"the password of {database.user} at {service}"] = database.password
        found[f"the password of {database.admin_user} at {service}"] = database.admin_password
    found |= {
        "the S3 secret key": ends.s3.secret_key,
        "Airflow's password": ends.airflow.password,
        "the director's token": ends.director.token,
    }
    return {name: value for name, value in found.items() if len(value) >= SHORTEST}


def _logs(bed: Bed, seen: Seen) -> Iterator[Path]:
    """The log files of every try of the runs."""
    for run in [run for runs in seen.runs.values() for run in runs]:
        folder = bed.files.airflow / "logs" / f"dag_id={run.dag_id}" / f"run_id={run.run_id}"
        yield from sorted(folder.rglob("*.log"))


def _line(text: str, at: int) -> int:
    return text.count("\n", 0, at) + 1
