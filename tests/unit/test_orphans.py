"""Which XCom objects nothing points at."""

from __future__ import annotations

from datetime import UTC, datetime

from airbed.runs.orphans import Sweep, find_orphans, split_url, stored_object

T0 = datetime(2026, 1, 5, tzinfo=UTC)
RUN = "manual__2026-01-05T00:00:00+00:00"


def stored(run_id: str, name: str, dag_id: str = "d"):
    return stored_object(f"xcom/{dag_id}/{run_id}/t/{name}", 10, T0, "xcom")


def test_a_url_loses_its_connection():
    assert split_url(f"s3://aws_default@airflow-xcom/xcom/d/{RUN}/t/u") == ("airflow-xcom", f"xcom/d/{RUN}/t/u")
    assert split_url("s3://airflow-xcom/xcom/d") == ("airflow-xcom", "xcom/d")


def test_the_key_names_dag_and_run():
    assert (stored(RUN, "u").dag_id, stored(RUN, "u").run_id) == ("d", RUN)
    odd = stored_object("xcom/stray", 1, T0, "xcom")
    assert (odd.dag_id, odd.run_id) == (None, None)


def test_an_object_is_kept_young_or_an_orphan():
    kept, young, gone = stored("r1", "a"), stored("r2", "b"), stored("r1", "c")
    stray = stored_object("xcom/stray", 1, T0, "xcom")
    assert find_orphans([kept, young, gone, stray], {kept.key}, {("d", "r2")}) == ([gone, stray], 1, 1)


def test_only_the_asked_run():
    first, second = stored("r1", "a"), stored("r2", "b")
    assert find_orphans([first, second], set(), set(), "r2") == ([second], 0, 0)


def test_the_same_run_id_of_another_dag_is_not_young():
    assert find_orphans([stored("r1", "a", "other")], set(), {("d", "r1")})[0]


def test_size_and_json():
    sweep = Sweep("airflow-xcom", (stored("r1", "a"), stored("r1", "b")), 3, 0)
    assert sweep.size == 20
    assert sweep.to_json()["bytes"] == 20
