"""The verdict on a case when something goes wrong on the way."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from airbed.errors import Unavailable, UsageError
from airbed.incidents import case


def failing(monkeypatch: pytest.MonkeyPatch, *errors: BaseException) -> None:
    """Make every play raise the errors, each while the one before it was handled."""

    class CaseRun:
        def __init__(self, *_: Any, **__: Any) -> None: ...

        def run(self, *, control: bool) -> None:
            link: BaseException | None = None
            for error in errors:
                error.__context__, link = link, error
            raise errors[-1]

    monkeypatch.setattr(case, "CaseRun", CaseRun)


def run() -> Any:
    bed: Any = None
    scenario: Any = type("Scenario", (), {"name": "s"})
    return case.run_case(bed, scenario, "c", Path())


@pytest.mark.parametrize("ended_by", [KeyboardInterrupt(), SystemExit(143)])
def test_an_interrupted_play_ends_the_session_also_when_nothing_can_be_put_back(
    monkeypatch: pytest.MonkeyPatch, ended_by: BaseException
) -> None:
    failing(monkeypatch, ended_by, Unavailable("gate"), Unavailable("fault f1 was not undone"))
    with pytest.raises(type(ended_by)) as raised:
        run()
    assert raised.value.args == ended_by.args


def test_an_error_of_the_bed_is_inconclusive(monkeypatch: pytest.MonkeyPatch) -> None:
    failing(monkeypatch, Unavailable("first"), Unavailable("fault f1\nwas not undone"))
    assert (run().word, run().doubts) == ("inconclusive", ("fault f1 was not undone",))


def test_wrong_input_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    failing(monkeypatch, UsageError("no such file"))
    with pytest.raises(UsageError):
        run()
