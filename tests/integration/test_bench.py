"""The benchmark with small sizes, a bed of its own and both peers: that it measures, never how fast anything was."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from helpers import AIRBED

from airbed import removal
from airbed.bench.timeline import Moment, critical_path
from airbed.settings import load_settings
from airbed.substrates.embedded import processes

NAME = f"hbench-{os.environ.get('PYTEST_XDIST_WORKER', 'main')}"
ARGUMENTS = ["up", "cli", "fanout", "--sizes", "5,10", "--against", "standalone", "--against", "dag-test"]
# What only an embedded bed has, the timeline, is looked at too.
ON = ["--on", "embedded"]


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("reports")
    before = set(processes.marks_by_folder())
    done = subprocess.run(
        [AIRBED, "bench", *ARGUMENTS, *ON, "--name", NAME, "--out", str(folder), "--json"],
        env={**os.environ, "TMPDIR": str(tmp_path_factory.mktemp("tmp"))},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return {**json.loads(done.stdout), "folder": folder, "before": before, "said": done.stderr}


def figure(found: dict[str, Any], part: str, name: str, subject: str = "airbed") -> dict[str, Any]:
    key = (part, name, subject, "")
    return next(
        each for each in found["figures"] if (each["part"], each["name"], each["subject"], each["detail"]) == key
    )


def test_ours_and_the_peers_were_measured(found: dict[str, Any]) -> None:
    assert found["missing"] == []
    # SQLite may stop standalone at any size; then it is said.
    stopped = {each["subject"] for each in found["stops"]}
    assert stopped <= {"standalone"}
    for subject in {"airbed", "standalone", "dag-test"} - stopped:
        for size in (5, 10):
            assert figure(found, "fanout", f"{size} no-ops, to done", subject)["size"] == size
            for what in ("rate", "CPU of each", "peak memory"):
                assert figure(found, "fanout", f"{size} no-ops, {what}", subject)["median"] > 0
    peers = {(each["peer"], each["name"]) for each in found["ratios"]}
    assert {
        ("standalone", "nothing to healthy"),
        ("dag-test", "10 no-ops, to done"),
        ("bare python", "airbed status"),
    } <= peers


def test_cpu_is_told_by_service(found: dict[str, Any]) -> None:
    shares = {
        each["detail"]: each["median"]
        for each in found["figures"]
        if (each["name"], each["subject"]) == ("10 no-ops, CPU of each", "airbed") and each["detail"]
    }
    assert {"task", "worker", "scheduler", "api-server", "metadata", "toxiproxy"} <= set(shares)
    assert shares["task"] > 0
    whole = figure(found, "fanout", "10 no-ops, CPU of each")["median"]
    assert sum(shares.values()) == pytest.approx(whole)


def test_the_timeline_says_who_waited_for_whom(found: dict[str, Any]) -> None:
    moments = {each["service"]: Moment(**each) for each in found["timeline"]}
    assert {"metadata", "s3", "toxiproxy", "api-server", "scheduler"} <= set(moments)
    # Airflow's components start at once: what they wait for, they wait for when they have imported what they can.
    assert moments["scheduler"].waited_for is None
    for each in moments.values():
        assert 0 <= each.free <= each.started <= each.ready
    last = max(moments.values(), key=lambda each: each.ready).service
    assert critical_path(list(moments.values()))[-1] == last


def test_the_files_are_written(found: dict[str, Any]) -> None:
    names = sorted(Path(each).name for each in found["files"])
    assert names[0].startswith("bench-2")
    assert names[1:] == ["bench-fanout.svg", "bench-up.svg"]
    for name in names[1:]:
        ElementTree.parse(found["folder"] / name)
    written = json.loads((found["folder"] / names[0]).read_text())
    assert written["figures"] == found["figures"]


def test_nothing_is_left(found: dict[str, Any]) -> None:
    assert NAME not in removal.every_name(load_settings())
    own = [each for each in processes.processes().values() if each.service in ("standalone", "dag-test")]
    assert own == []
    assert str(load_settings().beds / NAME) not in set(processes.marks_by_folder()) - found["before"]
