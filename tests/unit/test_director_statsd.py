"""The StatsD sink: line format, sample rates, bad input."""

from __future__ import annotations

import pytest

from airbed.director.statsd import Metrics


def received(*packets: str) -> Metrics:
    """Metrics that got these packets."""
    metrics = Metrics()
    for packet in packets:
        metrics.receive(packet.encode())
    return metrics


def test_counters_add_up_and_sample_rates_scale() -> None:
    read = received(
        "airflow.ti.finish.d.t.success:1|c", "airflow.ti.finish.d.t.success:2|c\nx:-1|c", "y:1|c|@0.1"
    ).read()
    counter = read["airflow.ti.finish.d.t.success"]
    assert (counter["type"], counter["count"], counter["sum"], counter["last"]) == ("counter", 2, 3, 2)
    assert read["x"]["sum"] == -1
    assert (read["y"]["count"], read["y"]["sum"]) == (10, 10)


def test_gauges_keep_the_last_value_and_take_changes() -> None:
    read = received("g:7|g", "g:-2|g", "g:+1.5|g").read()["g"]
    assert (read["type"], read["last"], read["sum"], read["count"], read["max"]) == ("gauge", 6.5, 6.5, 3, 7)


def test_timers_have_percentiles() -> None:
    read = received(*(f"t:{value}|ms" for value in range(1, 101))).read()["t"]
    assert (read["type"], read["count"], read["min"], read["max"], read["mean"]) == ("timer", 100, 1, 100, 50.5)
    assert (read["p50"], read["p90"], read["p99"]) == (51, 91, 100)


def test_sampled_timers_count_more() -> None:
    read = received("t:10|ms|@0.5|#dag:x").read()["t"]
    assert (read["count"], read["sum"], read["mean"], read["last"]) == (2, 20, 10, 10)


def test_sets_count_distinct_values() -> None:
    read = received("s:a|s", "s:b|s", "s:a|s").read()["s"]
    assert (read["type"], read["count"], read["sum"]) == ("set", 3, 2)


def test_read_filters_by_prefix_and_reset_forgets() -> None:
    metrics = received("a.x:1|c", "a.y:1|c", "b:1|c")
    assert list(metrics.read("a.")) == ["a.x", "a.y"]
    metrics.reset()
    assert metrics.read() == {}


@pytest.mark.parametrize("line", ["", "x", "x:1", ":1|c", "x:|c", "x:1|q", "x:a|c", "x:nan|g", "x:1|c|@0", "x:1|c|@z"])
def test_a_bad_line_is_counted_and_harms_nothing(line: str) -> None:
    metrics = received(f"{line}\ngood:1|c")
    assert list(metrics.read()) == ["good"]
    assert metrics.invalid == (1 if line else 0)


def test_the_number_of_names_is_bounded() -> None:
    metrics = Metrics(max_names=2)
    for name in "abca":
        metrics.receive(f"{name}:1|c".encode())
    assert (list(metrics.read()), metrics.dropped) == (["a", "b"], 1)
