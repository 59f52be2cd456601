"""Names of exception classes: `module:Class`."""

from __future__ import annotations

import builtins
import re

DEFAULT_EXCEPTION = "builtins:RuntimeError"
_CLASS_PATH = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")


def check_exception(path: object) -> str:
    """The name, when it may be one; ValueError says what is wrong with it.

    Only Python's own are looked up: others may exist only where the tasks run; the task says so when it cannot import
    one.
    """
    if not isinstance(path, str) or not _CLASS_PATH.fullmatch(path):
        raise ValueError(f"exception must be 'module:Class', such as {DEFAULT_EXCEPTION!r}, got {path!r}")
    module, _, name = path.partition(":")
    if module == "builtins":
        found = getattr(builtins, name, None)
        if not isinstance(found, type) or not issubclass(found, BaseException):
            raise ValueError(f"{path!r} is not an exception class of Python")
    return path
