"""What a snapshot has of a bed's folder, and which beds cannot be saved; no service is started."""

from __future__ import annotations

import json
import os
import subprocess
import time
from dataclasses import replace
from pathlib import Path

import pytest

from airbed import cache
from airbed.endpoints import Endpoints
from airbed.errors import Unavailable, UsageError
from airbed.faults.ledger import BY_HAND, Book, Entry
from airbed.records import to_json
from airbed.settings import Settings
from airbed.snapshots import contents
from airbed.snapshots.save import save
from airbed.snapshots.store import Store
from airbed.spec import BedFiles, BedSpec
from airbed.substrates.embedded import beds, layout, processes


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    made = Settings(state=tmp_path / "state", cache=tmp_path / "cache")
    layout.prepare_roots(made)
    return made


def quiet(line: str) -> None:
    pass


def make_bed(settings: Settings, **of_bed: object) -> BedFiles:
    """The folder of a bed that is stopped, unless said otherwise."""
    files = BedFiles(settings, "mine")
    layout.make_folders(files)
    spec = BedSpec(name="mine", **({"state": "stopped"} | of_bed))  # type: ignore[arg-type]
    spec.ports = beds.allocate_ports(settings, spec)
    files.write_spec(spec)
    files.write_endpoints(layout.make_endpoints(spec, files))
    return files


@pytest.mark.parametrize(
    ("of_bed", "said"),
    [
        ({"substrate": "compose"}, "snapshots are for embedded beds, and bed 'mine' is on compose"),
        ({"s3": "moto"}, "moto keeps objects in memory only"),
        ({"state": "creating"}, "first start was interrupted"),
    ],
)
def test_beds_that_cannot_be_saved(settings: Settings, of_bed: dict[str, str], said: str) -> None:
    make_bed(settings, **of_bed)
    with pytest.raises(Unavailable, match=said):
        save(settings, "mine", "one", quiet)
    assert Store(settings).names() == []


def test_a_stopped_bed_of_which_processes_run_is_not_saved(settings: Settings) -> None:
    """What a start leaves that is killed just before it notes that the bed is up."""
    files = make_bed(settings)
    environment = {processes.MARK: files.read_spec().mark, processes.FOLDER: str(files.folder)}
    with subprocess.Popen(["/bin/sleep", "60"], env=environment, start_new_session=True) as left:
        deadline = time.monotonic() + 10
        while left.pid not in processes.of_bed(files.read_spec().mark):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        with pytest.raises(Unavailable, match=r"1 processes of it run; .* airbed up --name mine"):
            save(settings, "mine", "one", quiet)
        with pytest.raises(Unavailable, match="in use by mine"):
            cache.remove(settings)
        left.kill()
    assert Store(settings).names() == []
    assert save(settings, "mine", "one", quiet).snapshot.name == "one"


def test_a_full_disk_is_told_before_anything_is_halted(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    make_bed(settings, state="up")
    monkeypatch.setattr("airbed.snapshots.save._ensure_possible", lambda bed: None)
    monkeypatch.setattr("airbed.snapshots.save._halt", lambda bed, progress: pytest.fail("it was halted"))
    monkeypatch.setattr("airbed.snapshots.save._SPARE_BYTES", 10**18)
    with pytest.raises(UsageError, match="make room"):
        save(settings, "mine", "one", quiet)


def test_a_stopped_bed_is_saved_as_it_lies(settings: Settings) -> None:
    store = Store(settings)
    files = make_bed(settings)
    files.read_secrets()
    (files.airflow / "logs").mkdir()
    (files.airflow / "logs/of-a-task").write_text("kept")
    (files.logs / "scheduler.log").write_text("of a process")
    made = save(settings, "mine", "one", quiet).snapshot
    data = store.data_of(made)
    assert (data / "airflow/logs/of-a-task").read_text() == "kept"
    assert not (data / "logs").exists()
    assert not (data / "bed.json").exists()
    assert json.loads((data / "secrets.json").read_text()) == files.read_secrets()
    assert made.bed == replace(files.read_spec(), ports={})
    assert files.read_spec().state == "stopped"
    with pytest.raises(UsageError, match="exists"):
        save(settings, "mine", "one", quiet)
    assert save(settings, "mine", "one", quiet, anew=True).snapshot.data != made.data
    assert not data.exists()


def test_a_bed_with_a_fault_that_was_not_put_back_is_not_saved(settings: Settings) -> None:
    files = make_bed(settings)
    entry = Entry("tcp.down#1", "tcp.down", {}, {}, BY_HAND, os.getpid(), "stuck")
    (files.folder / "faults.json").write_text(to_json(Book(1, [entry])))
    with pytest.raises(Unavailable, match=r"tcp\.down#1.*airbed fault clear --name mine"):
        save(settings, "mine", "one", quiet)
    assert Store(settings).names() == []


@pytest.mark.parametrize(
    "path",
    [
        *("logs", "tmp", "toxiproxy", "bed.json", "faults.json", ".faults.lock", "supervisord.conf", "supervisord.pid"),
        *("postgres/metadata/postmaster.pid", "postgres/shard-0/postmaster.opts", "postgres/.shard-0.partial"),
        *("airflow/airflow.cfg", "airflow/start-0.lock", "s3/m19463", "s3/mini.options"),
        "kubernetes/etcd/member/wal/1.tmp",
    ],
)
def test_what_is_left_out(path: str) -> None:
    assert not contents.belongs(Path(path))


@pytest.mark.parametrize(
    "path",
    [
        *(
            "airflow/logs",
            "airflow/logs/tmp",
            "home/.aws",
            "endpoints.json",
            "secrets.json",
            "s3/.mini_sse_kek",
            "s3/1.dat",
        ),
        *("postgres/metadata/PG_VERSION", "postgres/metadata/base", "s3/filerldb2", "kubernetes/etcd/member/snap/db"),
    ],
)
def test_what_belongs(path: str) -> None:
    assert contents.belongs(Path(path))


def test_a_new_bed_has_the_old_credentials_at_addresses_of_its_own(settings: Settings) -> None:
    def endpoints(name: str) -> Endpoints:
        spec = BedSpec(name=name, tcp_faults=True)
        spec.ports = beds.allocate_ports(settings, spec)
        return layout.make_endpoints(spec, BedFiles(settings, name))

    saved, new = endpoints("old"), endpoints("new")
    made = contents.with_credentials_of(saved, new)
    for name, each in made.databases.items():
        assert each.direct == new.databases[name].direct
        assert (each.password, each.admin_password) == (
            saved.databases[name].password,
            saved.databases[name].admin_password,
        )
    assert (made.s3.direct, made.s3.secret_key) == (new.s3.direct, saved.s3.secret_key)
    assert (made.airflow.url, made.airflow.password) == (new.airflow.url, saved.airflow.password)
    assert (made.bed, made.mark, made.kubernetes) == (new.bed, new.mark, new.kubernetes)
