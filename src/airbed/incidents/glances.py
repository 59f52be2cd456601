"""Looks that never block for long: a paused database takes a question, and never answers it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar

from airbed.errors import Unavailable

EVERY = 0.2  # seconds between two looks at the same thing
PATIENCE = 1.0  # seconds that a look is waited for before work goes on without it

Result = TypeVar("Result")


class _Look(threading.Thread):
    """One look at something, with its `value` or its `error` once it is `done_at` a time."""

    def __init__(self, look: Callable[[], Any]) -> None:
        super().__init__(daemon=True)
        self._look = look
        self.value: Any = None
        self.error: Exception | None = None
        self.done_at: float | None = None

    def run(self) -> None:
        """Look."""
        try:
            self.value = self._look()
        except Exception as error:
            self.error = error
        self.done_at = time.monotonic()


class Glances:
    """The last look at each thing, by its name."""

    def __init__(self) -> None:
        self._looks: dict[str, _Look] = {}
        self._values: dict[str, Any] = {}

    def at(self, what: str, look: Callable[[], Any]) -> Any:
        """What was seen at the last look, at most `EVERY` seconds ago; None when it could not be seen.

        While a look does not come back, the one before it counts. Raises what the look raised, but for Unavailable.
        """
        going = self._looks.get(what)
        if going is None or (going.done_at is not None and time.monotonic() - going.done_at >= EVERY):
            going = self._looks[what] = _Look(look)
            going.start()
            going.join(PATIENCE)
        if going.done_at is not None:
            if going.error is not None and not isinstance(going.error, Unavailable):
                raise going.error
            self._values[what] = going.value
        return self._values.get(what)


def within(seconds: float, what: str, work: Callable[[], Result]) -> Result:
    """The result of some reading; Unavailable when it does not come in time."""
    look = _Look(work)
    look.start()
    look.join(seconds)
    if look.done_at is None:
        raise Unavailable(f"{what} was not read within {seconds:g} s")
    if look.error is not None:
        raise look.error
    result: Result = look.value
    return result
