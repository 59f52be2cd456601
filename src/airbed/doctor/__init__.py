"""What this machine has and lacks for a bed, and what to do about it.

It takes about a second, and nothing is started or changed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from airbed.doctor.finding import Finding
from airbed.doctor.leftovers import leftovers
from airbed.doctor.machine import machine
from airbed.doctor.parts import parts
from airbed.doctor.snapshots import snapshots
from airbed.settings import Settings

CHECKS: tuple[Callable[[Settings], Iterator[Finding]], ...] = (machine, parts, leftovers, snapshots)


def examine(settings: Settings) -> list[Finding]:
    """Every finding, in the order of a report: machine, parts of a bed, leftovers of earlier beds, snapshots."""
    return [finding for check in CHECKS for finding in check(settings)]


def can_run(findings: list[Finding]) -> bool:
    """Whether a bed can run on this machine: nothing that it needs is missing."""
    return all(finding.state != "missing" for finding in findings)
