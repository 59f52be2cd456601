"""The releases that `multi_region_deploy` rolls out: `s3://artifacts/v1.2.3` and `v1.2.4`."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date
from typing import Any

from airbed.seed.summary import Summary

BUCKET = "artifacts"
VERSIONS = ("v1.2.3", "v1.2.4")


@dataclass(frozen=True)
class ArtifactsSummary(Summary):
    """`keys` are the objects, one for each version."""

    bucket: str = BUCKET
    keys: tuple[str, ...] = VERSIONS


def make() -> dict[str, bytes]:
    """Key to body: a small release manifest for each version."""
    return {
        version: json.dumps(
            {"name": "checkout", "version": version.removeprefix("v"), "image": f"registry.example/checkout:{version}"}
        ).encode()
        for version in VERSIONS
    }


def put(s3: Any, day: date, *, seed: int = 1) -> ArtifactsSummary:
    """Put the releases into bucket `artifacts` with a boto3 client. They are the same for every day and seed number."""
    bodies = make()
    for key, body in bodies.items():
        s3.put_object(Bucket=BUCKET, Key=key, Body=body)
    return ArtifactsSummary(
        pattern="multi_region_deploy",
        day=day,
        seed=seed,
        objects=len(bodies),
        size=sum(len(body) for body in bodies.values()),
        note="releases 1.2.3 and 1.2.4, the same for every day",
    )
