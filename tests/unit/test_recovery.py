"""What a killed runner left is taken back; what is by hand, or of a living runner, only when that is meant."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from fault_bed import Mark, make_bed

from airbed.bed import Bed
from airbed.errors import Unavailable
from airbed.faults.ledger import BY_HAND, Entry, Ledger
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
