"""The doctor's findings, and the cache."""

from __future__ import annotations

import pytest

from airbed import cache
from airbed.doctor import can_run, examine
from airbed.doctor.finding import Finding
from airbed.doctor.leftovers import _stray
from airbed.doctor.machine import folder_of_ours, python, system
from airbed.errors import Unavailable, UsageError
from airbed.settings import Settings
from airbed.spec import BedFiles, BedSpec
from airbed.substrates.embedded.processes import Process


@pytest.fixture
def settings(tmp_path):
    return Settings(state=tmp_path / "state", cache=tmp_path / "cache")


def make_bed(settings, name, **fields):
    files = BedFiles(settings, name)
    files.folder.mkdir(parents=True)
    files.write_spec(BedSpec(name=name, **fields))
    return files


@pytest.mark.parametrize(
    ("finding", "state"),
    [
        (system("Linux", "x86_64"), "ok"),
        (system("Linux", "aarch64"), "missing"),
        (system("Darwin", "x86_64"), "missing"),
        (python((3, 10)), "missing"),
        (python((3, 11)), "ok"),
        (python((3, 11), quick=False), "warn"),
        (python((3, 14)), "missing"),
    ],
)
def test_machines_that_can_and_cannot(finding, state):
    assert finding.state == state
    assert bool(finding.remedy) is (state != "ok")


def test_a_file_where_the_state_folder_belongs_is_missing(tmp_path):
    (tmp_path / "state").touch()
    finding = folder_of_ours("state folder", tmp_path / "state")
    assert finding.state == "missing"
    assert "AIRBED_STATE_DIR" in finding.remedy


def test_beds_without_processes_and_interrupted_ones_have_a_remedy(settings):
    make_bed(settings, "gone", state="up")
    make_bed(settings, "half")
    make_bed(settings, "asleep", state="stopped")
    (make_bed(settings, "odd").spec).write_text("{")
    found = {each.name: each for each in examine(settings) if each.name.startswith("bed ")}
    assert (found["bed 'gone'"].state, found["bed 'gone'"].found) == ("warn", "its processes are gone")
    assert "airbed up --name half" in found["bed 'half'"].remedy
    assert found["bed 'asleep'"].state == "ok"
    assert found["bed 'odd'"].remedy == "airbed down --name odd"
    assert not settings.cache.exists()


def test_stray_processes_are_ended_by_the_name_of_their_bed(settings):
    def said(folder):
        group = [Process(7, ["S", *["1"] * 19], "m", "s3", folder)]
        return _stray(settings, group)

    assert said(str(settings.beds / "old")).remedy == "airbed down --name old"
    assert said(None).remedy == "kill -9 7"
    other = make_bed(Settings(settings.state / "other", settings.cache), "theirs").folder
    assert said(str(other)).remedy == f"to work with it: AIRBED_STATE_DIR={settings.state / 'other'}"


def test_only_what_is_missing_keeps_a_bed_from_running():
    assert can_run([Finding("a", "ok", ""), Finding("b", "warn", "", "do")])
    assert not can_run([Finding("a", "missing", "", "do")])


def test_the_cache_goes_by_kind_and_not_under_a_bed(settings):
    (settings.cache / "templates/empty-1").mkdir(parents=True)
    (settings.cache / "templates/empty-1/data").write_bytes(b"x" * 10_000)
    (settings.cache / "overlays/1").mkdir(parents=True)
    sizes = {each.name: each for each in cache.kinds(settings)}
    assert sizes["templates"].bytes >= 10_000
    assert sizes["overlays"].entries == 1
    with pytest.raises(UsageError, match="the cache has no 'tempaltes'"):
        cache.remove(settings, "tempaltes")
    files = make_bed(settings, "busy", state="up")
    with pytest.raises(Unavailable, match="in use by busy"):
        cache.remove(settings)
    files.spec.unlink()
    assert [each.name for each in cache.remove(settings, "overlays")] == ["overlays"]
    assert (settings.cache / "templates/empty-1").is_dir()
    cache.remove(settings)
    assert not (settings.cache / "templates").exists()


def test_what_others_keep_in_the_caches_folder_stays(settings):
    """A cache that shares its folder with beds and snapshots, or with other programs."""
    shared = Settings(state=settings.cache, cache=settings.cache)
    make_bed(shared, "mine")
    (settings.cache / "snapshots/seeded").mkdir(parents=True)
    (settings.cache / "pip").mkdir()
    (settings.cache / "templates").mkdir()
    with pytest.raises(Unavailable, match="in use by mine"):
        cache.remove(shared)
    (settings.cache / "beds/mine/bed.json").unlink()
    assert "templates" in [each.name for each in cache.remove(shared)]
    assert sorted(each.name for each in settings.cache.iterdir()) == ["beds", "pip", "snapshots"]


def test_the_cache_is_not_deleted_under_a_running_engine(settings):
    (settings.cache / "engine").mkdir(parents=True)
    (settings.cache / "engine/pid").write_text("1")
    (settings.cache / "images").mkdir()

    with pytest.raises(Unavailable, match="make engine-down"):
        cache.remove(settings)
    assert [each.name for each in cache.remove(settings, "images")] == ["images"]
    (settings.cache / "engine/pid").unlink()
    assert "engine" in [each.name for each in cache.remove(settings)]
