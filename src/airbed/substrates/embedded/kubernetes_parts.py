"""The Kubernetes services of a bed."""

from __future__ import annotations

from airbed.endpoints import Endpoints
from airbed.settings import Settings
from airbed.spec import BedFiles, BedSpec
from airbed.substrates.embedded.program import Program
from airbed.substrates.embedded.startup import Progress


def programs(
    settings: Settings, files: BedFiles, spec: BedSpec, endpoints: Endpoints, progress: Progress
) -> list[Program]:
    """etcd, the API server, its controllers and scheduler, and KWOK in place of a kubelet."""
    from airbed.kubernetes import build, control_plane

    tools = build.build(settings, progress)
    control_plane.prepare(files.kubernetes, spec.ports, tools)
    return list(control_plane.programs(files.kubernetes, spec.ports, tools))
