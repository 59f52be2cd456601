"""Snapshots: how many there are, what they take, and which of them can only be deleted."""

from __future__ import annotations

from collections.abc import Iterator

from airbed.doctor.finding import Finding
from airbed.settings import Settings


def snapshots(settings: Settings) -> Iterator[Finding]:
    """One finding where there are snapshots, none otherwise."""
    from airbed.snapshots.state import rows

    found = rows(settings)
    if not found:
        return
    said = f"{len(found)} in {settings.snapshots}, {sum(each.bytes for each in found) / 1e9:.1f} GB"
    stale = [each.name for each in found if not each.usable]
    if stale:
        said += f"; not usable: {', '.join(stale)}"
        yield Finding("snapshots", "warn", said, f"airbed snapshot ls (why), airbed snapshot rm {' '.join(stale)}")
        return
    yield Finding("snapshots", "ok", said)
