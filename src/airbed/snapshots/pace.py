"""Progress of a copy: a line at the beginning, and one every two seconds."""

from __future__ import annotations

import time
from collections.abc import Callable

EVERY_SECONDS = 2.0


def counting(what: str, total: int, progress: Callable[[str], None]) -> Callable[[int], None]:
    """A function to be told the bytes so far of at most `total`; it says so now and then, `what` first."""
    progress(f"{what}: up to {total / 1e6:.0f} MB")
    said = time.monotonic()

    def tell(done: int) -> None:
        nonlocal said
        if time.monotonic() - said >= EVERY_SECONDS:
            said = time.monotonic()
            progress(f"{what}: {done / 1e6:.0f} of {total / 1e6:.0f} MB")

    return tell
