"""Counts of outcomes, the report that names every failed item, and the threshold that decides the run."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from airflow.sdk.exceptions import AirflowFailException

from mapping.outcomes import Kind, Outcome

ID_FIELDS = ("id", "key", "source_key", "name", "segment", "segment_id", "shard_id", "region")
LABEL_LIMIT = 200
NAMED_IN_ERROR = 20

log = logging.getLogger(__name__)


def item_id(item: Any) -> str:
    """How a report names an item: its `id`, `key`, `name`, `shard_id`, `region` ... field, else the item itself."""
    if isinstance(item, Mapping):
        for name in ID_FIELDS:
            if name in item:
                return str(item[name])[:LABEL_LIMIT]
    return str(item)[:LABEL_LIMIT]


@dataclass(frozen=True)
class Summary:
    """What became of all items of a mapped task.

    `what` names the work in messages (the task id is a good choice), `label` turns an item into its id for the report.
    """

    what: str
    outcomes: Sequence[Outcome]
    label: Callable[[Any], str] = field(default=item_id, repr=False)

    @property
    def counts(self) -> dict[str, int]:
        """How many items ended in each way: every kind is there, also with 0."""
        found = Counter(outcome.kind for outcome in self.outcomes)
        return {kind.value: found[kind] for kind in Kind}

    def of(self, *kinds: Kind) -> list[Outcome]:
        """The outcomes of these kinds, in the items' order."""
        return [outcome for outcome in self.outcomes if outcome.kind in kinds]

    @property
    def hard(self) -> list[Outcome]:
        """Items without a result that nothing in the task accounts for: failed, lost, removed."""
        return self.of(Kind.HARD, Kind.LOST, Kind.REMOVED)

    @property
    def failed(self) -> list[Outcome]:
        """Soft failures and hard ones."""
        return self.of(Kind.SOFT, Kind.HARD, Kind.LOST, Kind.REMOVED)

    @property
    def hard_rate(self) -> float:
        """Hard failures as a share of all items, 0 to 1; 1 when nothing was listed."""
        return len(self.hard) / len(self.outcomes) if self.outcomes else 1.0

    @property
    def failure_rate(self) -> float:
        """Soft and hard failures as a share of all items, 0 to 1; 1 when nothing was listed."""
        return len(self.failed) / len(self.outcomes) if self.outcomes else 1.0

    def line(self, outcome: Outcome) -> str:
        """One line about one item: id, map_index, kind, tries, error."""
        tries = (
            "tries unknown" if outcome.tries is None else f"{outcome.tries} tr{'y' if outcome.tries == 1 else 'ies'}"
        )
        return (
            f"{self.label(outcome.item)} (map_index {outcome.map_index}): {outcome.kind}, {tries}: "
            f"{outcome.error or 'no error text'}"
        )

    def headline(self) -> str:
        """The counts in one line."""
        counts = ", ".join(f"{name} {count}" for name, count in self.counts.items() if count or name in _ALWAYS)
        return f"{self.what}: {len(self.outcomes)} items: {counts}"

    def report(self) -> dict[str, Any]:
        """The same as JSON, small enough to be a return value: `{"items", "success", ..., "failed_items": [...]}`.

        Each entry of `failed_items` has `id`, `map_index`, `kind`, `tries` and `error`.
        """
        failed = [
            {
                "id": self.label(o.item),
                "map_index": o.map_index,
                "kind": o.kind.value,
                "tries": o.tries,
                "error": o.error,
            }
            for o in self.failed
        ]
        return {"items": len(self.outcomes), **self.counts, "failed_items": failed}

    def check(self, *, max_failed: float | None = 0.10, max_hard: float | None = None) -> dict[str, Any]:
        """Log every failed item, then let the run pass or fail; returns `report()` when it passes.

        `max_failed` limits soft and hard failures together, `max_hard` hard ones alone, both as a share of all items
        (0.10 is 10 %; exactly the limit still passes; None switches it off). Nothing listed always fails.

        Raises AirflowFailException, which is not retried: the same outcomes would give the same verdict. Its message
        has the numbers and the first 20 failed items; all of them are in the log.
        """
        log.info(self.headline())
        for outcome in self.failed:
            log.error(self.line(outcome))
        if not self.outcomes:
            raise AirflowFailException(f"{self.what}: no items were listed, so nothing was processed")
        broken = []
        if max_hard is not None and self.hard_rate > max_hard:
            broken.append(f"{self.hard_rate:.1%} failed hard, the limit is {max_hard:.0%}")
        if max_failed is not None and self.failure_rate > max_failed:
            broken.append(f"{self.failure_rate:.1%} failed, the limit is {max_failed:.0%}")
        if broken:
            raise AirflowFailException(self._verdict(broken))
        return self.report()

    def _verdict(self, broken: list[str]) -> str:
        lines = [self.line(outcome) for outcome in self.failed[:NAMED_IN_ERROR]]
        more = len(self.failed) - len(lines)
        if more:
            lines.append(f"and {more} more, each in the log above")
        # Separated also for a reader who gets the message as one line.
        return f"{self.headline()}: {'; '.join(broken)}; namely\n  " + ";\n  ".join(lines)


_ALWAYS = {Kind.SUCCESS.value, Kind.SOFT.value, Kind.HARD.value, Kind.SKIPPED.value}
