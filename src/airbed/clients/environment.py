"""The caller's own Postgres and AWS settings, out of the way of the bed's clients.

libpq and botocore read variables that no parameter overrides: with PGSERVICE or AWS_PROFILE set, a client of the bed
could fail, or end up at the caller's own service.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

PREFIXES = ("PG", "AWS_", "BOTO")

_lock = threading.Lock()
_hidden: dict[str, str] = {}
_users = 0


@contextmanager
def without_the_callers() -> Iterator[None]:
    """Until its end, this process has no variable that begins with one of PREFIXES; then they are as they were.

    Only while a client is made: in a pytest session the variables are the user's own. Several threads may be in here
    at once; the last one puts the variables back.
    """
    global _users  # noqa: PLW0603
    with _lock:
        _users += 1
        _hidden.update({name: os.environ.pop(name) for name in [*os.environ] if name.startswith(PREFIXES)})
    try:
        yield
    finally:
        with _lock:
            _users -= 1
            if not _users:
                os.environ.update(_hidden)
                _hidden.clear()
