"""The machine: system, processor, Python, memory, disk, ports, who may write and read where."""

from __future__ import annotations

import os
import platform
import pwd
import shutil
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path

from airbed.doctor.finding import Finding
from airbed.errors import AirbedError
from airbed.settings import Settings

PYTHONS = ((3, 11), (3, 14))
BED_BYTES = 1_200_000_000
KUBERNETES_BYTES = 600_000_000
DISK_BYTES = 2_000_000_000
BUILD_DISK_BYTES = 5_000_000_000


def machine(settings: Settings) -> Iterator[Finding]:
    """The findings about the machine itself."""
    yield system(platform.system(), platform.machine())
    yield python(sys.version_info[:2], optimised())
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    yield Finding(
        "cores", "ok" if cores >= 2 else "warn", f"{cores}", "" if cores >= 2 else "a bed starts in twice the time"
    )
    yield memory()
    for name, folder in (("state folder", settings.state), ("cache folder", settings.cache)):
        yield folder_of_ours(name, folder)
    yield user(settings)
    yield ports(settings)


def system(name: str, processor: str) -> Finding:
    """Linux on x86-64; Postgres and SeaweedFS come as binaries for it."""
    good = name == "Linux" and processor in ("x86_64", "AMD64")
    remedy = "the embedded bed needs Linux on x86-64: use such a machine, or a virtual one"
    return Finding("system", "ok" if good else "missing", f"{name} {processor}", "" if good else remedy)


def python(version: tuple[int, ...], quick: bool = True) -> Finding:
    """A Python that Airflow 3.3.2 and the locked packages support, best one built with optimisations."""
    if not PYTHONS[0] <= version < PYTHONS[1]:
        remedy = "install Python 3.11, 3.12 or 3.13, then: make setup PYTHON=/path/to/python3"
        return Finding("Python", "missing", platform.python_version(), remedy)
    if not quick:
        remedy = "a bed takes a tenth more CPU; use your distribution's Python: make setup PYTHON=/usr/bin/python3"
        return Finding("Python", "warn", f"{platform.python_version()}, not an optimised build", remedy)
    return Finding("Python", "ok", platform.python_version())


def optimised() -> bool:
    """Whether this Python's build was profiled and optimised; `scripts/setup` asks the same."""
    return sys.base_prefix == "/usr" or "--enable-optimizations" in (sysconfig.get_config_var("CONFIG_ARGS") or "")


def memory() -> Finding:
    """Memory that is available now, against what a bed takes."""
    try:
        lines = dict(line.split(":", 1) for line in Path("/proc/meminfo").read_text().splitlines())
        total, free = (int(lines[key].split()[0]) * 1024 for key in ("MemTotal", "MemAvailable"))
    except (OSError, KeyError, ValueError):
        return Finding("memory", "warn", "unknown", "a bed takes 1.2 GB, with Kubernetes 1.8 GB")
    found = f"{free / 1e9:.1f} GB of {total / 1e9:.1f} GB available"
    if free < BED_BYTES:
        return Finding("memory", "warn", found, "a bed takes 1.2 GB: end other programs, or other beds (airbed ls)")
    if free < BED_BYTES + KUBERNETES_BYTES:
        return Finding("memory", "warn", found, "enough without Kubernetes (1.2 GB); with it a bed takes 1.8 GB")
    return Finding("memory", "ok", found)


def folder_of_ours(name: str, folder: Path) -> Finding:
    """A folder that exists or can be made, is writable, and has room."""
    variable = "AIRBED_STATE_DIR" if name.startswith("state") else "AIRBED_CACHE_DIR"
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    if not os.access(existing, os.W_OK | os.X_OK) or not existing.is_dir():
        remedy = f"set {variable} to a folder of your own"
        return Finding(name, "missing", f"{folder}: you may not write to {existing}", remedy)
    free = shutil.disk_usage(existing).free
    found = f"{folder}, {free / 1e9:.1f} GB free"
    if free < DISK_BYTES:
        return Finding(name, "missing", found, f"a bed needs 2 GB: make room, or set {variable} to another disk")
    if free < BUILD_DISK_BYTES and name.startswith("cache"):
        return Finding(name, "warn", found, "enough for beds; building the Kubernetes tools needs 5 GB")
    return Finding(name, "ok", found)


def user(settings: Settings) -> Finding:
    """Who runs Postgres, and whether that user can reach the data and the binaries."""
    from airbed.substrates.embedded import postgres

    me = _account(os.geteuid())
    try:
        server = postgres.server_user()
        postgres.ensure_reachable(settings.beds / "any" / "postgres")
        postgres.ensure_reachable(settings.cache)
    except AirbedError as error:
        said, _, remedy = str(error).rpartition("; ")
        return Finding("user", "missing", said, remedy)
    return Finding(
        "user", "ok", f"{me}" if server is None else f"{me}; Postgres runs as {server}, who can reach its folders"
    )


def _account(number: int) -> str:
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return str(number)


def ports(settings: Settings) -> Finding:
    """Whether a new bed finds free loopback ports."""
    from airbed.substrates.embedded import ports as loopback
    from airbed.substrates.shared import ports_of_other_beds

    try:
        loopback.allocate([str(number) for number in range(40)], ports_of_other_beds(settings, ""))
    except AirbedError as error:
        said, _, remedy = str(error).partition("; ")
        return Finding("ports", "missing", said, remedy)
    return Finding("ports", "ok", "free ones for a new bed on 127.0.0.1")
