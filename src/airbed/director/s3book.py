"""The S3 rules that are in force, with their hits and firings, kept across restarts."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TextIO

from airbed.director.s3rules import S3Request, S3Rule
from airbed.director.state import read_state, write_state
from airbed.errors import UsageError

_COMPACT_AFTER = 20_000


@dataclass(frozen=True)
class Chosen:
    """A rule that a request has to meet, and the number of the hit on its key."""

    rule_id: str
    rule: S3Rule
    hit: int


class S3RuleBook:
    """All S3 rules in the order they were added.

    Rules are in one file; hits and firings are lines added to another one, so that counting costs little.
    """

    def __init__(self, folder: Path) -> None:
        self._file = folder / "s3-rules.json"
        self._counts_file = folder / "s3-counts.jsonl"
        self._rules: dict[str, S3Rule] = {}
        self._hits: dict[str, Counter[str]] = {}
        self._fired: dict[str, int] = {}
        self._last = 0
        self._lines = 0
        self._counts: TextIO | None = None
        self._load()
        self._compact()

    def __bool__(self) -> bool:
        return bool(self._rules)

    def add(self, rule: S3Rule, rule_id: str | None = None) -> str:
        """Keep a rule; returns its id.

        The same rule under the same id again changes nothing; another one under it is a UsageError.
        """
        if rule_id is None:
            self._last += 1
            rule_id = f"s{self._last}"
        if rule_id in self._rules:
            if self._rules[rule_id] != rule:
                raise UsageError(f"S3 rule: there is another rule of the id {rule_id!r}; remove it first")
            return rule_id
        self._rules[rule_id], self._hits[rule_id], self._fired[rule_id] = rule, Counter(), 0
        self._save()
        return rule_id

    def remove(self, rule_id: str) -> bool:
        """Forget a rule; False when there is none of that id."""
        if self._rules.pop(rule_id, None) is None:
            return False
        del self._hits[rule_id], self._fired[rule_id]
        self._save()
        self._compact()
        return True

    def clear(self) -> int:
        """Forget every rule; returns how many there were."""
        removed = len(self._rules)
        for rule_id in list(self._rules):
            self.remove(rule_id)
        return removed

    def get(self, rule_id: str) -> dict[str, Any] | None:
        """A rule as a JSON object with `id`, `hits` (requests it selected) and `fired`, or None."""
        rule = self._rules.get(rule_id)
        if rule is None:
            return None
        counts = {"hits": self._hits[rule_id].total(), "fired": self._fired[rule_id]}
        return {"id": rule_id, **asdict(rule), **counts}

    def all(self) -> list[dict[str, Any]]:
        """Every rule as `get` gives it, in the order they were added."""
        return [rule for rule_id in self._rules if (rule := self.get(rule_id)) is not None]

    def hit(self, request: S3Request) -> list[Chosen]:
        """Count the request for each rule that selects it; returns those it has to meet, to be claimed."""
        chosen = []
        for rule_id, rule in self._rules.items():
            if rule.selects(request):
                where = f"{request.bucket}/{request.key}"
                self._hits[rule_id][where] += 1
                self._note(rule_id, where)
                hit = self._hits[rule_id][where]
                if rule.chooses(request, hit) and not self._spent(rule_id):
                    chosen.append(Chosen(rule_id, rule, hit))
        return chosen

    def claim(self, chosen: Chosen) -> bool:
        """Count one firing, just before it happens; False when the rule is gone or spent by now."""
        if not self.holds(chosen) or self._spent(chosen.rule_id):
            return False
        self._fired[chosen.rule_id] += 1
        self._note(chosen.rule_id, None)
        return True

    def holds(self, chosen: Chosen) -> bool:
        """Whether the rule is still there."""
        return self._rules.get(chosen.rule_id) == chosen.rule

    def _spent(self, rule_id: str) -> bool:
        times = self._rules[rule_id].times
        return times is not None and self._fired[rule_id] >= times

    def _note(self, rule_id: str, where: str | None) -> None:
        self._lines += 1
        if self._lines > _COMPACT_AFTER or self._counts is None:
            self._compact()
            return
        self._counts.write(json.dumps([rule_id, where, 1]) + "\n")
        self._counts.flush()

    def _compact(self) -> None:
        lines = [[rule_id, None, fired] for rule_id, fired in self._fired.items() if fired]
        lines += [[rule_id, where, number] for rule_id, hits in self._hits.items() for where, number in hits.items()]
        write_state(self._counts_file, "".join(json.dumps(line) + "\n" for line in lines))
        if self._counts is not None:
            self._counts.close()
        self._counts = self._counts_file.open("a")
        # What is kept however often it is written anew must not make every hit write it anew.
        self._lines = min(len(lines), _COMPACT_AFTER // 2)

    def _save(self) -> None:
        rules = [{"id": rule_id, **asdict(rule)} for rule_id, rule in self._rules.items()]
        write_state(self._file, json.dumps({"last": self._last, "rules": rules}))

    def _load(self) -> None:
        state = read_state(self._file, "S3 rules")
        if state is None:
            return
        try:
            self._last = int(state["last"])
            for saved in state["rules"]:
                rule_id = str(saved.pop("id"))
                self._rules[rule_id], self._hits[rule_id], self._fired[rule_id] = S3Rule.parse(saved), Counter(), 0
        except (ValueError, KeyError, TypeError, UsageError) as error:
            raise UsageError(
                f"director: {self._file} is not an S3 rules file ({error}); delete it to start without rules"
            ) from error
        if self._counts_file.exists():
            for line in self._counts_file.read_text().splitlines():
                self._recount(line)

    def _recount(self, line: str) -> None:
        try:
            rule_id, where, number = json.loads(line)
        except ValueError:
            return  # the last line of a director that was killed while it wrote
        if rule_id not in self._rules:
            return
        if where is None:
            self._fired[rule_id] += number
        else:
            self._hits[rule_id][where] += number
