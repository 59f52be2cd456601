"""A run's day and conf, as typed."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone

import pytest

from airbed.clients.airflow import unknown_dag
from airbed.errors import UsageError
from airbed.runs.tasklog import parse_instance
from airbed.runs.trigger import day_interval, parse_conf, parse_day, parse_moment


def test_a_day_is_from_midnight_to_midnight_utc():
    expected = (datetime(2026, 2, 28, tzinfo=UTC), datetime(2026, 3, 1, tzinfo=UTC))
    assert day_interval("2026-02-28") == expected
    assert day_interval(date(2026, 2, 28)) == expected


@pytest.mark.parametrize("text", ["", "yesterday", "2026-02-30", "05.01.2026", "2026-01-05T00:00:00"])
def test_what_is_no_day_is_one_line(text):
    with pytest.raises(UsageError, match="write it as YYYY-MM-DD") as error:
        parse_day(text)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("day", ["9999-12-31", date.max])
def test_the_last_day_of_the_calendar_has_no_interval(day):
    with pytest.raises(UsageError, match="'9999-12-31' is no day that a run can have: it has no next day"):
        parse_day(day)


@pytest.mark.parametrize("text", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:00:00-10:00"])
def test_a_moment_off_the_calendar_in_utc_is_one_line(text):
    with pytest.raises(UsageError, match="is not a date and time"):
        parse_moment(text)


def test_a_moment_without_zone_is_utc():
    assert parse_moment("2026-01-05") == datetime(2026, 1, 5, tzinfo=UTC)
    assert parse_moment("2026-01-05T06:00:00+06:00").tzinfo == timezone(timedelta(hours=6))
    with pytest.raises(UsageError, match="not a date and time"):
        parse_moment("noon")


def test_conf_is_a_json_object():
    assert parse_conf('{"env": "prod", "n": 1}') == {"env": "prod", "n": 1}


@pytest.mark.parametrize("text", ["{", "[1]", "3", "env=prod", ""])
def test_conf_that_is_no_json_object_is_one_line(text):
    with pytest.raises(UsageError, match="--conf is") as error:
        parse_conf(text)
    assert "\n" not in str(error.value)


def test_an_unknown_dag_names_the_nearest():
    known = ["s3_daily_processor", "resilient_processing"]
    assert "did you mean 's3_daily_processor'?" in str(unknown_dag("s3_daily_procesor", known))
    assert "it has: resilient_processing, s3_daily_processor" in str(unknown_dag("zzz", known))
    assert "it has: none" in str(unknown_dag("zzz", []))


@pytest.mark.parametrize(
    ("name", "expected"),
    [("process_file[5]", ("process_file", 5)), ("list_files", ("list_files", None)), ("g.t[0]", ("g.t", 0))],
)
def test_an_instance_as_typed(name, expected):
    assert parse_instance(name) == expected


@pytest.mark.parametrize("name", ["process_file[", "process_file[x]", "", "a b", "t[-1]"])
def test_what_is_no_instance_is_one_line(name):
    with pytest.raises(UsageError, match="write it as process_file"):
        parse_instance(name)
