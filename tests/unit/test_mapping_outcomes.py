"""outcomes() against every way an instance can end."""

from __future__ import annotations

from typing import Any

import pytest
from fake_ti import RETURN, FakeTI

from mapping.outcomes import NO_RECORD, NO_RESULT, Kind, outcomes, without_result_lost


def kinds(found: list[Any]) -> list[str]:
    return [str(outcome.kind) for outcome in found]


def test_each_kind_of_end_in_the_items_order() -> None:
    states = ["success", "success", "success", "failed", "skipped", "failed", "removed", "upstream_failed", "success"]
    ti = FakeTI("t", dict(enumerate(states)))
    ti.ended(0, "success", {"n": 0})
    ti.ended(1, "success", None)
    ti.ended(2, "soft", {"status": "failed", "error": "bad\nline"}, error="bad line")
    ti.ended(3, "failed", tries=3, error="ValueError: boom")
    ti.ended(4, "skipped", error="not today")
    ti.ended(6, "success", {"n": "of an earlier list"})
    ti.ended(7, "success", {"n": "of an earlier life"})
    ti.ended(8, "success", 0, tries=2)
    found = outcomes(ti, "t", list("abcdefghij"))
    assert [o.item for o in found] == list("abcdefghij")
    assert [o.map_index for o in found] == list(range(10))
    assert kinds(found) == [
        "success",
        "success",
        "soft",
        "hard",
        "skipped",
        "hard",
        "removed",
        "lost",
        "success",
        "lost",
    ]
    assert [o.tries for o in found] == [1, 1, 1, 3, 1, None, None, None, 2, None]
    assert [o.value for o in found] == [
        {"n": 0},
        None,
        {"status": "failed", "error": "bad\nline"},
        *[None] * 5,
        0,
        None,
    ]
    assert found[2].error == "bad line"
    assert found[3].error == "ValueError: boom"
    assert found[4].error == "not today"
    assert found[5].error == NO_RECORD
    assert found[9].error == "never expanded: no such instance"


def test_500_recorded_instances_take_three_requests() -> None:
    ti = FakeTI("t", {i: "failed" if i % 10 == 3 else "success" for i in range(500)})
    for i, state in ti.states.items():
        if state == "failed":
            ti.ended(i, "failed", tries=2, error="ValueError: boom")
        else:
            ti.ended(i, "success", None if i % 10 == 4 else {"n": i})
    found = outcomes(ti, "t", 500)
    assert ti.requests == 3
    assert [o.value for o in found] == [None if i % 10 in {3, 4} else {"n": i} for i in range(500)]
    assert [o.item for o in found] == list(range(500))


def test_without_records_values_still_belong_to_their_instances() -> None:
    ti = FakeTI("t", {0: "success", 1: "failed", 2: "success", 3: "success"})
    ti.xcoms[RETURN] = {0: "zero", 1: "pushed before it failed", 3: "three"}  # as many as successes, but not theirs
    found = outcomes(ti, "t", 4)
    assert [o.value for o in found] == ["zero", None, None, "three"]
    assert [o.error for o in found] == [None, NO_RECORD, None, None]


def test_without_records_and_failures_one_slice_is_enough() -> None:
    ti = FakeTI("t", dict.fromkeys(range(100), "success"))
    ti.xcoms[RETURN] = {i: i for i in range(100)}
    assert [o.value for o in outcomes(ti, "t", 100)] == list(range(100))
    assert ti.requests == 3


def test_a_removed_instance_keeps_its_xcom_but_not_its_place() -> None:
    ti = FakeTI("t", {0: "success", 1: "removed", 2: "success", 3: "removed"})
    for i in range(4):
        ti.ended(i, "success", {"n": i})
    found = outcomes(ti, "t", ["a", "b", "c"])
    assert kinds(found) == ["success", "removed", "success"]
    assert [o.value for o in found] == [{"n": 0}, None, {"n": 2}]


def test_success_set_by_hand_after_a_failure_has_no_value() -> None:
    ti = FakeTI("t", {0: "success", 1: "success"})
    ti.ended(0, "failed", error="ValueError: boom")
    ti.ended(1, "success", "one")
    found = outcomes(ti, "t", 2)
    assert [(str(o.kind), o.value, o.error) for o in found] == [("success", None, None), ("success", "one", None)]


def test_a_success_without_a_result_is_lost_where_results_are_needed() -> None:
    ti = FakeTI("t", {0: "success", 1: "success", 2: "failed", 3: "success"})
    ti.ended(0, "success", "zero")
    ti.ended(1, "failed", error="ValueError: boom")
    ti.ended(2, "failed", error="ValueError: boom")
    ti.ended(3, "success", 0)
    found = without_result_lost(outcomes(ti, "t", 4))
    assert kinds(found) == ["success", "lost", "hard", "success"]
    assert (found[1].error, found[1].tries, found[1].state) == (NO_RESULT, 1, "success")


@pytest.mark.parametrize("expected", [[], 0, None])
def test_nothing_expected_gives_nothing(expected: Any) -> None:
    assert outcomes(FakeTI("t", {None: "skipped"}), "t", expected) == []
    assert outcomes(FakeTI("t", {}), "t", expected) == []


@pytest.mark.parametrize(
    ("whole", "kind"), [("upstream_failed", Kind.LOST), ("skipped", Kind.SKIPPED), (None, Kind.LOST)]
)
def test_a_task_that_was_never_expanded(whole: str | None, kind: Kind) -> None:
    found = outcomes(FakeTI("t", {None: whole}), "t", ["a", "b"])
    assert [(o.item, o.kind, o.tries) for o in found] == [("a", kind, None), ("b", kind, None)]


def test_a_task_in_a_mapped_group() -> None:
    ti = FakeTI("g.t_1", {0: "success", 1: "failed"})
    ti.ended(0, "success", "x")
    assert kinds(outcomes(ti, "g.t_1", 2)) == ["success", "hard"]


def test_more_instances_than_items_is_the_wrong_list() -> None:
    with pytest.raises(ValueError, match="instance 2 but 2 items"):
        outcomes(FakeTI("t", {0: "success", 1: "success", 2: "success"}), "t", 2)


@pytest.mark.parametrize("expected", [None, [], ["a"]])
def test_a_rerun_whose_listing_fails_leaves_instances_of_the_earlier_list(expected: Any) -> None:
    ti = FakeTI("t", dict.fromkeys(range(3), "upstream_failed"))
    for i in range(3):
        ti.ended(i, "success", "of the earlier list")
    assert kinds(outcomes(ti, "t", expected)) == ["lost"] * len(expected or [])


def test_a_task_that_pushes_no_values_is_not_asked_for_each() -> None:
    ti = FakeTI("t", dict.fromkeys(range(100), "success"))
    assert kinds(outcomes(ti, "t", 100)) == ["success"] * 100
    assert ti.requests == 3


def test_a_plain_task_is_refused() -> None:
    with pytest.raises(ValueError, match="not a mapped task"):
        outcomes(FakeTI("t", {None: "success"}), "t", 1)


def test_an_unfinished_instance_is_lost_and_says_so() -> None:
    found = outcomes(FakeTI("t", {0: "up_for_retry"}), "t", 1)
    assert (found[0].kind, found[0].error) == (Kind.LOST, "not ended: its state is up_for_retry")


def test_without_values_soft_failures_are_known_by_their_record() -> None:
    ti = FakeTI("t", {0: "success", 1: "success"})
    ti.ended(0, "soft", {"status": "failed"}, error="bad")
    ti.ended(1, "success", "x" * 100)
    found = outcomes(ti, "t", 2, values=False)
    assert [(str(o.kind), o.value, o.error) for o in found] == [("soft", None, "bad"), ("success", None, None)]
    assert ti.requests == 2


def test_a_lost_object_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__COMMON_IO__XCOM_OBJECTSTORAGE_PATH", "s3://aws_default@airflow-xcom/xcom")
    url = "s3://aws_default@airflow-xcom/xcom/d/r/t/1234"
    ti = FakeTI("t", {0: "success", 1: "success"})
    ti.ended(0, "success", url)
    ti.ended(1, "success", "s3://elsewhere/file")
    found = outcomes(ti, "t", 2)
    assert (found[0].kind, found[0].error) == (Kind.LOST, f"its XCom object is missing or cut: {url}")
    assert (found[1].kind, found[1].value) == (Kind.SUCCESS, "s3://elsewhere/file")
