"""Looks that never block for long."""

from __future__ import annotations

import threading
import time

import pytest

from airbed.errors import Unavailable
from airbed.incidents import glances
from airbed.incidents.glances import Glances, within


def refuse() -> None:
    raise Unavailable("connection refused")


def test_a_look_is_not_repeated_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    looks = Glances()
    count = iter(range(10))
    assert [looks.at("x", lambda: next(count)) for _ in range(3)] == [0, 0, 0]
    monkeypatch.setattr(glances, "EVERY", 0)
    assert looks.at("x", lambda: next(count)) == 1


def test_what_cannot_be_seen_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(glances, "EVERY", 0)
    looks = Glances()
    assert looks.at("x", lambda: 1) == 1
    assert looks.at("x", refuse) is None


def test_while_a_look_does_not_come_back_the_one_before_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(glances, "EVERY", 0)
    monkeypatch.setattr(glances, "PATIENCE", 0.05)
    looks, answers = Glances(), threading.Event()
    assert looks.at("x", lambda: "before") == "before"
    assert looks.at("x", lambda: answers.wait(10) and "after") == "before"
    began = time.monotonic()
    assert looks.at("x", refuse) == "before"
    assert time.monotonic() - began < 0.05, "nobody waits for it a second time"
    answers.set()
    end = time.monotonic() + 5
    while looks.at("x", lambda: "after") != "after":
        assert time.monotonic() < end


def test_an_unexpected_error_is_raised() -> None:
    with pytest.raises(ZeroDivisionError):
        Glances().at("x", lambda: 1 / 0)


def test_within() -> None:
    assert within(5, "x", lambda: 7) == 7
    with pytest.raises(ZeroDivisionError):
        within(5, "x", lambda: 1 / 0)
    with pytest.raises(Unavailable, match="connection refused"):
        within(5, "x", refuse)
    forever = threading.Event()
    with pytest.raises(Unavailable, match=r"the rows was not read within 0\.05 s"):
        within(0.05, "the rows", lambda: forever.wait(10))
    forever.set()
