"""What a substrate cannot do, with the reason: the one place where that is said.

A fault of such a kind is refused before anything is changed, a scenario with one before anything is started, and a test
that injects one is skipped; each with this reason.
"""

from __future__ import annotations

from airbed.errors import NotOnThisSubstrate, Unavailable

# By substrate and kind of fault.
CANNOT: dict[str, dict[str, str]] = {
    "compose": {
        "postgres.disk-full": "the disk is a mount of this machine, which the server in its container does not see",
    },
}
# By substrate: why its beds cannot be saved as a snapshot.
NO_SNAPSHOTS: dict[str, str] = {
    "compose": "the engine keeps its data in volumes, which are not copied",
}
# By S3 service.
NO_SNAPSHOTS_WITH: dict[str, str] = {
    "moto": "moto keeps objects in memory only, and a bed is halted to be saved",
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


def ensure_can_be_saved(name: str, substrate: str, s3: str) -> None:
    """Raise Unavailable for a bed of which no snapshot can be made."""
    reason = NO_SNAPSHOTS.get(substrate)
    if reason is not None:
        raise Unavailable(
            f"snapshots are for embedded beds, and bed '{name}' is on {substrate}: {reason}; make one with:"
            " airbed up --on embedded"
        )
    reason = NO_SNAPSHOTS_WITH.get(s3)
    if reason is not None:
        raise Unavailable(f"bed '{name}' cannot be saved: {reason}; make one with: airbed up --s3 seaweedfs")
