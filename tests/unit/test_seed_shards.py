"""The made-up users and events: the same for a seed number, Zipf-like, safe addresses. No services."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, date, datetime

from airbed.seed import shards
from airbed.seed.options import shares

DAY = date(2026, 1, 1)
USERS = shards.make_users(1)


def test_users_are_the_same_for_a_seed_number_and_lie_in_the_shards_range() -> None:
    assert shards.make_users(1) == USERS
    assert shards.make_users(1, seed=2) != USERS
    ids = [user.user_id for user in USERS]
    assert (min(ids), max(ids), len(set(ids))) == (1_000_000, 1_019_999, 20_000)


def test_addresses_cannot_exist_and_are_unique() -> None:
    assert all(user.email.rpartition("@")[2] in {"example.com", "example.org", "example.net"} for user in USERS)
    assert len({user.email for user in USERS}) == len({user.phone for user in USERS}) == len(USERS)


def test_events_are_the_same_for_a_seed_number() -> None:
    events = shards.make_events(1, DAY, 3000, USERS)
    assert events == shards.make_events(1, DAY, 3000, USERS)
    assert events != shards.make_events(1, DAY, 3000, USERS, seed=2)
    assert len({event[1] for event in events}) == 3000


def test_events_lie_in_their_day() -> None:
    for event_date, _, _, _, occurred_at, *_ in shards.make_events(1, DAY, 3000, USERS):
        assert event_date == DAY
        assert datetime(2026, 1, 1, tzinfo=UTC) <= occurred_at < datetime(2026, 1, 2, tzinfo=UTC)


def test_a_few_users_have_most_of_the_events() -> None:
    counts = Counter(event[2] for event in shards.make_events(1, DAY, 20_000, USERS))
    assert sum(count for _, count in counts.most_common(200)) > 10_000


def test_only_purchases_have_an_amount() -> None:
    with_amount = {event[3] for event in shards.make_events(1, DAY, 3000, USERS) if event[5] is not None}
    assert with_amount == {"purchase"}


def test_partition_name() -> None:
    assert shards.partition_name(DAY) == "user_events_20260101"


def test_shares_are_whole_numbers_that_sum_up() -> None:
    assert shares(120_000, [0.42, 0.33, 0.25]) == [50_400, 39_600, 30_000]
    assert shares(10, [1, 1, 1]) == [4, 3, 3]
    assert shares(3, [1, 100, 1], at_least=1) == [1, 1, 1]
    assert shares(5, []) == []
