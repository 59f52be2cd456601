"""The Kubernetes services of a bed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from airbed.endpoints import Endpoints
from airbed.settings import Settings
from airbed.spec import BedFiles, BedSpec
from airbed.substrates.embedded.program import Program
from airbed.substrates.embedded.startup import Progress


def programs(
    settings: Settings, files: BedFiles, spec: BedSpec, endpoints: Endpoints, progress: Progress
) -> list[Program]:
    """etcd, the API server with the bed's regions, its controllers and scheduler, and KWOK in place of a kubelet."""
    from airbed.kubernetes import build, control_plane

    tools = build.build(settings, progress)
    control_plane.prepare(files.kubernetes, spec.ports, tools)
    return [
        _with_regions(program, settings.resources.infra, endpoints) if program.name == "kube-apiserver" else program
        for program in control_plane.programs(files.kubernetes, spec.ports, tools)
    ]


def _with_regions(program: Program, infra: Path, endpoints: Endpoints) -> Program:
    """Make the regions as soon as the API answers, before anything else uses it."""
    from airbed.kubernetes import regions

    at = endpoints.kubernetes

    def on_ready() -> None:
        program.on_ready()
        folder = next(iter(at.regions.values())).kubeconfig.parent
        regions.configure(at.kubeconfig, folder, infra / "kubernetes", server=at.task)

    return replace(program, on_ready=on_ready)
