"""Which levers a bed goes without, and what its processes get for that."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import pytest
from typer.testing import CliRunner

from airbed import levers, lifecycle
from airbed.bench.choice import LESSER_BEDS, choose
from airbed.cli import app
from airbed.errors import UsageError
from airbed.request import Request
from airbed.settings import Settings
from airbed.spec import BedFiles, BedSpec
from airbed.substrates.embedded import airflow, layout, postgres

CONFIG = Path(__file__).parents[2] / "infra/airflow/config"


def settings_of(tmp_path: Path, off: list[str]) -> dict[str, str]:
    """The environment of Airflow's processes of a bed without these levers."""
    settings = Settings(state=tmp_path / "state", cache=tmp_path / "cache")
    spec = BedSpec(name="unit", ports=defaultdict(lambda: 15000), tcp_faults=True, levers_off=off)
    files = BedFiles(settings, "unit")
    endpoints = layout.make_endpoints(spec, files)
    secrets = {"fernet": "a", "jwt": "b", "email_hash_key": "c"}
    return airflow.settings(files, spec, endpoints, secrets, settings.resources)


def test_what_is_chosen_is_in_the_order_of_the_levers() -> None:
    assert levers.chosen([]) is None
    assert levers.chosen(["wake", "preload", "wake"]) == ["preload", "wake"]
    assert levers.chosen(["wake"], production_like=True) == list(levers.NAMES)


def test_an_unknown_lever_is_refused_before_anything_starts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRBED_STATE_DIR", str(tmp_path / "state"))
    done = CliRunner().invoke(app, ["up", "--without-lever", "preloads"])

    assert isinstance(done.exception, UsageError)
    assert "did you mean 'preload'?" in str(done.exception)
    assert not (tmp_path / "state").exists()


@pytest.mark.parametrize("lever", [each for each in levers.LEVERS if each.off], ids=lambda each: each.name)
def test_each_changes_its_own_settings_and_no_other(tmp_path: Path, lever: levers.Lever) -> None:
    with_all, without = settings_of(tmp_path, []), settings_of(tmp_path, [lever.name])

    changed = {name for name in {*with_all, *without} if with_all.get(name) != without.get(name)}
    # The password of each endpoint is made anew for each bed.
    assert {name for name in changed if "CONN" not in name} - {"AIRBED_DIRECTOR_TOKEN"} == set(lever.off)
    assert {name: without[name] for name in lever.off} == lever.off


def test_each_switch_is_read_by_what_it_switches() -> None:
    code = "\n".join(file.read_text() for file in CONFIG.glob("*.py"))
    for name in levers.environment(levers.NAMES):
        assert name.startswith("AIRFLOW__") or f'"{name}"' in code


@pytest.mark.parametrize("fsync", [True, False])
def test_postgres_waits_for_the_disk_only_without_the_lever(fsync: bool) -> None:
    command = postgres.command(Path("bin"), Path("data"), 15000, "title", fsync=fsync)
    assert f"--fsync={'on' if fsync else 'off'}" in command


@pytest.mark.parametrize(
    ("variable", "said", "off"),
    [
        (None, None, []),
        ("0", None, []),
        ("1", None, list(levers.NAMES)),
        ("1", [], []),
        (None, ["wake"], ["wake"]),
    ],
)
def test_a_bed_keeps_what_it_was_made_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str | None, said: list[str] | None, off: list[str]
) -> None:
    if variable is None:
        monkeypatch.delenv("AIRBED_PRODUCTION_LIKE", raising=False)
    else:
        monkeypatch.setenv("AIRBED_PRODUCTION_LIKE", variable)
    settings = Settings(state=tmp_path / "state", cache=tmp_path / "cache")
    monkeypatch.setattr(lifecycle, "bring_up", lambda settings, files, progress: {})
    bed, _ = lifecycle.up(settings, Request("mine", kubernetes=False, levers_off=said), lambda line: None)

    assert bed.spec.levers_off == off
    assert BedFiles(settings, "mine").read_spec().levers_off == off


def test_a_bed_without_a_lever_is_a_peer_of_one_with_all() -> None:
    assert set(LESSER_BEDS) == {"production-like", *(f"without-{name}" for name in levers.NAMES)}
    assert choose(["fanout"], ["without-wake", "production-like"]).peers == ("production-like", "without-wake")
    with pytest.raises(UsageError, match="is for up and memory and fanout"):
        choose(["cli"], ["production-like"])
