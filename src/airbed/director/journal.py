"""What the director was asked and what fired: in order, bounded, and on the disk."""

from __future__ import annotations

import json
import time
from collections import deque
from pathlib import Path
from typing import Any, TextIO

from airbed.director.state import write_state

KINDS = (
    *("started", "asked", "fired", "refused", "arrived"),
    *("gate-arrived", "gate-opened", "gate-timed-out"),
    *("s3-fired", "s3-followed", "s3-unreachable"),
)


class Journal:
    """Entries in order, each a JSON object with `seq` (from 1), `time` (Unix seconds) and `kind`.

    `started`: the director's process began. `asked`: an instance asked, `rules` and `gates` are those offered.
    `fired`: a fault was claimed, just before it happens. `refused`: a claim came too late (rule spent or removed).
    `arrived`: an instance was counted for a rule with arrivals, `position` from 1. `gate-*`: likewise for gates.
    `s3-fired`: an S3 request met a rule; `s3-followed`: how the same request fared there or later; `s3-unreachable`:
    the store took no connection. Questions are bounded apart from the rest, so that thousands of healthy instances
    never push out what was injected.
    """

    def __init__(self, file: Path | None = None, limit: int = 10_000) -> None:
        """`file` takes an entry a line, and is read again at the next start; None: in memory only."""
        self._asked: deque[dict[str, Any]] = deque(maxlen=limit)
        self._others: deque[dict[str, Any]] = deque(maxlen=limit)
        self._limit = limit
        self._seq = 0
        self._file = file
        self._stream: TextIO | None = None
        self._lines = 0
        if file is not None and file.exists():
            for line in file.read_text().splitlines():
                self._recall(line)
        self._write_anew()

    def add(self, kind: str, **fields: Any) -> dict[str, Any]:
        """Note one thing now and return its entry; `kind` is one of KINDS."""
        self._seq += 1
        entry = {"seq": self._seq, "time": time.time(), "kind": kind, **fields}
        (self._asked if kind == "asked" else self._others).append(entry)
        self._lines += 1
        if self._lines > 4 * self._limit:
            self._write_anew()
        elif self._stream is not None:
            self._stream.write(json.dumps(entry) + "\n")
            self._stream.flush()
        return entry

    def entries(self, *, after: int = 0, limit: int | None = None, **equal: str) -> list[dict[str, Any]]:
        """Entries with a `seq` above `after` whose fields equal the given ones; the last `limit` of them."""
        found = [
            entry
            for entry in self._all()
            if entry["seq"] > after and all(entry.get(name) == value for name, value in equal.items())
        ]
        return found if limit is None else found[len(found) - min(limit, len(found)) :]

    def clear(self) -> None:
        """Forget every entry; `seq` goes on."""
        self._asked.clear()
        self._others.clear()
        self._write_anew()

    def _all(self) -> list[dict[str, Any]]:
        return sorted([*self._asked, *self._others], key=lambda entry: int(entry["seq"]))

    def _recall(self, line: str) -> None:
        try:
            entry = json.loads(line)
            self._seq = max(self._seq, int(entry["seq"]))
        except (ValueError, KeyError, TypeError):
            return  # the last line of a director that was killed while it wrote
        if "kind" in entry:
            (self._asked if entry["kind"] == "asked" else self._others).append(entry)

    def _write_anew(self) -> None:
        if self._file is None:
            return
        if self._stream is not None:
            self._stream.close()
        kept = self._all()
        # The first line keeps the count when there is no entry left to tell it.
        write_state(self._file, "".join(json.dumps(entry) + "\n" for entry in [{"seq": self._seq}, *kept]))
        self._stream = self._file.open("a")
        self._lines = len(kept)
