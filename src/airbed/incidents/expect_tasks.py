"""Hold the instances of one task against what is expected of them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence

from airbed.incidents.claims import Bound, Tries
from airbed.incidents.differences import Difference, differs
from airbed.incidents.expectation import TaskExpect
from airbed.runs.model import Instance

_FAILED = {"hard", "soft", "lost"}


def task_differences(where: str, wanted: TaskExpect, instances: Sequence[Instance]) -> Iterator[Difference]:
    """What is otherwise with the instances of one task (apart from how many ran at once)."""
    yield from _outcomes(f"{where}.outcomes", wanted, instances)
    if wanted.tries is not None:
        yield from _tries(f"{where}.tries", wanted.tries, instances)
    yield from _errors(f"{where}.errors", wanted, instances)
    if wanted.seconds is not None:
        by_index = wanted.seconds if isinstance(wanted.seconds, dict) else None
        yield from _not_there(f"{where}.seconds", by_index or (), instances)
        for each in instances:
            bound = by_index.get(each.map_index) if by_index is not None else wanted.seconds
            if isinstance(bound, Bound) and not bound.holds(each.seconds):
                yield differs(f"{where}.seconds", f"{each.name} worked {each.seconds:.1f} s, expected {bound}")


def _outcomes(where: str, wanted: TaskExpect, instances: Sequence[Instance]) -> Iterator[Difference]:
    seen: dict[str, list[int]] = {}
    for each in instances:
        seen.setdefault(each.state, []).append(each.map_index)
    if isinstance(wanted.outcomes, str):
        if set(seen) != {wanted.outcomes}:
            yield differs(where, f"{_by_outcome(seen, instances)}, expected all {wanted.outcomes}")
        return
    if wanted.outcomes is None:
        return
    for name, count in wanted.outcomes.items():
        outcome: str = name
        there = sorted(seen.pop(outcome, []))
        if isinstance(count, list) and there != sorted(count):
            yield differs(
                f"{where}.{outcome}", f"map_indexes {there}, expected {sorted(count)}{_said(instances, there)}"
            )
        elif isinstance(count, int) and len(there) != count:
            yield differs(f"{where}.{outcome}", f"{len(there)} {there}, expected {count}{_said(instances, there)}")
    for outcome, there in seen.items():
        yield differs(where, f"{outcome} {sorted(there)}, and nothing is expected to be{_said(instances, there)}")


def _by_outcome(seen: Mapping[str, list[int]], instances: Sequence[Instance]) -> str:
    counts = ", ".join(f"{len(there)} {outcome}" for outcome, there in sorted(seen.items())) or "no instances"
    return counts + _said(
        instances, [index for outcome, there in seen.items() if outcome != "success" for index in there]
    )


def _said(instances: Sequence[Instance], indexes: Sequence[int]) -> str:
    """The first error text of some instances."""
    error = next((each.error for each in instances if each.map_index in indexes and each.error), None)
    return f" ({error})" if error else ""


def _tries(where: str, wanted: Tries, instances: Sequence[Instance]) -> Iterator[Difference]:
    if wanted.by_count is not None:
        counted = dict(sorted(Counter(each.tries for each in instances).items()))
        if counted != {tries: count for tries, count in sorted(wanted.by_count.items()) if count}:
            yield differs(where, f"instances by number of tries are {counted}, expected {wanted.by_count}")
        return
    by_index = wanted.by_index or {}
    yield from _not_there(where, by_index, instances)
    for each in instances:
        expected = by_index.get(each.map_index, 1) if wanted.every is None else wanted.every
        # One that never ran (skipped, upstream failed) was not tried; that is for `outcomes` to judge.
        if each.tries != expected and (each.tries > 0 or each.map_index in by_index):
            yield differs(where, f"{each.name} was tried {each.tries} times, expected {expected}")


def _errors(where: str, wanted: TaskExpect, instances: Sequence[Instance]) -> Iterator[Difference]:
    if wanted.errors is None:
        return
    patterns = wanted.errors
    chosen = [
        each
        for each in instances
        if (each.state in _FAILED if isinstance(patterns, str) else each.map_index in patterns)
    ]
    if not isinstance(patterns, str):
        yield from _not_there(where, patterns, instances)
    elif not chosen:
        yield differs(where, f"no instance failed, expected one like {patterns!r}")
    for each in chosen:
        pattern = patterns if isinstance(patterns, str) else patterns[each.map_index]
        if not re.search(pattern, each.error or ""):
            yield differs(where, f"{each.name}: {each.error or 'no error text'}; expected one like {pattern!r}")


def _not_there(where: str, indexes: Iterable[int], instances: Sequence[Instance]) -> Iterator[Difference]:
    """A line for each map_index that is spoken of and that no instance has."""
    there = {each.map_index for each in instances}
    for index in sorted(set(indexes) - there):
        yield differs(where, f"there is no instance with map_index {index}; there are {_listed(sorted(there))}")


def _listed(indexes: Sequence[int]) -> str:
    """Map_indexes as one text that stays short: `0-11` where none is left out."""
    if len(indexes) > 2 and indexes[-1] - indexes[0] == len(indexes) - 1:
        return f"{indexes[0]}-{indexes[-1]}"
    return ", ".join(map(str, indexes)) or "none"
