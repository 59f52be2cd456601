"""What happened in a case, as it happens: JSON Lines on the disk, and a timeline for people."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

Say = Callable[[str], None]


class Journal:
    """Entries in order, each with `time` (UTC), `t` (seconds since the case began) and `what`; flushed one by one."""

    def __init__(self, file: Path | None = None, say: Say = lambda line: None) -> None:
        self._file = file
        self._say = say
        self._began = time.monotonic()
        self.began = datetime.now(UTC)
        self.entries: list[dict[str, Any]] = []
        if file is not None:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text("")

    def add(self, what: str, **fields: Any) -> None:
        """Note one thing now; `fields` that are None are left out."""
        entry = {
            "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "t": round(time.monotonic() - self._began, 3),
            "what": what,
            **{name: value for name, value in fields.items() if value is not None},
        }
        self.entries.append(entry)
        if self._file is not None:
            with self._file.open("a") as stream:
                stream.write(json.dumps(entry, default=str) + "\n")
        self._say(line(entry))

    def of(self, what: str) -> list[dict[str, Any]]:
        """The entries of one kind."""
        return [each for each in self.entries if each["what"] == what]

    def timeline(self) -> str:
        """One line an entry."""
        return "".join(f"{each['t']:8.3f} s  {line(each)}\n" for each in self.entries)


def line(entry: dict[str, Any]) -> str:
    """An entry in a few words: `fault applied: shard-1-down (process.stop service='shard-1')`."""
    rest = {name: value for name, value in entry.items() if name not in ("time", "t", "what")}
    head = rest.pop("id", None)
    words = ", ".join(f"{name} {_shown(value)}" for name, value in rest.items())
    return f"{entry['what']}{f': {head}' if head else ''}{f' ({words})' if words else ''}"


def _shown(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, default=str)
    return " ".join(text.split())
