"""What a holder tells the commands of airbed: a small file that is always whole."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from airbed.spec import write_private


class Report:
    """The facts of one holder, as `airbed.faults.holder.told` returns them."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._facts: dict[str, Any] = {"state": "starting"}
        self.tell()

    def tell(self, **facts: Any) -> None:
        """Add or change facts; the file is written only when something changed."""
        changed = {**self._facts, **facts}
        if facts and changed == self._facts:
            return
        self._facts = changed
        write_private(self._path, json.dumps(changed))
