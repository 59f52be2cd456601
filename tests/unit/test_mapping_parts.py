"""The smaller parts: recorded, limits, the run's day."""

from __future__ import annotations

import inspect
from datetime import UTC, date, datetime
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException, AirflowRescheduleException, AirflowSkipException

from mapping import recorded as module
from mapping.day import run_day, run_day_end
from mapping.limits import chunks, require_between
from mapping.recorded import recorded


class FakeTI:
    map_index, try_number = 4, 2

    def __init__(self) -> None:
        self.pushed: list[tuple[str, Any]] = []
        self.broken = False

    def xcom_push(self, key: str, value: Any) -> None:
        if self.broken:
            raise OSError("API server is away")
        self.pushed.append((key, value))


@pytest.fixture
def ti(monkeypatch: pytest.MonkeyPatch) -> FakeTI:
    fake = FakeTI()
    monkeypatch.setattr(module, "get_current_context", lambda: {"ti": fake})
    return fake


def ending(result: Any) -> Any:
    if isinstance(result, BaseException):
        raise result
    return result


@pytest.mark.parametrize(
    ("result", "status", "error", "none"),
    [
        ({"n": 1}, "success", None, False),
        (0, "success", None, False),
        (None, "success", None, True),
        ({"status": "failed", "error": "bad\nfile"}, "soft", "bad file", False),
        ({"status": "failed"}, "soft", None, False),
        (ValueError("a\n b"), "failed", "ValueError: a b", True),
        (AirflowFailException("no"), "failed", "AirflowFailException: no", True),
        (KeyError("x" * 900), "failed", ("KeyError: '" + "x" * 900)[:500], True),
        (SystemExit(3), "failed", "SystemExit: 3", True),
        (AirflowSkipException("not today"), "skipped", "not today", True),
    ],
)
def test_each_end_is_recorded(ti: FakeTI, result: Any, status: str, error: str | None, none: bool) -> None:
    run = recorded(ending)
    if isinstance(result, BaseException):
        with pytest.raises(type(result)):
            run(result)
    else:
        assert run(result) == result
    record = {"map_index": 4, "try": 2, "status": status, "error": error, "none": none}
    assert ti.pushed == [("outcome", record)]


def test_a_reschedule_is_no_end(ti: FakeTI) -> None:
    with pytest.raises(AirflowRescheduleException):
        recorded(ending)(AirflowRescheduleException(datetime.now(UTC)))
    assert ti.pushed == []


def test_a_record_that_cannot_be_sent_changes_nothing(ti: FakeTI) -> None:
    ti.broken = True
    assert recorded(ending)(5) == 5
    with pytest.raises(ValueError, match="boom"):
        recorded(ending)(ValueError("boom"))


def test_airflow_sees_the_functions_own_signature() -> None:
    def work(item: dict[str, Any], ti: Any = None) -> int:
        return 1

    assert inspect.signature(recorded(work)) == inspect.signature(work)


def test_an_async_function_is_refused() -> None:
    async def work() -> None: ...

    with pytest.raises(TypeError, match="work is async"):
        recorded(work)


def test_limits() -> None:
    assert require_between((1, 2), 1, 2, "files") == [1, 2]
    with pytest.raises(AirflowFailException, match="files of a: found 0, at least 1"):
        require_between([], 1, 2, "files of a")
    with pytest.raises(AirflowFailException, match="files: found 3, the most is 2"):
        require_between([1, 2, 3], 1, 2, "files")
    assert chunks(range(5), 2) == [[0, 1], [2, 3], [4]]
    with pytest.raises(ValueError, match="at least one"):
        chunks([1], 0)


def test_the_day_is_the_data_intervals() -> None:
    context = {
        "data_interval_start": datetime(2026, 1, 5, tzinfo=UTC),
        "data_interval_end": datetime(2026, 1, 6, tzinfo=UTC),
    }
    assert run_day(context) == date(2026, 1, 5)
    assert run_day_end(context) == datetime(2026, 1, 6, tzinfo=UTC)


def test_no_interval_says_how_to_pass_the_day() -> None:
    with pytest.raises(AirflowFailException, match=r"airbed run .* --day YYYY-MM-DD"):
        run_day({"run_id": "manual__x", "data_interval_start": None})
