"""Bad input is one line that names what, where and the remedy; it ends with 2 (3: not available), and nothing happens.

No bed is needed here; what needs a living one is in test_your_dags.py.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from airbed import disk, lifecycle, locks, removal
from airbed.errors import AirbedError, Unavailable, UsageError
from airbed.kubernetes import build
from airbed.request import Request
from airbed.settings import Settings
from airbed.spec import BedFiles
from airbed.substrates.shared import prepare_roots

AIRBED = Path(sys.executable).with_name("airbed")
ROOT = Path(__file__).resolve().parents[2]
DAG = "from airflow.sdk import dag\n"


@pytest.fixture
def settings(tmp_path):
    # Postgres' user must be able to enter, or `up` refuses for that reason.
    for folder in (tmp_path, *tmp_path.parents[:2]):
        folder.chmod(0o755)
    return Settings(state=tmp_path / "state", cache=tmp_path / "cache")


@pytest.fixture
def dags(tmp_path):
    folder = tmp_path / "dags"
    folder.mkdir()
    (folder / "one.py").write_text(DAG)
    return str(folder)


def said(settings, *arguments):
    """Exit code and last line of `airbed ...`; the error is one line, and no folder was made."""
    environment = {**os.environ, "AIRBED_STATE_DIR": str(settings.state), "AIRBED_CACHE_DIR": str(settings.cache)}
    done = subprocess.run([str(AIRBED), *arguments], capture_output=True, text=True, check=False, env=environment)
    lines = done.stderr.strip().splitlines()
    assert len([line for line in lines if line.startswith("error: ")]) == 1, done.stderr
    assert lines[-1].startswith("error: ")
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    return done.returncode, lines[-1]


def untouched(settings):
    return not (settings.beds.is_dir() and [each for each in settings.beds.iterdir() if not each.name.startswith(".")])


ROWS = [
    (["run", "x", "--conf", "{no"], 2, ["--conf is not JSON", "column 2", "write an object"]),
    (["run", "x", "--conf", "[1]"], 2, ["JSON list, not an object"]),
    (["run", "x", "--day", "2026-02-30"], 2, ["'2026-02-30' is not a day", "YYYY-MM-DD"]),
    (["run", "x", "--day", "9999-12-31"], 2, ["'9999-12-31' is no day that a run can have"]),
    (["run", "x", "--logical-date", "tomorrow"], 2, ["'tomorrow' is not a date and time"]),
    (["backfill", "x", "--from", "2026-01-01", "--to", "soon"], 2, ["'soon' is not a day"]),
    (["run", "x", "--name", "nobody"], 3, ["no bed named 'nobody'", "airbed up --name nobody"]),
    (["status", "--name", "Odd Name!"], 2, ["'Odd Name!' is not a bed name", "lower-case letters"]),
    (["up", "--name", "../../etc"], 2, ["'../../etc' is not a bed name"]),
    (["down", "--name", "a" * 40], 2, ["is not a bed name"]),
    (["up", "--dags", "/nowhere/dags"], 2, ["--dags /nowhere/dags is not a folder", "give one that exists"]),
    (["up", "--project", "/nowhere"], 2, ["--project /nowhere is not a folder", "Astro layout"]),
    (["up", "--env-file", "/nowhere/.env"], 2, ["--env-file /nowhere/.env is not a file"]),
    (["up", "--s3", "ceph"], 2, ["--s3 ceph is unknown", "seaweedfs, moto, or (on compose) minio"]),
    (["up", "--s3", "minio", "--on", "embedded"], 2, ["--s3 minio needs --on compose", "seaweedfs or moto"]),
    (["up", "--with", "docker"], 2, ["'docker' is not an optional part", "kubernetes"]),
    (["up", "--time-scale", "0"], 2, ["--time-scale 0 is out of range"]),
    (["seed", "nothing"], 2, ["no sample data for 'nothing'", "s3_daily_processor"]),
]


@pytest.mark.parametrize(("arguments", "code", "words"), ROWS, ids=[" ".join(row[0])[:40] for row in ROWS])
def test_one_line_and_nothing_happens(settings, arguments, code, words):
    got, line = said(settings, *arguments)
    assert got == code, line
    for word in words:
        assert word in line
    assert untouched(settings)


def test_unknown_commands_and_options_end_with_2():
    for arguments in (["nonsense"], ["up", "--nonsense"], ["run"]):
        done = subprocess.run([str(AIRBED), *arguments], capture_output=True, text=True, check=False)
        assert done.returncode == 2
        assert "Traceback" not in done.stderr


def test_a_connection_off_the_bed_starts_nothing(settings, dags, tmp_path):
    (tmp_path / "x.env").write_text("AIRFLOW_CONN_PROD=postgres://me:hunter2@db.example.com/x\n")
    code, line = said(settings, "up", "--dags", dags, "--env-file", str(tmp_path / "x.env"))
    assert code == 2
    assert "connection 'prod' leads off the bed (host is db.example.com)" in line
    assert "hunter2" not in line
    assert untouched(settings)


def test_a_file_where_the_state_folder_belongs(settings, dags):
    settings.state.write_text("mine")
    code, line = said(settings, "up", "--dags", dags)
    assert (code, settings.state.read_text()) == (2, "mine")
    assert f"{settings.state} is a file" in line
    assert "AIRBED_STATE_DIR" in line


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder to someone else")
def test_a_state_folder_of_someone_else(settings, dags):
    settings.state.mkdir()
    os.chown(settings.state, 65534, 65534)
    code, line = said(settings, "up", "--dags", dags)
    assert code == 2
    assert f"{settings.state} belongs to someone else" in line
    assert list(settings.state.iterdir()) == []


def refused(settings, request, kind=UsageError) -> str:
    with pytest.raises(AirbedError) as error:
        lifecycle.up(settings, request, lambda line: None)
    assert type(error.value) is kind, error.value
    assert "\n" not in str(error.value)
    return str(error.value)


def test_a_disk_that_is_nearly_full(settings, dags, monkeypatch):
    monkeypatch.setattr(disk, "LEAST_FREE_BYTES", 10**18)
    line = refused(settings, Request("x", dags=[dags]))
    assert "GB free and a bed needs" in line
    assert "AIRBED_STATE_DIR" in line
    assert untouched(settings)


def test_no_go_and_no_built_kubernetes(settings, dags, monkeypatch):
    monkeypatch.setattr(build, "find_toolchain", lambda *_: None)
    monkeypatch.setattr(build, "which_installer", lambda: None)
    line = refused(settings, Request("x", dags=[dags], kubernetes=True), Unavailable)
    assert "install Go" in line
    assert "without --with kubernetes everything but multi_region_deploy runs" in line
    assert untouched(settings)


def test_a_port_taken_by_someone_else_is_named(settings, dags):
    files = BedFiles(settings, "x")
    prepare_roots(settings)
    request = Request("x", dags=[dags], kubernetes=False)
    lifecycle._create("embedded", settings, files, request, lambda line: None)
    spec = files.read_spec()
    spec.state = "stopped"
    files.write_spec(spec)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", spec.ports["shard-1"]))
        taken.listen()
        line = refused(settings, Request("x"), Unavailable)
    assert f"port {spec.ports['shard-1']} of bed 'x' (shard-1)" in line
    assert "airbed down --name x" in line
    assert files.read_spec().state == "stopped"
    assert removal.down(settings, "x", lambda line: None).processes == 0


def test_the_lock_file_of_a_dead_process_holds_nobody_up(settings, dags, monkeypatch):
    files = BedFiles(settings, "x")
    files.lock.parent.mkdir(parents=True)
    holder = (
        "import sys; from filelock import FileLock; FileLock(sys.argv[1]).acquire(); print('held', flush=True); input()"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", holder, str(files.lock)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "held\n"
    process.kill()
    process.wait()
    assert files.lock.exists()
    lines: list[str] = []
    with locks.locked(files, lines.append):
        pass
    assert lines == []


def set_up_with(tmp_path, pythons):
    """Run scripts/setup where these, and no others, are on PATH: each is the text of a shell script."""
    tools = tmp_path / "bin"
    tools.mkdir()
    for name in ("uname", "df", "awk", "dirname", "sh", "rm"):
        (tools / name).symlink_to(shutil.which(name))
    folders = []
    for number, script in enumerate(pythons):
        folders.append(tmp_path / f"python {number}")
        folders[-1].mkdir()
        (folders[-1] / "python3").write_text(f"#!/bin/sh\n{script}\n")
        (folders[-1] / "python3").chmod(0o755)
    return subprocess.run(
        [str(ROOT / "scripts/setup"), str(tmp_path / "venv")],
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": ":".join(map(str, [tools, *folders])), "HOME": str(tmp_path)},
    )


def test_a_python_that_is_too_old(tmp_path):
    done = set_up_with(tmp_path, ['[ "$1" = --version ] && echo Python 3.9.2; exit 1'])
    assert done.returncode == 2
    assert done.stderr.splitlines() == [
        "error: no Python 3.11, 3.12 or 3.13 with venv found as python3 on PATH (Python 3.9.2); "
        "install one (Debian: python3-venv), or set PYTHON=/path/to/python3"
    ]
    assert not (tmp_path / "venv").exists()


def test_an_optimised_python_is_taken_before_one_that_is_not(tmp_path):
    too_old, plain, optimised = (
        f'case "$2" in *version_info*) exit {supported};; *CONFIG_ARGS*) exit {quick};; esac; exit 1'
        for supported, quick in ((1, 0), (0, 1), (0, 0))
    )
    done = set_up_with(tmp_path, [too_old, plain, optimised])
    assert done.returncode == 3
    assert done.stderr.startswith(f"error: '{tmp_path}/python 2/python3 -m venv' does not work")
    (again := tmp_path / "without").mkdir()
    done = set_up_with(again, [too_old, plain])
    assert done.stderr.startswith(f"error: '{again}/python 1/python3 -m venv' does not work")
