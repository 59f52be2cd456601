"""What a substrate cannot do, with the reason: the one place where that is said.

A fault of such a kind is refused before anything is changed, a scenario with one before anything is started, and a test
that injects one is skipped; each with this reason.
"""

from __future__ import annotations

from airbed.errors import NotOnThisSubstrate

# By substrate and kind of fault.
CANNOT: dict[str, dict[str, str]] = {
    "compose": {
        "postgres.disk-full": "the disk is a mount of this machine, which the server in its container does not see",
    },
}


def why_not(substrate: str, kind: str) -> str | None:
    """Why a kind of fault cannot be on a substrate; None when it can."""
    return CANNOT.get(substrate, {}).get(kind)


def ensure_can(substrate: str, kind: str) -> None:
    """Raise NotOnThisSubstrate (exit code 2) for a kind of fault that the bed's substrate cannot do."""
    reason = why_not(substrate, kind)
    if reason is not None:
        raise NotOnThisSubstrate(
            f"{kind} is not possible on a bed of {substrate}: {reason}; it is with: airbed up --on embedded"
        )
