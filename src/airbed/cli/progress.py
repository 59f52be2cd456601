"""Progress on standard error: one live line on a terminal, plain lines otherwise."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.markup import escape

from airbed.cli.common import console

PLAIN_EVERY = 2.0


@contextmanager
def showing() -> Iterator[Callable[[str, float], None]]:
    """A function that shows a line and the seconds so far, until the block ends.

    Without a terminal a line is printed only when it differs from the one before, and at most every two seconds; the
    last one always.
    """
    if console.is_terminal:
        with console.status("starting") as status:
            yield lambda line, seconds: status.update(f"{escape(line)} [dim]{seconds:.1f} s[/dim]")
        return

    shown, pending, printed = "", None, float("-inf")

    def show(line: str, seconds: float) -> None:
        nonlocal shown, pending, printed
        if line == shown:
            return
        pending = (line, seconds)
        if time.monotonic() - printed >= PLAIN_EVERY:
            flush()

    def flush() -> None:
        nonlocal shown, pending, printed
        if pending is not None:
            console.print(f"[dim]{pending[1]:6.1f} s[/dim]  {escape(pending[0])}", soft_wrap=True)
            shown, pending, printed = pending[0], None, time.monotonic()

    try:
        yield show
    finally:
        flush()


def time_factor(scale: float) -> str:
    """How retry delays run on a bed, for a run's header."""
    return "retry delays as written (time factor 1)" if scale == 1 else f"retry delays divided by {scale:g}"
