"""Finding and ending a bed's processes: real ones, made for the purpose."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from airbed.substrates.embedded import processes

SLEEP = ["sleep", "60"]


@pytest.fixture
def mark() -> Iterator[str]:
    mark = secrets.token_hex(8)
    yield mark
    processes.sweep(mark)


def marked(mark: str, service: str, folder: str = "/nowhere/bed") -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"],
        processes.MARK: mark,
        processes.SERVICE: service,
        processes.FOLDER: folder,
    }


def start(command: list[str], mark: str, service: str, **options: object) -> subprocess.Popen[bytes]:
    return subprocess.Popen(command, env=marked(mark, service), start_new_session=True, **options)  # type: ignore[call-overload, no-any-return]


def wait_for(count: int, mark: str, service: str | None = None) -> dict[int, processes.Process]:
    deadline = time.monotonic() + 10
    while len(found := processes.of_bed(mark, service)) != count:
        assert time.monotonic() < deadline, found
        time.sleep(0.01)
    return found


def test_ends_marked_processes_of_one_service_only(mark: str) -> None:
    one, other = start(SLEEP, mark, "one"), start(SLEEP, mark, "other")
    wait_for(2, mark)
    assert processes.sweep(mark, "one") == 1
    assert one.wait(5) == -9
    assert other.poll() is None
    assert processes.sweep(mark) == 1
    other.wait(5)


def test_ends_children_that_show_no_mark(mark: str) -> None:
    parent = start(["sh", "-c", "env -i sleep 60 & wait"], mark, "one")
    wait_for(2, mark, "one")
    # Between fork and exec the child shows its parent's environment.
    deadline = time.monotonic() + 10
    while sum(each.mark is None for each in wait_for(2, mark, "one").values()) != 1:
        assert time.monotonic() < deadline
    assert processes.sweep(mark, "one") == 2
    parent.wait(5)


def test_ends_orphans_of_the_session_whose_leader_is_dead(mark: str) -> None:
    leader = start(["sh", "-c", "env -i sleep 60 & sleep 60 & exec sleep 0.5"], mark, "one")
    leader.wait(5)
    # The marked orphan leads to the other one through their session.
    assert len(wait_for(2, mark)) == 2
    assert processes.sweep(mark) == 2


KEEPER_WITH_ORPHAN = """
import os, sys, time
# In a group of its own, as the keeper starts services; its parent ends, and it shows no mark.
if not os.fork():
    os.setpgid(0, 0)
    if not os.fork():
        os.execve("/bin/sleep", ["sleep", "60"], {})
    if sys.argv[1] == "alone":
        os._exit(0)
    os.environ["AIRBED_SERVICE"] = sys.argv[1]
    os.execve("/bin/sleep", ["sleep", "60"], os.environ)
time.sleep(60)
"""


@pytest.mark.parametrize(
    ("main", "scheduler", "triggerer"), [("alone", 1, 0), ("scheduler", 2, 0), ("triggerer", 0, 2)]
)
def test_ends_orphans_of_the_scheduler_that_hide_their_mark(
    mark: str, main: str, scheduler: int, triggerer: int
) -> None:
    """Workers of LocalExecutor do so for an ordinary user. What has another service's group is that service's."""
    keeper = start([sys.executable, "-c", KEEPER_WITH_ORPHAN, main], mark, processes.KEEPER)
    try:
        assert len(wait_for(scheduler, mark, "scheduler")) == scheduler
        assert len(wait_for(triggerer, mark, "triggerer")) == triggerer
        wait_for(3 if main != "alone" else 2, mark)
        if scheduler:
            assert processes.sweep(mark, "scheduler") == scheduler
            assert processes.of_bed(mark, "scheduler") == {}
            assert keeper.poll() is None
    finally:
        processes.sweep(mark)
        keeper.wait()


def test_spares_the_session_of_a_living_terminal(mark: str) -> None:
    """A marked process that somebody started by hand must not cost them their shell."""
    shell = subprocess.Popen(["sh", "-c", f"{processes.MARK}={mark} sleep 60"], start_new_session=True)
    wait_for(1, mark)
    assert processes.sweep(mark) == 1
    shell.wait(5)
    assert shell.returncode == 137, "the shell saw its child die, and was not killed itself"


@pytest.mark.parametrize("title", ["postgres: {} checkpointer", "postgres: {}: checkpointer "])
def test_finds_a_server_process_by_its_title(mark: str, title: str) -> None:
    """Postgres' children overwrite their environment, and open sessions of their own."""
    name = title.format(processes.server_title(mark, "shard-0"))
    child = subprocess.Popen([name, "60"], executable="/bin/sleep", env={}, start_new_session=True)
    assert list(wait_for(1, mark, "shard-0")) == [child.pid]
    assert processes.sweep(mark, "shard-0") == 1
    child.wait(5)


def test_leaves_out_services(mark: str) -> None:
    kept, other = start(SLEEP, mark, "metadata"), start(SLEEP, mark, "other")
    wait_for(2, mark)
    assert processes.sweep(mark, without=("metadata",)) == 1
    assert kept.poll() is None
    other.wait(5)
    processes.sweep(mark)
    kept.wait(5)


def test_never_counts_the_caller(mark: str, tmp_path: Path) -> None:
    script = (
        "import sys; sys.path.insert(0, sys.argv[1]); import processes, os\n"
        "assert processes.sweep(os.environ['AIRBED_MARK']) == 0"
    )
    folder = str(Path(processes.__file__).parent)
    done = subprocess.run([sys.executable, "-S", "-c", script, folder], env=marked(mark, "one"), check=False)
    assert done.returncode == 0


def test_knows_the_marks_of_a_folder_that_is_gone(mark: str, tmp_path: Path) -> None:
    folder = str(tmp_path / "beds/gone")
    stray = subprocess.Popen(SLEEP, env=marked(mark, "one", folder), start_new_session=True)
    wait_for(1, mark)
    assert processes.marks_by_folder()[folder] == {mark}
    processes.sweep(mark)
    stray.wait(5)
    assert folder not in processes.marks_by_folder()
