"""What several test modules need: wait for a condition, call the command line, read the metrics."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from airbed.settings import load_settings
from airbed.substrates.compose import layout
from airbed.substrates.compose.engine import Engine, find
from airbed.substrates.registry import asked_for

AIRBED = str(Path(sys.executable).with_name("airbed"))


def until(reached: Callable[[], object], what: str, seconds: float = 300) -> None:
    """Wait for a condition."""
    end = time.monotonic() + seconds
    while not reached():
        assert time.monotonic() < end, f"not within {seconds:.0f} s: {what}"
        time.sleep(0.1)


def airbed(bed: Any, *arguments: str, code: int = 0) -> subprocess.CompletedProcess[str]:
    """`airbed ... --name BED`, which must end with `code`."""
    done = subprocess.run([AIRBED, *arguments, "--name", bed.name], capture_output=True, text=True, check=False)
    assert done.returncode == code, f"{arguments}: ended with {done.returncode}: {done.stdout}{done.stderr}"
    return done


def compose_engine(request: pytest.FixtureRequest) -> Engine:
    """The Docker engine of a session on the compose substrate; elsewhere the test is skipped."""
    if asked_for(request.config.getoption("--airbed-on")) != "compose":
        pytest.skip("needs a Docker engine (make engine, make images), and: pytest --airbed-on compose")
    return find(load_settings())


def of_project(engine: Engine, name: str) -> dict[str, list[str]]:
    """What the engine has of the bed of that name, by kind; its cluster too."""
    project = layout.project(name)
    label = f"label=com.docker.compose.project={project}"
    found = {kind: engine.ids(kind, label) for kind in ("container", "network", "volume")}
    return {**found, "cluster": engine.ids("container", f"label=io.x-k8s.kind.cluster={project}")}


def assert_metrics(bed: Any, *, success: int, soft: int, hard: int) -> None:
    """The three counters since the last reset of the metrics; they arrive over UDP, so maybe a moment later."""
    wanted = {"success": (1, success), "soft_failure": (1, soft), "hard_failure": (1, hard)}
    end = time.monotonic() + 20
    while True:
        found = bed.director.metrics("airflow.processing.")
        seen = {name.removeprefix("airflow.processing."): (each["count"], each["sum"]) for name, each in found.items()}
        if seen == wanted:
            return
        assert time.monotonic() < end, f"metrics are {seen}, expected {wanted}"
        time.sleep(0.2)
