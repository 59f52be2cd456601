"""The registry: names, options, errors. No services."""

from __future__ import annotations

import json
from datetime import date
from typing import Any

import pytest

from airbed.errors import UsageError
from airbed.seed import PATTERNS, find_pattern, region_artifacts, seed_pattern

DAY = date(2026, 1, 1)


class NoClients:
    """A bed that must not be touched."""

    s3: Any = None

    def database(self, service: str) -> Any:
        raise AssertionError(service)


def test_all_six_patterns_are_there_by_dag_id_and_short_name() -> None:
    assert list(PATTERNS) == [
        "s3_daily_processor",
        "parallel_shard_processor",
        "multi_region_deploy",
        "resilient_processing",
        "backfill_safe_dag",
        "heavy_data_mapping",
    ]
    assert all(find_pattern(each.short) is each for each in PATTERNS.values())


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("s3_daily_procesor", "no sample data for 's3_daily_procesor': did you mean 's3_daily_processor'?"),
        ("zzz", f"no sample data for 'zzz': there are: {', '.join(PATTERNS)}"),
    ],
)
def test_an_unknown_pattern_is_refused_with_the_nearest(name: str, said: str) -> None:
    with pytest.raises(UsageError) as refused:
        seed_pattern(NoClients(), name, DAY)
    assert str(refused.value) == said


def test_an_option_of_another_pattern_is_refused() -> None:
    with pytest.raises(UsageError) as refused:
        seed_pattern(NoClients(), "shards", DAY, files=3)
    assert str(refused.value) == "the data of parallel_shard_processor has no option 'files': it takes rows, missing"


def test_a_negative_seed_is_refused_before_anything_is_written() -> None:
    with pytest.raises(UsageError, match="seed -1 is out of range: give 0 or more"):
        seed_pattern(NoClients(), "s3", DAY, seed=-1)


def test_an_unknown_shard_is_refused_before_anything_is_written() -> None:
    with pytest.raises(UsageError, match="missing shard 3 is out of range: give 0 to 2"):
        seed_pattern(NoClients(), "shards", DAY, missing=(3,))


@pytest.mark.parametrize("name", ["resilient_processing", "backfill_safe_dag", "heavy_data_mapping"])
def test_patterns_without_data_say_so(name: str) -> None:
    summary = seed_pattern(NoClients(), name, DAY, seed=5)
    assert summary.as_json() == {
        "pattern": name,
        "day": "2026-01-01",
        "seed": 5,
        "objects": 0,
        "rows": 0,
        "size": 0,
        "note": "needs no data: it makes its own items",
    }


def test_artifacts_are_one_object_for_each_version() -> None:
    assert {key: json.loads(body)["version"] for key, body in region_artifacts.make().items()} == {
        "v1.2.3": "1.2.3",
        "v1.2.4": "1.2.4",
    }
