"""What the director was asked and what fired, newest last, bounded."""

from __future__ import annotations

import time
from collections import deque
from typing import Any

KINDS = ("asked", "fired", "refused", "s3-fired", "s3-followed", "s3-unreachable")


class Journal:
    """Entries in order, each a JSON object with `seq` (from 1), `time` (Unix seconds) and `kind`.

    `asked`: an instance asked, `rules` are the ids offered. `fired`: a fault was claimed, just before it happens.
    `refused`: a claim came too late (rule spent or removed). `s3-fired`: an S3 request met a rule; `s3-followed`: how
    the same request fared there or later; `s3-unreachable`: the store took no connection. Questions are bounded apart
    from faults, so that thousands of healthy instances never push out what was injected.
    """

    def __init__(self, limit: int = 10_000) -> None:
        self._asked: deque[dict[str, Any]] = deque(maxlen=limit)
        self._faults: deque[dict[str, Any]] = deque(maxlen=limit)
        self._seq = 0

    def add(self, kind: str, **fields: Any) -> None:
        """Note one thing now; `kind` is one of KINDS."""
        self._seq += 1
        entry = {"seq": self._seq, "time": time.time(), "kind": kind, **fields}
        (self._asked if kind == "asked" else self._faults).append(entry)

    def entries(self, *, after: int = 0, limit: int | None = None, **equal: str) -> list[dict[str, Any]]:
        """Entries with a `seq` above `after` whose fields equal the given ones; the last `limit` of them."""
        found = [
            entry
            for entry in sorted([*self._asked, *self._faults], key=lambda entry: int(entry["seq"]))
            if entry["seq"] > after and all(entry.get(name) == value for name, value in equal.items())
        ]
        return found if limit is None else found[len(found) - min(limit, len(found)) :]

    def clear(self) -> None:
        """Forget every entry; `seq` goes on."""
        self._asked.clear()
        self._faults.clear()
