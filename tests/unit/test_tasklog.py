"""Airflow's structured log as text, and the error line in it."""

from __future__ import annotations

from airbed.clients.tasklog import error_line, last_line, one_line, plain_text

DETAIL = [
    {
        "exc_type": "ValueError",
        "exc_value": "bad row\nat line 3",
        "exc_notes": ["seen in b.csv"],
        "frames": [{"filename": "/dags/a.py", "lineno": 9, "name": "process"}],
    },
    {"exc_type": "KeyError", "exc_value": "'id'", "is_cause": True, "frames": []},
]
LOG = [
    {"event": "::group::Log message source details", "sources": ["/logs/x.log"]},
    {"event": "::endgroup::"},
    {
        "timestamp": "2026-01-05T00:00:01.123456Z",
        "level": "info",
        "event": "began",
        "item": 3,
        "map_index": 1,
        "ti_id": "x",
    },
    {"timestamp": "2026-01-05T00:00:02Z", "level": "error", "event": "Task failed", "error_detail": DETAIL},
    {"timestamp": "2026-01-05T00:00:03Z", "level": "info", "event": "done"},
]


def test_text_has_events_fields_and_tracebacks_with_the_raised_exception_last():
    assert plain_text(LOG).splitlines() == [
        "2026-01-05 00:00:01.123 INFO    began item=3",
        "2026-01-05 00:00:02Z ERROR   Task failed",
        "Traceback (most recent call last):",
        "KeyError: 'id'",
        "Traceback (most recent call last):",
        '  File "/dags/a.py", line 9, in process',
        "ValueError: bad row",
        "at line 3",
        "seen in b.csv",
        "2026-01-05 00:00:03Z INFO    done",
    ]


def test_the_error_line_is_the_raised_exception_on_one_line():
    assert error_line(LOG) == "ValueError: bad row at line 3"


def test_a_killed_task_has_its_last_error_event():
    killed = {"event": "Process terminated by signal.", "level": "critical", "signal": -9, "signal_name": "SIGKILL"}
    assert error_line([*LOG, killed, {"event": "bye", "level": "info"}]) == (
        "its process was ended by SIGKILL (out of memory, or killed)"
    )


def test_without_an_exception_the_last_error_event():
    events = [{"event": "a", "level": "error"}, {"event": "Task exited", "level": "error", "exit_code": 3}]
    assert error_line([*events, {"event": "bye", "level": "info"}]) == "Task exited (exit code 3)"


def test_nothing_wrong_and_plain_lines():
    assert error_line([{"event": "a", "level": "info"}, "a plain line"]) is None
    assert plain_text(["a plain line"]) == "a plain line"


def test_the_last_line_of_a_traceback():
    assert last_line('Traceback ...\n  File "a.py"\nNameError: name x is not defined\n\n') == (
        "NameError: name x is not defined"
    )
    assert last_line("") == "unknown error"


def test_long_text_is_cut():
    assert len(one_line("x" * 1000)) == 300
