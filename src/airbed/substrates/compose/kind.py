"""The program `kind`: where it is, what it is told, and how what it made is deleted."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

from airbed.errors import Unavailable
from airbed.settings import Settings
from airbed.spec import BedSpec
from airbed.substrates.compose import layout
from airbed.substrates.compose.engine import Engine
from airbed.substrates.shared import LOOPBACK

LABEL = "io.x-k8s.kind.cluster"
CREATE_SECONDS = 300


def configuration(spec: BedSpec, template: Path) -> dict[str, Any]:
    """What kind is told: the template, a fixed port for the host, certificates for the ways of the tasks.

    One of a kind needs no election, and no bed has to survive a power cut: both cost most of what an idle node does.
    """
    import yaml

    document: dict[str, Any] = yaml.safe_load(template.read_text())
    names = ["127.0.0.1", "localhost", "toxiproxy", layout.toxiproxy_address(spec), layout.node(spec.name)]
    alone = {"extraArgs": {"leader-elect": "false"}}
    patch = {
        "kind": "ClusterConfiguration",
        "apiServer": {"certSANs": names},
        "etcd": {"local": {"extraArgs": {"unsafe-no-fsync": "true"}}},
        "controllerManager": alone,
        "scheduler": alone,
    }
    document["networking"] = {
        **document.get("networking", {}),
        "apiServerAddress": LOOPBACK,
        "apiServerPort": spec.ports["kube-apiserver"],
    }
    document["kubeadmConfigPatches"] = [*document.get("kubeadmConfigPatches", []), json.dumps(patch)]
    return document


def binary(settings: Settings) -> str:
    """The program `kind` that `make images` built, else the one of the PATH; Unavailable when there is none."""
    from airbed.substrates.compose.project import decided

    built = decided(settings).get("KIND", "")
    found = built if os.access(built, os.X_OK) else shutil.which("kind")
    if not found:
        raise Unavailable("there is no program 'kind'; build it with: make images, or install kind 0.33 or newer")
    return found


def remove(engine: Engine, name: str) -> int:
    """Delete the cluster of a bed, whatever became of the bed."""
    found = engine.ids("container", f"label={LABEL}={layout.project(name)}")
    if found:
        engine.run("rm", "--force", "--volumes", *found, timeout=120)
    return len(found)


def run(program: str, engine: Engine, words: list[str], more: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Run kind's program with its own variables; it finds the engine as airbed does."""
    environment = {**engine.environment, **more}
    # kind calls `docker` by name.
    environment["PATH"] = os.pathsep.join([str(Path(engine.program).parent), environment.get("PATH", "/usr/bin:/bin")])
    try:
        return subprocess.run(
            [program, *words], env=environment, capture_output=True, text=True, check=False, timeout=CREATE_SECONDS + 60
        )
    except subprocess.TimeoutExpired:
        raise Unavailable(f"kind did not make a cluster within {CREATE_SECONDS + 60} s; see: docker ps -a") from None
