"""One process with all that descends from it: found, frozen, thawed, killed, and never mistaken for another."""

from __future__ import annotations

import secrets
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from airbed.substrates.embedded import processes, trees

# A task with a child in its group, and a child in a session of its own that has a child.
FAMILY = "sleep 60 & setsid sh -c 'sleep 60 & wait' & wait"


@pytest.fixture
def mark() -> Iterator[str]:
    made = secrets.token_hex(8)
    yield made
    processes.sweep(made)


@pytest.fixture
def family(mark: str) -> tuple[int, int]:
    """pid and start of the root of a tree of four processes."""
    environment = {processes.MARK: mark, processes.SERVICE: "scheduler", "PATH": "/usr/bin:/bin"}
    root = subprocess.Popen(["sh", "-c", FAMILY, "airflow-worker-instance-1"], env=environment, process_group=0)
    deadline = time.monotonic() + 10
    while sum(_name(pid) == "sleep" for pid in processes.of_bed(mark)) != 2:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    start = trees.start_of(mark, root.pid, "instance-1")
    assert start is not None
    return root.pid, start


def _name(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""


def test_it_is_found_by_pid_title_and_mark(mark: str, family: tuple[int, int]) -> None:
    pid, start = family
    assert trees.start_of(mark, pid, "instance-2") is None
    assert trees.start_of("another", pid, "instance-1") is None
    assert trees.start_of(mark, 0, "instance-1") is None
    assert len(trees.tree(mark, pid, start)) == 4
    assert trees.tree(mark, pid, start + 1) == {}


def test_a_process_that_shows_no_mark_is_found_below_one_that_does(mark: str) -> None:
    """As for every user but root: the processes of Airflow's tasks let nobody read their environment."""
    below = "env -i sh -c 'sleep 60' airflow-worker-instance-2; true"
    environment = {processes.MARK: mark, processes.SERVICE: "scheduler", "PATH": "/usr/bin:/bin"}
    with subprocess.Popen(["sh", "-c", below], env=environment) as above:
        try:
            deadline = time.monotonic() + 5
            while not (unmarked := [pid for pid, each in processes.of_bed(mark).items() if each.mark is None]):
                assert time.monotonic() < deadline
                time.sleep(0.01)
            assert unmarked[0] != above.pid
            assert trees.start_of(mark, unmarked[0], "sleep") is not None
        finally:
            processes.sweep(mark)


def test_it_freezes_and_goes_on_as_a_whole(mark: str, family: tuple[int, int]) -> None:
    assert len(trees.freeze(mark, *family)) == 4
    assert {each.state for each in trees.tree(mark, *family).values()} == {"T"}
    assert len(trees.thaw(mark, *family)) == 4
    assert "T" not in {each.state for each in trees.tree(mark, *family).values()}


def test_nothing_of_it_is_left_when_it_was_killed(mark: str, family: tuple[int, int]) -> None:
    assert trees.kill(mark, *family) == 4
    assert processes.of_bed(mark) == {}
    assert trees.kill(mark, *family) == 0
    assert trees.thaw(mark, *family) == {}
