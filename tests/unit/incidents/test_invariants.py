"""What must hold after every case."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from airbed.clients.rows import Attempt
from airbed.incidents import invariants, invariants_logs
from airbed.incidents.observe import Seen
from airbed.runs.model import Instance, MappedTask, Outcome, RunResult

START = datetime(2026, 3, 1, tzinfo=UTC)


def bed(folder: Path = Path(), **database: Any) -> Any:
    passwords = {"password": "tasks-password", "admin_password": "admins-password"}
    users = {"user": "etl", "admin_user": "postgres"}
    return SimpleNamespace(
        airflow=SimpleNamespace(pools=lambda: {"db_etl": {"slots": 2}}),
        metadata=SimpleNamespace(
            structure=lambda dag_id: {"dag": {"tasks": [{"task_id": "work", "pool": "db_etl"}]}},
            deferred=lambda dag_id, run_ids: set(),
        ),
        files=SimpleNamespace(airflow=folder, read_secrets=lambda: {"fernet": "fernet-key-of-the-bed", "short": "abc"}),
        endpoints=SimpleNamespace(
            databases={"shard-0": SimpleNamespace(**users, **passwords)},
            s3=SimpleNamespace(secret_key="s3-secret-key"),
            airflow=SimpleNamespace(password="airflow-password"),
            director=SimpleNamespace(token="token-of-the-director"),
        ),
    )


def seen(*states: Outcome, run: str = "success", cap: int | None = None, most: int = 1, at_once: int = 1) -> Seen:
    instances = tuple(Instance("work", index, state, None, 1) for index, state in enumerate(states))
    task = MappedTask("work", len(states), instances, most, cap)
    attempts = [
        Attempt("d", "r", "work", index, 1, "success", START, START + timedelta(seconds=5)) for index in range(at_once)
    ]
    return Seen({"run": [RunResult("d", "r", run, 1.0, {"work": task})]}, {"run": run}, attempts=attempts)


def found(
    name: str,
    what: Seen,
    pools: dict[str, int] | None = None,
    where: Any = None,
    grown: dict[str, int] | None = None,
) -> list[str]:
    return invariants.check(where or bed(), [name], what, pools or {}, grown)[name]


def test_a_cap_that_is_kept_and_one_that_is_not() -> None:
    assert found("caps", seen("success", cap=3, most=3)) == []
    assert found("caps", seen("success", cap=3, most=4)) == ["d.work: 4 ran at once, its cap is 3"]


@pytest.mark.parametrize(("slots", "broken"), [({}, True), ({"db_etl": 3}, False), ({"db_etl": 1}, True)])
def test_a_pool_is_held_to_the_slots_that_the_case_gave_it(slots: dict[str, int], broken: bool) -> None:
    told = found("caps", seen("success", at_once=3), slots)
    assert told == ([f"pool db_etl: 3 ran at once, it has {slots.get('db_etl', 2)} slots"] if broken else [])


@pytest.mark.parametrize(("slots", "broken"), [(-1, False), (2, True)])
def test_a_pool_of_minus_one_slots_takes_as_many_as_come(slots: int, broken: bool) -> None:
    where = bed()
    where.airflow.pools = lambda: {"db_etl": {"slots": slots}}
    assert bool(found("caps", seen("success", at_once=3), where=where)) is broken


@pytest.mark.parametrize(("grown", "broken"), [(4, False), (3, False), (1, True)])
def test_a_pool_may_have_what_a_fault_gave_it(grown: int, broken: bool) -> None:
    assert bool(found("caps", seen("success", at_once=3), grown={"db_etl": grown})) is broken


def test_what_was_deferred_holds_no_slot() -> None:
    where = bed()
    where.metadata.deferred = lambda dag_id, run_ids: {("r", "work", 0, 1)} if run_ids == ["r"] else set()
    assert found("caps", seen("success", at_once=3), where=where) == []
    told = found("caps", seen("success", at_once=3, cap=1, most=3), where=where)
    assert told == ["d.work: 3 ran at once, its cap is 1"], "Airflow counts it for the cap of its task"
    assert found("caps", seen("success", at_once=4), where=where) == ["pool db_etl: 3 ran at once, it has 2 slots"]


@pytest.mark.parametrize(
    ("states", "run", "broken"),
    [
        (("success", "success"), "success", False),
        (("success", "soft"), "success", False),
        (("success", "removed"), "success", False),
        (("success", "hard"), "success", True),
        (("success", "lost"), "success", True),
        (("success", "hard"), "failed", False),
        ((), "success", True),
    ],
)
def test_a_success_that_is_none(states: tuple[Outcome, ...], run: str, broken: bool) -> None:
    assert bool(found("silent-success", seen(*states, run=run))) is broken


def log(folder: Path, text: str) -> None:
    file = folder / "logs" / "dag_id=d" / "run_id=r" / "task_id=work" / "map_index=0" / "attempt=1.log"
    file.parent.mkdir(parents=True)
    file.write_text(text)


@pytest.mark.parametrize(
    ("secret", "name"),
    [
        ("tasks-password", "the password of etl at shard-0"),
        ("admins-password", "the password of postgres at shard-0"),
        ("s3-secret-key", "the S3 secret key"),
        ("airflow-password", "Airflow's password"),
        ("token-of-the-director", "the director's token"),
        ("fernet-key-of-the-bed", "the secret 'fernet'"),
    ],
)
def test_a_secret_in_a_log(tmp_path: Path, secret: str, name: str) -> None:
    log(tmp_path, f"all is well\nconnecting with {secret}\n")
    (told,) = found("leaked-secrets", seen("success"), where=bed(tmp_path))
    assert told.startswith(f"{name} stands in logs/dag_id=d/") and told.endswith(", line 2")
    assert secret not in told


def test_a_log_without_secrets(tmp_path: Path) -> None:
    log(tmp_path, "abc is too short to be told from chance\n")
    assert found("leaked-secrets", seen("success"), where=bed(tmp_path)) == []


@pytest.mark.parametrize("text", ["ada.berg.17@example.com", "+15550000017"])
def test_personal_data_in_a_log(tmp_path: Path, text: str) -> None:
    log(tmp_path, f"row: (17, {text})\n")
    (told,) = found("personal-data", seen("success"), where=bed(tmp_path))
    assert text not in told and told.endswith("line 1")


def test_everybody_of_the_sample_data_is_known() -> None:
    from airbed.seed.shards import make_users

    for user in make_users(0)[:500]:
        assert invariants_logs._PERSONAL.search(user.email) and invariants_logs._PERSONAL.search(user.phone)


def test_what_cannot_be_looked_at_does_not_hold() -> None:
    blind = bed()
    blind.airflow.pools = lambda: 1 / 0
    assert found("caps", seen("success"), where=blind) == ["cannot be looked at: division by zero"]


def test_every_invariant_of_the_schema_has_its_check() -> None:
    from typing import get_args

    from airbed.incidents.expectation import Invariant

    assert {*invariants.CHECKS, "caps"} == set(get_args(Invariant))
    assert set(get_args(Invariant)) > invariants.ALWAYS
