"""The task rules that are in force, with their firings, kept across restarts."""

from __future__ import annotations

import json
from dataclasses import astuple, dataclass, field
from pathlib import Path
from typing import Any

from airbed.director.rules import TaskRule
from airbed.director.selection import Instance
from airbed.director.state import read_state, write_state
from airbed.errors import UsageError


@dataclass
class Kept:
    """A rule, how often it fired, who has arrived, in order, and who met it with the work still before them."""

    rule: TaskRule
    fired: int = 0
    arrived: dict[Instance, None] = field(default_factory=dict)
    met: dict[Instance, None] = field(default_factory=dict)

    @property
    def spent(self) -> bool:
        """Whether it cannot fire any more."""
        return self.rule.times is not None and self.fired >= self.rule.times

    def may_fire(self, instance: Instance, resumed: bool) -> bool:
        """Whether it may fire for an instance that it matches; once for the two parts of a try that was deferred."""
        if resumed and instance in self.met:
            return self.rule.lasts
        return not self.spent


class RuleBook:
    """All rules in the order they were added, with their firings; kept in a file so that a restart loses nothing.

    Firings are counted by `claim` in one step of the director's only thread, so two instances never share the last one.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._rules: dict[str, Kept] = {}
        self._last = 0
        self._load()

    def add(self, rule: TaskRule, rule_id: str | None = None) -> str:
        """Keep a rule; returns its id (one that the director makes is never used again).

        The same rule under the same id again changes nothing; another one under it is a UsageError.
        """
        if rule_id is None:
            self._last += 1
            rule_id = f"r{self._last}"
        if rule_id in self._rules:
            if self._rules[rule_id].rule != rule:
                raise UsageError(f"task rule: there is another rule of the id {rule_id!r}; remove it first")
            return rule_id
        self._rules[rule_id] = Kept(rule)
        self._save()
        return rule_id

    def remove(self, rule_id: str) -> bool:
        """Forget a rule; False when there is none of that id."""
        if self._rules.pop(rule_id, None) is None:
            return False
        self._save()
        return True

    def clear(self) -> int:
        """Forget every rule; returns how many there were."""
        removed = len(self._rules)
        self._rules.clear()
        self._save()
        return removed

    def get(self, rule_id: str) -> dict[str, Any] | None:
        """A rule as a JSON object with `id`, `fired` and `arrived` (a number, for rules with arrivals), or None."""
        kept = self._rules.get(rule_id)
        if kept is None:
            return None
        return {"id": rule_id, **kept.rule.view(), "fired": kept.fired, "arrived": len(kept.arrived)}

    def all(self) -> list[dict[str, Any]]:
        """Every rule as `get` gives it, in the order they were added."""
        return [rule for rule_id in self._rules if (rule := self.get(rule_id)) is not None]

    def matching(self, instance: Instance, *, resumed: bool = False) -> dict[str, TaskRule]:
        """The rules for an instance that may still fire, by id; `resumed`: its try goes on after a trigger."""
        return {
            key: kept.rule
            for key, kept in self._rules.items()
            if kept.rule.matches(instance) and kept.may_fire(instance, resumed)
        }

    def has_met(self, rule_id: str, instance: Instance) -> bool:
        """Whether the rule fired before the work of that try, and let it go on."""
        return rule_id in self._rules and instance in self._rules[rule_id].met

    def claim(self, rule_id: str, instance: Instance, *, resumed: bool = False) -> tuple[TaskRule | None, int | None]:
        """An instance is at the point of the fault: the rule when it fires, counted; None when it does not.

        The second is the instance's position among the arrivals, for a rule that has `arrivals`. A rule that is gone,
        spent or not for that instance does not fire. In the `resumed` part of a try, what fired before the first part
        does not fire again; only a limit for the whole work does, and is not counted again.
        """
        kept = self._rules.get(rule_id)
        if kept is None or not kept.rule.matches(instance) or not kept.may_fire(instance, resumed):
            return None, None
        if resumed and instance in kept.met:
            return kept.rule, None
        position = None
        if kept.rule.arrivals is not None:
            kept.arrived.setdefault(instance)
            position = list(kept.arrived).index(instance) + 1
        fires = kept.rule.arrivals is None or position in kept.rule.arrivals
        kept.fired += fires
        if fires and kept.rule.leaves_the_work:
            kept.met[instance] = None
        self._save()
        return kept.rule if fires else None, position

    def _load(self) -> None:
        state = read_state(self._file, "task rules")
        if state is None:
            return
        try:
            self._last = int(state["last"])
            for saved in state["rules"]:
                rule_id, fired = str(saved.pop("id")), int(saved.pop("fired"))
                arrived, met = ({Instance(*each): None for each in saved.pop(name, [])} for name in ("arrived", "met"))
                self._rules[rule_id] = Kept(TaskRule.parse(saved), fired, arrived, met)
        except (ValueError, KeyError, TypeError, UsageError) as error:
            raise UsageError(
                f"director: {self._file} is not a file of task rules ({error}); delete it to start without"
            ) from error

    def _save(self) -> None:
        rules = [
            {
                **{"id": key, **kept.rule.view(), "fired": kept.fired},
                **{"arrived": [*map(astuple, kept.arrived)], "met": [*map(astuple, kept.met)]},
            }
            for key, kept in self._rules.items()
        ]
        write_state(self._file, json.dumps({"last": self._last, "rules": rules}))
