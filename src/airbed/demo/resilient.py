"""Pattern 4 in the demo: errors told apart."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airbed.demo.playing import run, seen
from airbed.demo.scenario import Expected, Scenario, Seen

if TYPE_CHECKING:
    from airbed.bed import Bed

DAG = "resilient_processing"
BY_POLICY = "resilient_processing_retry_policy"
CAP = 16
NEVER_HEALS = 99


def _run(bed: Bed, dag_id: str, conf: dict[str, Any]) -> Seen:
    return seen(run(bed, dag_id, conf=conf), "process_item", "aggregate")


def _clean(bed: Bed) -> Seen:
    return _run(bed, DAG, {})


def _partial(bed: Bed) -> Seen:
    never = {f"item-{number:03}": NEVER_HEALS for number in (20, 21, 22, 23)}
    return _run(bed, DAG, {"recoverable": {"item-007": 1, **never}, "fatal": ["item-042", "item-043"]})


def _over(bed: Bed) -> Seen:
    never = {f"item-{number:03}": NEVER_HEALS for number in range(6)}
    return _run(bed, DAG, {"recoverable": never})


def _policy(bed: Bed) -> Seen:
    return _run(bed, BY_POLICY, {"recoverable": {"item-007": 1}, "fatal": ["item-042", "item-043"]})


SCENARIOS = [
    Scenario(DAG, "clean", "nothing", CAP, _clean, Expected("success", success=100, tries={})),
    Scenario(
        DAG,
        "partial failure",
        "2 bad items, 4 services down for good, 1 once",
        CAP,
        _partial,
        Expected("success", success=94, soft=2, hard=4, tries={7: 2, 20: 3, 21: 3, 22: 3, 23: 3}),
    ),
    Scenario(
        DAG,
        "over its threshold",
        "6 services down for good",
        CAP,
        _over,
        Expected(
            "failed",
            success=94,
            hard=6,
            tries=dict.fromkeys(range(6), 3),
            error=r"100 items: success 94, soft 0, hard 6",
        ),
    ),
    Scenario(
        BY_POLICY,
        "partial failure",
        "2 bad items, 1 service down once",
        CAP,
        _policy,
        Expected("success", success=98, hard=2, tries={7: 2}),
    ),
]
