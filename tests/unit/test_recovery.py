"""What a killed runner left is taken back; what is by hand, or of a living runner, only when that is meant."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from fault_bed import Mark, make_bed

from airbed.bed import Bed
from airbed.errors import Unavailable
from airbed.faults.ledger import BY_HAND, Entry, Ledger
from airbed.faults.model import Plan
from airbed.faults.owner import lives, start_of
from airbed.faults.plane import FaultPlane
from airbed.faults.recovery import is_held, is_left_behind, recover, recover_what_can_be


@pytest.fixture
def bed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bed:
    return make_bed(tmp_path, monkeypatch)


@pytest.fixture(scope="module")
def dead() -> int:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    return ended.pid


def inject(bed: Bed, owner: str = BY_HAND, firm: bool = False) -> Entry:
    return FaultPlane(bed, owner).inject(Mark(text="x", firm=firm))


def change(bed: Bed, entry: Entry, pid: int, state: str = "active") -> None:
    entry.owner_pid, entry.state = pid, state  # type: ignore[assignment]
    Ledger(bed.folder).update(entry)


def ids(bed: Bed) -> list[str]:
    return [each.id for each in Ledger(bed.folder).entries()]


@pytest.mark.parametrize(
    ("owner", "lives", "state", "held", "left"),
    [
        (BY_HAND, False, "active", False, False),
        (BY_HAND, True, "active", False, False),
        (BY_HAND, True, "arming", True, False),
        (BY_HAND, False, "arming", False, True),
        (BY_HAND, False, "undoing", False, True),
        (BY_HAND, True, "stuck", False, True),
        ("scenario a", True, "active", True, False),
        ("scenario a", False, "active", False, True),
        ("scenario a", False, "stuck", False, True),
        ("scenario a", True, "stuck", False, True),
    ],
)
def test_who_takes_a_fault_back(
    bed: Bed, dead: int, owner: str, lives: bool, state: str, held: bool, left: bool
) -> None:
    entry = inject(bed, owner)
    change(bed, entry, entry.owner_pid if lives else dead, state)

    assert (is_held(entry), is_left_behind(entry)) == (held, left)


def test_recover_takes_only_what_was_left_behind(bed: Bed, dead: int) -> None:
    inject(bed)
    change(bed, inject(bed, "scenario a"), dead)
    inject(bed, "scenario b")

    assert [each.entry.id for each in recover(bed)] == ["f2"]
    assert ids(bed) == ["f1", "f3"]
    assert [each.entry.id for each in recover(bed, by_hand=True)] == ["f1"]
    assert ids(bed) == ["f3"]
    assert not (bed.folder / "airbed-f2").exists()


def test_what_is_stuck_is_said_and_the_rest_taken_back(bed: Bed) -> None:
    inject(bed, firm=True)
    inject(bed)
    (bed.folder / "firm").touch()
    said: list[str] = []

    recover_what_can_be(bed, said.append)
    assert len(said) == 1
    assert "fault f1 (file.mark) of bed 'bed' was not undone: the file `firm` holds it" in said[0]
    assert ids(bed) == ["f1"]
    with pytest.raises(Unavailable, match="the file `firm` holds it"):
        recover(bed)

    (bed.folder / "firm").unlink()
    recover_what_can_be(bed, said.append)
    assert said[1:] == ["put back f1: file.mark text='x', firm=True"]


def test_a_runner_that_ended_and_was_not_waited_for_is_dead(bed: Bed) -> None:
    runner = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    entry = inject(bed, "scenario a")
    entry.owner_start = start_of(runner.pid)
    change(bed, entry, runner.pid)
    assert is_held(entry)

    runner.kill()
    deadline = time.monotonic() + 10
    while os.waitid(os.P_PID, runner.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
        assert time.monotonic() < deadline
    assert is_left_behind(entry)
    runner.communicate()


def test_another_process_of_the_same_number_is_not_the_runner(bed: Bed) -> None:
    entry = inject(bed, "scenario a")
    assert entry.owner_start == start_of(os.getpid())
    boot, _, ticks = str(entry.owner_start).partition("/")
    for start in (f"{boot}/{int(ticks) - 1}", f"another-boot/{ticks}"):
        entry.owner_start = start
        assert is_left_behind(entry)
    # Entries of a ledger that has no starts.
    entry.owner_start = None
    assert is_held(entry)
    assert not lives(2**22 + 1, None)


def test_a_fault_that_is_taken_back_while_it_is_applied_is_not_in_force(
    bed: Bed, monkeypatch: pytest.MonkeyPatch
) -> None:
    apply = Mark.apply

    def overtaken(fault: Mark, bed: Bed, plan: Plan) -> None:
        FaultPlane(bed).undo("f1")
        apply(fault, bed, plan)

    monkeypatch.setattr(Mark, "apply", overtaken)
    with pytest.raises(
        Unavailable, match=r"fault f1 \(file\.mark\) of bed 'bed' was taken back before it was in force"
    ):
        inject(bed)
    assert ids(bed) == []
    assert not (bed.folder / "airbed-f1").exists()


def test_why_applying_failed_is_said_though_the_undo_fails_too(bed: Bed, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(fault: Mark, bed: Bed, plan: Plan) -> None:
        raise Unavailable("the disk is gone")

    monkeypatch.setattr(Mark, "apply", broken)
    (bed.folder / "firm").touch()
    with pytest.raises(Unavailable, match=r"the disk is gone; then: fault f1 .* the file `firm` holds it"):
        inject(bed, firm=True)
    assert ids(bed) == ["f1"]


def test_what_another_process_is_adding_is_left_to_it(bed: Bed) -> None:
    adding = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    entry = inject(bed)
    entry.owner_start = start_of(adding.pid)
    change(bed, entry, adding.pid, "arming")
    with pytest.raises(Unavailable, match=rf"being brought into force by process {adding.pid}: wait for it"):
        FaultPlane(bed).undo("f1")
    assert (bed.folder / "airbed-f1").exists()
    adding.communicate(b"\n")
    FaultPlane(bed).undo("f1")
    assert ids(bed) == []
