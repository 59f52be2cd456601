"""S3 rules: what is valid, what they choose, what survives a restart."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from airbed.director.s3book import S3RuleBook
from airbed.director.s3rules import S3Request, S3Rule
from airbed.errors import UsageError

A = S3Request("GET", "bkt", "raw/a")
B = S3Request("GET", "bkt", "raw/b")


def rule(**fields: Any) -> S3Rule:
    """An error rule, with changes."""
    return S3Rule.parse({"action": "error", **fields})


@pytest.mark.parametrize(
    ("method", "target", "expected"),
    [
        ("GET", "/bkt/a/b%20c?versionId=1", ("bkt", "a/b c")),
        ("GET", "/bkt?list-type=2&prefix=raw%2F2026%2F", ("bkt", "raw/2026/")),
        ("GET", "/bkt/?prefix=x", ("bkt", "x")),
        ("GET", "/bkt", ("bkt", "")),
        ("GET", "/", ("", "")),
        ("GET", "/bkt/k?prefix=x", ("bkt", "k")),
    ],
)
def test_a_request_is_read_from_its_path(method: str, target: str, expected: tuple[str, str]) -> None:
    request = S3Request.parse(method, target, {})
    assert (request.bucket, request.key) == expected


@pytest.mark.parametrize(
    ("fields", "matches"),
    [
        ({}, True),
        ({"methods": "GET"}, True),
        ({"methods": ["PUT", "HEAD"]}, False),
        ({"bucket": "bkt"}, True),
        ({"bucket": "other"}, False),
        ({"key": "raw/*"}, True),
        ({"key": "*"}, True),
        ({"key": "raw"}, False),
        ({"key": "Raw/*"}, False),
    ],
)
def test_a_rule_selects_its_requests_only(fields: dict[str, Any], matches: bool) -> None:
    assert rule(**fields).selects(A) is matches


@pytest.mark.parametrize(
    ("fields", "line"),
    [
        ({"action": "explode"}, "unknown action 'explode'; known: error, latency"),
        ({"methods": ["FETCH"]}, "unknown method 'FETCH'"),
        ({"methods": []}, "methods must name one"),
        ({"status": 200}, "status must be a number from 400 to 599"),
        ({"seconds": 1}, "seconds is only for action 'latency'"),
        ({"action": "latency"}, "action 'latency' needs seconds"),
        ({"action": "throttle"}, "needs bytes_per_second"),
        ({"action": "reset", "status": 503}, "status is only for action 'error'"),
        ({"share": 2}, "share must be a number from 0 to 1"),
        ({"nth": 0}, "nth must be a whole number of 1 or more"),
        ({"times": 0}, "times must be 1 or more"),
        ({"key": ""}, "key: expected a text"),
        ({"color": "red"}, "unknown field 'color'"),
    ],
)
def test_a_bad_rule_is_one_clear_line(fields: dict[str, Any], line: str) -> None:
    with pytest.raises(UsageError) as caught:
        rule(**fields)
    assert line in str(caught.value)
    assert "\n" not in str(caught.value)


def test_nth_counts_each_key_for_itself(tmp_path: Path) -> None:
    book = S3RuleBook(tmp_path)
    book.add(rule(nth=[2, 3]))
    assert [bool(book.hit(A)) for _ in range(4)] == [False, True, True, False]
    assert [bool(book.hit(B)) for _ in range(2)] == [False, True]


def test_a_share_is_the_same_every_time_and_near_what_was_asked(tmp_path: Path) -> None:
    requests = [S3Request("GET", "bkt", f"k{number}") for number in range(2000)]

    def chosen(folder: str, seed: int) -> list[bool]:
        book = S3RuleBook(tmp_path / folder)
        book.add(rule(share=0.3, seed=seed))
        return [bool(book.hit(request)) for request in requests]

    first = chosen("a", 7)
    assert chosen("b", 7) == first
    assert chosen("c", 8) != first
    assert 500 < sum(first) < 700


def test_times_is_for_all_keys(tmp_path: Path) -> None:
    book = S3RuleBook(tmp_path)
    book.add(rule(times=3))
    assert sum(book.claim(each) for request in (A, B) * 4 for each in book.hit(request)) == 3


def test_rules_hits_and_firings_survive_a_kill(tmp_path: Path) -> None:
    book = S3RuleBook(tmp_path)
    gone, kept = book.add(rule()), book.add(rule(nth=[1, 4], times=5), "airbed-f1")
    for _ in range(3):
        for each in book.hit(A):
            book.claim(each)
    book.remove(gone)
    book.hit(B)
    with (tmp_path / "s3-counts.jsonl").open("a") as half:
        half.write('["airbed-f1", "bkt/r')
    again = S3RuleBook(tmp_path)
    assert again.all() == book.all()
    assert again.all()[0]["hits"] == 4
    assert [bool(again.hit(A)), bool(again.hit(A))] == [True, False]
    assert again.add(rule()) not in (gone, kept)
    assert all(each.stat().st_mode & 0o777 == 0o600 for each in tmp_path.iterdir())


def test_the_same_id_twice_is_one_rule(tmp_path: Path) -> None:
    book = S3RuleBook(tmp_path)
    assert book.add(rule(), "x") == book.add(rule(), "x") == "x"
    assert len(book.all()) == 1
    with pytest.raises(UsageError, match="another rule of the id 'x'"):
        book.add(rule(status=500), "x")


def test_a_broken_state_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "s3-rules.json").write_text('{"last": 1, "rules": [{}]}')
    with pytest.raises(UsageError, match="is not an S3 rules file"):
        S3RuleBook(tmp_path)
