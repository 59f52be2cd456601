"""Files of the director's state: replaced as a whole, readable by their owner only."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from airbed.errors import UsageError


def write_state(file: Path, text: str) -> None:
    """Put `text` into the file in one step; its folder is made when it is missing."""
    file.parent.mkdir(parents=True, exist_ok=True)
    draft = file.with_name(f"{file.name}.new")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "w") as stream:
        stream.write(text)
    draft.replace(file)


def read_state(file: Path, what: str) -> Any:
    """The JSON in the file; None when there is no file, UsageError when it is not JSON (`what` names its content)."""
    if not file.exists():
        return None
    try:
        return json.loads(file.read_text())
    except ValueError as error:
        raise UsageError(f"director: {file} is not a file of {what} ({error}); delete it to start without") from error
