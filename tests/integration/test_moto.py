"""moto's server in SeaweedFS' place: one smoke test of a bed that was asked for it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from airbed import lifecycle, removal
from airbed.bed import Bed
from airbed.runs.execute import run_dag
from airbed.seed import seed_pattern
from airbed.settings import load_settings

NAME = f"moto-{os.environ.get('PYTEST_XDIST_WORKER', 'main')}"


def quiet(line: str) -> None:
    pass


@pytest.fixture
def moto_bed() -> Iterator[Bed]:
    settings = load_settings()
    if NAME in removal.every_name(settings):
        removal.down(settings, NAME, quiet)
    bed, _ = lifecycle.up(settings, lifecycle.Request(NAME, s3="moto", kubernetes=False), quiet)
    yield bed
    removal.down(settings, NAME, quiet)


def test_a_day_of_files_on_moto(moto_bed: Bed) -> None:
    data = seed_pattern(moto_bed, "s3_daily_processor", "2026-01-05", files=4, rows=400, unreadable=0)

    result = run_dag(moto_bed, "s3_daily_processor", day="2026-01-05")

    assert result.state == "success"
    assert result.task("process_file").success == 4
    staged = moto_bed.s3.list_objects_v2(Bucket="processed-data")["Contents"]
    assert len(staged) == 4
    value = result.single("summarize_run").value
    assert value["rows_processed"] + value["rows_dropped"] == data.rows == 400
    # What tells moto from SeaweedFS: any key opens it.
    assert moto_bed.spec.s3 == "moto"
    assert "moto" in Path(f"/proc/{_pid(moto_bed)}/cmdline").read_text()


def _pid(bed: Bed) -> int:
    return next(each.pid for each in bed.substrate.status() if each.name == "s3" and each.pid)
