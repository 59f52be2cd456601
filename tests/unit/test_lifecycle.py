"""What is done about beds that are broken, half made, or gone: no service is started."""

from __future__ import annotations

import json
import secrets
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from filelock import FileLock

from airbed import lifecycle, removal
from airbed.errors import Unavailable, UsageError
from airbed.request import Request
from airbed.settings import Settings
from airbed.spec import BedFiles, BedSpec
from airbed.substrates.base import Removed
from airbed.substrates.compose.engine import Engine
from airbed.substrates.embedded import layout, processes
from airbed.substrates.embedded.ports import still_taken


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    made = Settings(state=tmp_path / "state", cache=tmp_path / "cache")
    layout.prepare_roots(made)
    return made


@pytest.fixture
def lines() -> list[str]:
    return []


@pytest.fixture
def say(lines: list[str]) -> Callable[[str], None]:
    return lines.append


def make_bed(settings: Settings, state: str = "up", **ports: int) -> BedFiles:
    files = BedFiles(settings, "mine")
    layout.make_folders(files)
    files.write_spec(BedSpec(name="mine", state=state, ports=ports))  # type: ignore[arg-type]
    return files


def stray(files: BedFiles, mark: str) -> subprocess.Popen[bytes]:
    environment = {processes.MARK: mark, processes.SERVICE: "s3", processes.FOLDER: str(files.folder)}
    process = subprocess.Popen(["/bin/sleep", "60"], env=environment, start_new_session=True)
    # The kernel shows the environment a moment after the program was started.
    deadline = time.monotonic() + 10
    while process.pid not in processes.of_bed(mark):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return process


def test_down_of_an_unknown_bed_says_so(settings: Settings, say: Callable[[str], None]) -> None:
    with pytest.raises(Unavailable, match="no bed named 'mine'"):
        removal.down(settings, "mine", say)


def test_down_of_a_folder_without_a_spec_deletes_it(settings: Settings, say: Callable[[str], None]) -> None:
    files = BedFiles(settings, "mine")
    layout.make_folders(files)
    assert removal.every_name(settings) == ["mine"]
    gone = removal.down(settings, "mine", say)
    assert (gone.processes, gone.ports, gone.taken) == (0, 0, [])
    assert list(settings.beds.iterdir()) == []


@pytest.mark.parametrize("text", ["", "{", '{"name": 3}', "\x00\x01"])
def test_down_of_an_unreadable_spec_finds_the_processes_by_their_folder(
    settings: Settings, say: Callable[[str], None], lines: list[str], text: str
) -> None:
    files = make_bed(settings)
    files.spec.write_text(text)
    process = stray(files, secrets.token_hex(8))
    assert [bed.state for bed in lifecycle.beds(settings)] == ["unreadable"]
    assert removal.down(settings, "mine", say).processes == 1
    assert process.wait(5) == -9
    assert "not readable" in lines[0]
    assert list(settings.beds.iterdir()) == []


def test_up_refuses_an_unreadable_spec(settings: Settings, say: Callable[[str], None]) -> None:
    make_bed(settings).spec.write_text("{")
    with pytest.raises(Unavailable, match="airbed down --name mine"):
        lifecycle.up(settings, lifecycle.Request("mine"), say)


def test_up_refuses_a_bed_that_lost_its_addresses(settings: Settings, say: Callable[[str], None]) -> None:
    make_bed(settings)
    with pytest.raises(Unavailable, match=r"endpoints\.json is gone"):
        lifecycle.up(settings, lifecycle.Request("mine"), say)


def test_down_ends_processes_whose_folder_is_gone(settings: Settings, say: Callable[[str], None]) -> None:
    files = BedFiles(settings, "mine")
    process = stray(files, secrets.token_hex(8))
    assert removal.every_name(settings) == ["mine"]
    assert removal.down(settings, "mine", say).processes == 1
    process.wait(5)
    assert removal.every_name(settings) == []


def test_down_is_not_held_up_by_a_port_that_went_to_someone_else(
    settings: Settings, say: Callable[[str], None], lines: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("airbed.substrates.embedded.beds.still_taken", partial(still_taken, timeout=0))
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        make_bed(settings, "stopped", s3=port)
        assert removal.down(settings, "mine", say).taken == [port]
    assert "not of the bed" in lines[0]
    assert not (settings.beds / "mine").exists()


def test_a_lock_of_a_dead_process_does_not_matter(settings: Settings, say: Callable[[str], None]) -> None:
    files = make_bed(settings)
    files.lock.touch()
    removal.down(settings, "mine", say)
    assert list(settings.beds.iterdir()) == []


def test_a_second_command_waits_and_says_so(settings: Settings, say: Callable[[str], None], lines: list[str]) -> None:
    files = make_bed(settings)
    lock = FileLock(files.lock, thread_local=False)
    lock.acquire()
    second = threading.Thread(target=removal.down, args=(settings, "mine", say))
    second.start()
    second.join(0.3)
    assert second.is_alive()
    assert files.folder.exists()
    lock.release()
    second.join(10)
    assert lines == ["another airbed command is working on bed 'mine': waiting for it"]
    assert not files.folder.exists()


def test_up_refuses_other_options_for_a_bed_that_exists(settings: Settings, say: Callable[[str], None]) -> None:
    files = make_bed(settings)
    files.endpoints.write_text(json.dumps({}))
    with pytest.raises(UsageError, match="time_scale=1"):
        lifecycle.up(settings, lifecycle.Request("mine", time_scale=60), say)


def test_a_half_made_bed_begins_anew_on_what_it_was_on(
    settings: Settings, say: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """`up --on compose` is interrupted, then `up` without --on: its parts are containers, and its spec says so."""
    files = BedFiles(settings, "mine")
    layout.make_folders(files)
    files.write_spec(BedSpec(name="mine", substrate="compose", state="creating"))
    for check in ("ensure_possible", "prepare"):
        monkeypatch.setattr(f"airbed.substrates.compose.beds.{check}", lambda *words: None)
    engine = Engine("/bin/true", "unix:///nowhere.sock", {})
    monkeypatch.setattr(Engine, "identity", lambda self: {"socket": self.socket, "id": "A"})
    monkeypatch.setattr("airbed.substrates.compose.beds.find", lambda settings: engine)
    monkeypatch.setattr("airbed.substrates.compose.beds.remove", lambda *words: Removed(0, 0, []))
    monkeypatch.setattr(lifecycle, "bring_up", lambda settings, files, progress: {})
    bed, _ = lifecycle.up(settings, Request("mine", kubernetes=False), say)
    assert bed.files.read_spec().substrate == "compose"


def test_a_folder_that_somebody_put_aside_is_no_bed(settings: Settings) -> None:
    make_bed(settings)
    for name in ("mine.bak", "Mine", "lost+found"):
        shutil.copytree(settings.beds / "mine", settings.beds / name)
    assert [bed.name for bed in lifecycle.beds(settings)] == removal.every_name(settings) == ["mine"]


def test_down_deletes_folders_that_are_read_only(settings: Settings, say: Callable[[str], None]) -> None:
    """As Go leaves them. Root may delete them as they are."""
    files = make_bed(settings, "stopped")
    outside = settings.state / "outside"
    outside.mkdir(mode=0o555)
    closed = files.home / "go/pkg"
    closed.mkdir(parents=True)
    (closed / "mod").write_text("")
    (files.home / "link").symlink_to(outside)
    for folder in (closed, closed.parent):
        folder.chmod(0o111)
    removal.down(settings, "mine", say)
    assert not files.folder.exists()
    assert outside.stat().st_mode & 0o777 == 0o555


def test_what_cannot_be_deleted_is_said_in_one_line(
    settings: Settings, say: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    files = make_bed(settings, "stopped")

    def refuse(folder: Path) -> None:
        raise PermissionError(1, "Operation not permitted", str(folder / "x"))

    monkeypatch.setattr("airbed.disk.shutil.rmtree", refuse)
    with pytest.raises(Unavailable, match=r"mine/x cannot be deleted \(Operation not permitted\)"):
        removal.down(settings, "mine", say)
    monkeypatch.undo()
    removal.down(settings, "mine", say)
    assert not files.folder.exists()
