"""Checks that all seeding functions share."""

from __future__ import annotations

from airbed.errors import UsageError


def ensure_between(name: str, value: int, low: int, high: int) -> int:
    """Return `value`, or raise UsageError when it is not in low..high (both included)."""
    if not low <= value <= high:
        raise UsageError(f"{name} {value} is out of range: give {low} to {high}")
    return value


def shares(total: int, weights: list[float], at_least: int = 0) -> list[int]:
    """Split `total` into whole numbers in proportion to `weights`, each at least `at_least`; they sum up to `total`."""
    rest = total - at_least * len(weights)
    exact = [rest * weight / sum(weights) for weight in weights]
    parts = [int(each) for each in exact]
    by_remainder = sorted(range(len(parts)), key=lambda index: (parts[index] - exact[index], index))
    for index in by_remainder[: rest - sum(parts)]:
        parts[index] += 1
    return [part + at_least for part in parts]
