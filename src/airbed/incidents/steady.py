"""The steady state: every service works, nothing is injected, no rule, gate or toxic is left."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from airbed.errors import AirbedError, Unavailable
from airbed.faults.ledger import Ledger
from airbed.spec import write_private

if TYPE_CHECKING:
    from airbed.bed import Bed

BROKEN = "broken"  # a file in the bed's folder: what kept the last proof from succeeding
STARTS_WITHIN = 30.0
RECOVERS_WITHIN = 60.0
POLL = 0.5


def ensure_well(bed: Bed) -> None:
    """Return when the bed is in its steady state; Unavailable when it does not get there within half a minute."""
    found = _wait(bed, STARTS_WITHIN)
    if found:
        raise Unavailable(f"bed '{bed.name}' is not well: {_told(found)}; make it well: airbed up --name {bed.name}")


def prove(bed: Bed) -> None:
    """Wait until the bed is in its steady state again; Unavailable, and the bed marked as broken, when it is not to be.

    The mark is for `airbed status`; the next proof that succeeds removes it.
    """
    found = _wait(bed, RECOVERS_WITHIN)
    if found:
        write_private(bed.folder / BROKEN, "".join(f"{each}\n" for each in found))
        raise Unavailable(
            f"bed '{bed.name}' is not as it was: {_told(found)}; try: airbed fault clear --name {bed.name},"
            f" then airbed up --name {bed.name}"
        )
    (bed.folder / BROKEN).unlink(missing_ok=True)


def _wait(bed: Bed, timeout: float) -> list[str]:
    """What is wrong after at most `timeout` seconds; empty as soon as nothing is."""
    deadline = time.monotonic() + timeout
    while found := problems(bed):
        if time.monotonic() > deadline or not bed.substrate.alive():
            break
        time.sleep(POLL)
    return found


def _told(found: list[str]) -> str:
    more = f" and {len(found) - 3} more" if len(found) > 3 else ""
    return "; ".join(found[:3]) + more


def problems(bed: Bed) -> list[str]:
    """What is not as it should be, one line each; empty in the steady state."""
    found = [f"{each.name} is {each.state}" for each in bed.substrate.status() if each.state != "running"]
    found += [f"fault {each.id} ({each.kind}) is {each.state}" for each in Ledger(bed.folder).entries()]
    for look in (_at_director, _at_toxiproxy):
        try:
            found += look(bed)
        except AirbedError as error:
            found.append(str(error))
    return found


def _at_director(bed: Bed) -> list[str]:
    director = bed.director
    found = [f"the director has {len(rules)} task rules" for rules in [director.rules()] if rules]
    found += [f"the director has {len(gates)} gates" for gates in [director.gates()] if gates]
    return found + [f"the director has {len(rules)} S3 rules" for rules in [director.s3_rules()] if rules]


def _at_toxiproxy(bed: Bed) -> list[str]:
    if bed.endpoints.toxiproxy is None:
        return []
    proxies = [each for each in bed.toxiproxy.proxies().values() if each.name in bed.substrate.services]
    found = [f"the way to {each.name} is closed" for each in proxies if not each.enabled]
    return found + [f"the way to {each.name} has the toxic {toxic.name}" for each in proxies for toxic in each.toxics]
