"""The rules that are in force, with their firings, kept across restarts."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from airbed.director.rules import Instance, TaskRule
from airbed.director.state import read_state, write_state
from airbed.errors import UsageError


class RuleBook:
    """All rules in the order they were added, with their firings; kept in a file so that a restart loses nothing.

    Firings are counted by `claim` in one step of the director's only thread, so two instances never share the last one.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._rules: dict[str, TaskRule] = {}
        self._fired: dict[str, int] = {}
        self._last = 0
        self._load()

    def add(self, rule: TaskRule) -> str:
        """Keep a rule; returns its id, which is never used again."""
        self._last += 1
        rule_id = f"r{self._last}"
        self._rules[rule_id], self._fired[rule_id] = rule, 0
        self._save()
        return rule_id

    def remove(self, rule_id: str) -> bool:
        """Forget a rule; False when there is none of that id."""
        if self._rules.pop(rule_id, None) is None:
            return False
        del self._fired[rule_id]
        self._save()
        return True

    def clear(self) -> int:
        """Forget every rule; returns how many there were."""
        removed = len(self._rules)
        self._rules.clear()
        self._fired.clear()
        self._save()
        return removed

    def get(self, rule_id: str) -> dict[str, Any] | None:
        """A rule as a JSON object with `id` and `fired`, or None."""
        rule = self._rules.get(rule_id)
        return None if rule is None else {"id": rule_id, **asdict(rule), "fired": self._fired[rule_id]}

    def all(self) -> list[dict[str, Any]]:
        """Every rule as `get` gives it, in the order they were added."""
        return [rule for rule_id in self._rules if (rule := self.get(rule_id)) is not None]

    def matching(self, instance: Instance) -> dict[str, TaskRule]:
        """The rules for an instance that may still fire, by id."""
        return {key: rule for key, rule in self._rules.items() if rule.matches(instance) and not self._spent(key)}

    def claim(self, rule_id: str, instance: Instance) -> TaskRule | None:
        """Count one firing and return the rule; None when it is gone, spent or not for that instance."""
        rule = self._rules.get(rule_id)
        if rule is None or not rule.matches(instance) or self._spent(rule_id):
            return None
        self._fired[rule_id] += 1
        self._save()
        return rule

    def _spent(self, rule_id: str) -> bool:
        times = self._rules[rule_id].times
        return times is not None and self._fired[rule_id] >= times

    def _load(self) -> None:
        state = read_state(self._file, "task rules")
        if state is None:
            return
        try:
            self._last = int(state["last"])
            for saved in state["rules"]:
                rule_id, fired = str(saved.pop("id")), int(saved.pop("fired"))
                # Defaults were filled in when the rule was first parsed.
                if saved["action"] != "raise":
                    saved["exception"] = None
                self._rules[rule_id], self._fired[rule_id] = TaskRule.parse(saved), fired
        except (ValueError, KeyError, TypeError, UsageError) as error:
            raise UsageError(
                f"director: {self._file} is not a file of task rules ({error}); delete it to start without"
            ) from error

    def _save(self) -> None:
        write_state(self._file, json.dumps({"last": self._last, "rules": self.all()}))
