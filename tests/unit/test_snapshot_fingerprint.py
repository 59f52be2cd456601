"""When a snapshot is stale, and what is said of it; nothing is started."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path

import pytest

from airbed.doctor.snapshots import snapshots
from airbed.errors import Unavailable, UsageError
from airbed.settings import Settings
from airbed.snapshots.fingerprint import TITLES, Fingerprint, differences, digest, fingerprint
from airbed.snapshots.state import ensure_usable, missing, rows
from airbed.snapshots.store import Snapshot, Store
from airbed.spec import BedSpec

THEN = Fingerprint(
    format="1",
    airbed="0.1.0",
    layout="abc",
    airflow="3.3.2",
    postgres="18.6",
    owner="70",
    s3="seaweedfs 4.48",
    kubernetes="none",
    machine="x86_64",
)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(state=tmp_path / "state", cache=tmp_path / "cache")


def make(settings: Settings, name: str = "seeded", **of_bed: object) -> tuple[Store, Snapshot]:
    store = Store(settings)
    spec = BedSpec(name="mine", **of_bed)  # type: ignore[arg-type]
    data = store.new_data(name)
    (data / "endpoints.json").write_text("{}")
    made = Snapshot(name, "2026-01-05T00:00:00+00:00", spec, 5_000_000, data.name, fingerprint(settings, spec))
    store.publish(made)
    return store, made


def test_equal_fingerprints_fit() -> None:
    assert differences(THEN, replace(THEN)) == []


@pytest.mark.parametrize("name", [each.name for each in fields(Fingerprint)])
def test_every_part_makes_a_snapshot_stale_and_is_named(name: str) -> None:
    (found,) = differences(THEN, replace(THEN, **{name: "another"}))
    assert str(found) == f"{TITLES[name]} {getattr(THEN, name)} then, another now"


def test_differences_are_told_in_one_order() -> None:
    found = differences(THEN, replace(THEN, machine="arm64", airbed="0.2.0", postgres="19.1"))
    assert [each.what for each in found] == ["airbed", "Postgres", "machine"]


def test_a_digest_depends_on_names_and_texts_and_not_on_their_order() -> None:
    assert digest({"a": "1", "b": "2"}) == digest({"b": "2", "a": "1"})
    different = [{"a": "1"}, {"a": "12"}, {"a1": "2"}, {"a": "1", "b": "2"}, {"a": "2", "b": "1"}, {"a": "", "b": "12"}]
    assert len({digest(each) for each in different}) == len(different)


def test_todays_fingerprint_is_of_the_beds_parts_and_not_of_its_dags(settings: Settings, tmp_path: Path) -> None:
    plain = fingerprint(settings, BedSpec(name="mine"))
    assert fingerprint(settings, BedSpec(name="other", dags=[str(tmp_path)], time_scale=60)) == plain
    assert plain.airflow == "3.3.2"
    assert plain.kubernetes == "none"
    with_kubernetes = fingerprint(settings, BedSpec(name="mine", kubernetes=True))
    assert with_kubernetes.kubernetes.startswith("v1.35.4, etcd v3.")
    assert with_kubernetes.layout != plain.layout
    assert fingerprint(settings, BedSpec(name="mine", s3="moto")).s3.startswith("moto ")


def test_a_changed_table_makes_a_snapshot_stale(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    infra = tmp_path / "infra"
    for folder in ("postgres/init", "kubernetes/regions"):
        (infra / folder).mkdir(parents=True)
    (infra / "postgres/shard.sql").write_text("CREATE TABLE users (id bigint)")
    monkeypatch.setitem(vars(settings), "resources", type("Resources", (), {"infra": infra}))
    before = fingerprint(settings, BedSpec(name="mine"))
    (infra / "kubernetes/regions/region.yaml").write_text("kind: Namespace")
    assert fingerprint(settings, BedSpec(name="mine")) == before, "the bed has no regions"
    (infra / "postgres/shard.sql").write_text("CREATE TABLE users (id bigint, name text)")
    assert [each.what for each in differences(before, fingerprint(settings, BedSpec(name="mine")))] == [
        "databases, buckets and regions (infra/)"
    ]


def test_a_stale_snapshot_is_refused_in_one_line_with_the_remedy(settings: Settings) -> None:
    store, made = make(settings)
    ensure_usable(settings, store, made)
    old = replace(made, fingerprint=replace(made.fingerprint, airflow="3.2.0", machine="arm64"))
    store.publish(old)
    with pytest.raises(UsageError) as refused:
        ensure_usable(settings, store, old)
    said = str(refused.value)
    assert "Airflow 3.2.0 then, 3.3.2 now; machine arm64 then, " in said
    assert "airbed snapshot save seeded --replace" in said
    assert "airbed snapshot rm seeded" in said
    assert "\n" not in said
    (row,) = rows(settings)
    assert not row.usable
    assert row.why.startswith("Airflow 3.2.0 then, 3.3.2 now; machine arm64 then, ")


def test_a_snapshot_whose_dags_are_gone_is_refused(settings: Settings, tmp_path: Path) -> None:
    dags = tmp_path / "dags"
    dags.mkdir()
    store, made = make(settings, dags=[str(dags)])
    ensure_usable(settings, store, made)
    dags.rmdir()
    with pytest.raises(UsageError, match=f"its --dags {dags} is no folder any more"):
        ensure_usable(settings, store, made)
    assert "no folder any more" in rows(settings)[0].why


@pytest.mark.parametrize("option", ["project", "env_file"])
def test_what_else_the_options_name_must_be_there(tmp_path: Path, option: str) -> None:
    assert f"--{option.replace('_', '-')} {tmp_path}/gone" in missing(BedSpec("mine", **{option: f"{tmp_path}/gone"}))  # type: ignore[arg-type]


def test_a_snapshot_without_its_data_is_refused(settings: Settings) -> None:
    store, made = make(settings)
    (store.data_of(made) / "endpoints.json").unlink()
    store.data_of(made).rmdir()
    with pytest.raises(Unavailable, match="airbed snapshot rm seeded"):
        ensure_usable(settings, store, made)


def test_the_doctor_names_what_can_only_be_deleted(settings: Settings) -> None:
    assert list(snapshots(settings)) == []
    store, made = make(settings)
    (finding,) = snapshots(settings)
    assert (finding.state, finding.found) == ("ok", f"1 in {settings.snapshots}, 0.0 GB")
    store.publish(replace(made, fingerprint=replace(made.fingerprint, airbed="0.0.1")))
    (finding,) = snapshots(settings)
    assert finding.state == "warn"
    assert finding.remedy.endswith("airbed snapshot rm seeded")
