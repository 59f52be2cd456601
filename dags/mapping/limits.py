"""Say early, in one clear line, that a list is too short or too long to be mapped."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from airflow.sdk.exceptions import AirflowFailException

T = TypeVar("T")


def require_between(items: Sequence[T], least: int, most: int, what: str) -> list[T]:
    """Return the items as a list when there are `least` to `most` of them.

    Without it an empty list skips the mapped task and the run is green, and a list above `[core] max_map_length` (1024)
    fails in the XCom push, is retried for nothing, and says nothing about the data.

    Raises AirflowFailException (not retried) that names `what`, the count and the limit.
    """
    if len(items) < least:
        raise AirflowFailException(f"{what}: found {len(items)}, at least {least} expected: is the source complete?")
    if len(items) > most:
        raise AirflowFailException(f"{what}: found {len(items)}, the most is {most}: batch them with chunks()")
    return list(items)


def chunks(items: Sequence[T], size: int) -> list[list[T]]:
    """Cut a list into lists of `size` items (the last may be shorter), in order: one instance then does a whole chunk.

    Raises ValueError for a size below 1.
    """
    if size < 1:
        raise ValueError(f"a chunk has at least one item, not {size}")
    return [list(items[at : at + size]) for at in range(0, len(items), size)]
