"""The substrates by name; each is imported when it is asked for."""

from __future__ import annotations

import importlib
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, cast

from airbed.errors import Unavailable, UsageError

if TYPE_CHECKING:
    from airbed.substrates.base import Beds

EMBEDDED = "embedded"
COMPOSE = "compose"
NAMES = (EMBEDDED, COMPOSE)
VARIABLE = "AIRBED_ON"


def beds_on(name: str) -> Beds:
    """How beds of a substrate are made and removed; Unavailable for one that this airbed does not know."""
    if name not in NAMES:
        raise Unavailable(
            f"there is no substrate '{name}', only {' and '.join(NAMES)}; was the bed made by another airbed?"
        )
    # A module is what has the functions of the protocol.
    return cast("Beds", importlib.import_module(f"airbed.substrates.{name}.beds"))


def all_beds() -> Iterator[Beds]:
    """The same for every substrate, for a bed of which nothing tells what it is on."""
    return (beds_on(name) for name in NAMES)


def asked_for(option: str | None) -> str | None:
    """The substrate that the user asked for, by option or AIRBED_ON; None when not said."""
    found = option or os.environ.get(VARIABLE) or None
    if found is not None and found not in NAMES:
        where = "--on" if option else VARIABLE
        raise UsageError(f"{where} {found} is unknown; choose {' or '.join(NAMES)}")
    return found
