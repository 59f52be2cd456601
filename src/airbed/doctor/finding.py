"""One line of the doctor's report."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Finding:
    """What was looked at, and how it stands.

    `ok`, `warn` (a bed runs, something is less than it could be) or `missing` (no bed runs). `found` is what there is,
    `remedy` what to do about it (empty when nothing has to be done).
    """

    name: str
    state: Literal["ok", "warn", "missing"]
    found: str
    remedy: str = ""
