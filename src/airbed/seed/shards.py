"""Users and a day of their events in the three shards, for `parallel_shard_processor`."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
import psycopg
from psycopg import sql

from airbed.seed.options import ensure_between, shares
from airbed.seed.summary import Summary
from airbed.topology import SHARDS

USERS_PER_SHARD = 20_000
SHARD_WEIGHTS = [0.42, 0.33, 0.25]
DELETED_USERS = 25
EVENT_TYPES = ["page_view", "search", "add_to_cart", "purchase", "sign_in"]
FIRST_NAMES = ["Ada", "Bo", "Chen", "Dana", "Emil", "Fatou", "Goran", "Hana", "Ines", "Jamal", "Kaya", "Luca"]
LAST_NAMES = [
    "Abebe",
    "Berg",
    "Costa",
    "Diaz",
    "Eriksen",
    "Fischer",
    "Gupta",
    "Haddad",
    "Ito",
    "Jansen",
    "Kim",
    "Lopez",
]
COUNTRIES = ["US", "DE", "BR", "IN", "JP", "FR", "NG", "SE"]
PLANS = ["free", "plus", "team", "enterprise"]


@dataclass(frozen=True)
class Shard:
    """One shard's part.

    `missing`: it has no partition for the day. `deleted_user_events` are of users whose account is gone from `users`.
    """

    shard_id: int
    service: str
    namespace: str
    users: int
    events: int
    deleted_user_events: int
    missing: bool


@dataclass(frozen=True)
class ShardsSummary(Summary):
    """`rows` are the events of all shards together."""

    shards: tuple[Shard, ...] = ()

    @property
    def events(self) -> dict[int, int]:
        """Events by shard id; a missing shard has 0."""
        return {each.shard_id: each.events for each in self.shards}


@dataclass(frozen=True)
class User:
    """One account. Its e-mail and phone must never leave the shard's database in clear."""

    user_id: int
    name: str
    email: str
    phone: str
    country: str
    plan: str
    signed_up: date


def partition_name(day: date) -> str:
    """The name of the partition that holds a day: user_events_YYYYMMDD."""
    return f"user_events_{day:%Y%m%d}"


def make_users(shard_id: int, *, seed: int = 1) -> list[User]:
    """The shard's accounts, the same for every day. E-mails are example.*, phones +1555...: none can exist."""
    random = np.random.default_rng([seed, shard_id])
    count = USERS_PER_SHARD
    first, last = (
        random.integers(0, len(FIRST_NAMES), count).tolist(),
        random.integers(0, len(LAST_NAMES), count).tolist(),
    )
    country = random.choice(COUNTRIES, count, p=[0.35, 0.15, 0.12, 0.12, 0.08, 0.08, 0.06, 0.04]).tolist()
    plan = random.choice(PLANS, count, p=[0.7, 0.18, 0.09, 0.03]).tolist()
    age = random.integers(1, 2000, count).tolist()
    domain = random.choice(["com", "org", "net"], count).tolist()
    epoch = date(2025, 12, 31)
    users = []
    for index in range(count):
        user_id = shard_id * 1_000_000 + index
        given, family = FIRST_NAMES[first[index]], LAST_NAMES[last[index]]
        email = f"{given}.{family}.{user_id}@example.{domain[index]}"
        signed_up = epoch - timedelta(days=age[index])
        users.append(
            User(user_id, f"{given} {family}", email, f"+1555{user_id:07d}", country[index], plan[index], signed_up)
        )
    return users


def make_events(shard_id: int, day: date, count: int, users: list[User], *, seed: int = 1) -> list[tuple[Any, ...]]:
    """The shard's events of one day, as rows of `user_events`, in the table's column order.

    A few users have most of them (Zipf).
    """
    random = np.random.default_rng([seed, shard_id, day.toordinal()])
    weights = 1 / np.arange(1, len(users) + 1) ** 1.1
    ranks = np.searchsorted(np.cumsum(weights) / weights.sum(), random.random(count))
    whose = (
        np.random.default_rng([seed, shard_id, 7]).permutation(len(users))[np.minimum(ranks, len(users) - 1)].tolist()
    )
    kinds = random.choice(EVENT_TYPES, count, p=[0.55, 0.2, 0.12, 0.05, 0.08]).tolist()
    seconds = np.sort(random.triangular(0, 64_800, 86_400, count)).tolist()
    amounts = np.round(random.lognormal(3, 1, count), 2).tolist()
    midnight = datetime(day.year, day.month, day.day, tzinfo=UTC)
    first = day.toordinal() * 100_000_000
    rows: list[tuple[Any, ...]] = []
    for index in range(count):
        user = users[whose[index]]
        at = midnight + timedelta(seconds=int(seconds[index]))
        amount = amounts[index] if kinds[index] == "purchase" else None
        rows.append((day, first + index, user.user_id, kinds[index], at, amount, user.email, user.phone))
    return rows


def put(
    database: Callable[[str], psycopg.Connection[Any]],
    day: date,
    *,
    seed: int = 1,
    rows: int = 120_000,
    missing: Iterable[int] = (),
) -> ShardsSummary:
    """Write users and the day's events into every shard, replacing both.

    `database` opens a superuser's connection to a service ("shard-0"); `rows` is over all shards, uneven; the shards in
    `missing` get their users, but no partition for the day, and the others' events stay what they would be. Raises
    UsageError for impossible options.
    """
    ensure_between("rows", rows, 0, 50_000_000)
    without = {ensure_between("missing shard", each, 0, len(SHARDS) - 1) for each in missing}
    made = []
    for shard_id, (place, count) in enumerate(zip(SHARDS, shares(rows, SHARD_WEIGHTS), strict=True)):
        accounts = make_users(shard_id, seed=seed)
        deleted = {user.user_id for user in accounts[-DELETED_USERS:]}
        events = [] if shard_id in without else make_events(shard_id, day, count, accounts, seed=seed)
        namespace = str(place.namespace).lower()
        with database(place.service) as connection, connection.transaction():
            _replace_users(connection, namespace, [user for user in accounts if user.user_id not in deleted])
            _replace_day(connection, namespace, day, None if shard_id in without else events)
        orphans = sum(1 for event in events if event[2] in deleted)
        made.append(
            Shard(
                shard_id,
                place.service,
                str(place.namespace),
                len(accounts) - len(deleted),
                len(events),
                orphans,
                shard_id in without,
            )
        )
    absent = (
        f"no partition for the day on {', '.join(SHARDS[each].service for each in sorted(without))}"
        if without
        else "every shard has the day"
    )
    return ShardsSummary(
        pattern="parallel_shard_processor",
        day=day,
        seed=seed,
        rows=sum(each.events for each in made),
        note=f"{absent}; {sum(each.deleted_user_events for each in made)} events of deleted users",
        shards=tuple(made),
    )


def _replace_users(connection: psycopg.Connection[Any], namespace: str, users: list[User]) -> None:
    table = sql.Identifier(namespace, "users")
    with connection.cursor() as cursor:
        cursor.execute(sql.SQL("TRUNCATE {}").format(table))
        columns = [[getattr(user, field) for field in User.__dataclass_fields__] for user in users]
        _copy(cursor, table, columns)


def _replace_day(
    connection: psycopg.Connection[Any], namespace: str, day: date, events: list[tuple[Any, ...]] | None
) -> None:
    partition = sql.Identifier(namespace, partition_name(day))
    with connection.cursor() as cursor:
        cursor.execute(sql.SQL("DROP TABLE IF EXISTS {}").format(partition))
        if events is None:
            return
        cursor.execute(
            sql.SQL("CREATE TABLE {} PARTITION OF {} FOR VALUES FROM ({}) TO ({})").format(
                partition,
                sql.Identifier(namespace, "user_events"),
                sql.Literal(day.isoformat()),
                sql.Literal((day + timedelta(days=1)).isoformat()),
            )
        )
        _copy(cursor, partition, events)
        cursor.execute(sql.SQL("ANALYZE {}").format(partition))


def _copy(cursor: psycopg.Cursor[Any], table: sql.Identifier, rows: Iterable[Iterable[Any]]) -> None:
    """COPY in text form; no value of ours needs escaping."""
    with cursor.copy(sql.SQL("COPY {} FROM STDIN").format(table)) as copy:
        block: list[str] = []
        for row in rows:
            block.append("\t".join("\\N" if value is None else str(value) for value in row))
            if len(block) == 10_000:
                copy.write("\n".join(block) + "\n")
                block.clear()
        if block:
            copy.write("\n".join(block) + "\n")
