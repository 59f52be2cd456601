"""A copy is the same as its original: content, holes, modes, times, links."""

from __future__ import annotations

import errno
import os
import socket
import stat
from pathlib import Path

import pytest

from airbed.errors import Unavailable
from airbed.snapshots.copying import copy_tree, size_of


def everything(path: Path) -> bool:
    return True


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "source"
    (folder / "inner/deep").mkdir(parents=True)
    (folder / "inner/deep/text").write_text("text")
    (folder / "inner/deep/text").chmod(0o640)
    (folder / "empty").touch(mode=0o600)
    (folder / "link").symlink_to("inner/deep")
    (folder / "nowhere").symlink_to("/no/such/file")
    with (folder / "holes").open("wb") as file:
        file.seek(10 << 20)
        file.write(b"end of data")
        file.truncate(30 << 20)
    os.utime(folder / "inner/deep/text", ns=(10**18, 10**18 + 7))
    (folder / "inner").chmod(0o500)
    os.utime(folder / "inner", ns=(10**18, 10**18 + 9))
    return folder


def test_a_copy_is_as_the_original(source: Path, tmp_path: Path) -> None:
    told: list[int] = []
    copied = copy_tree(source, tmp_path / "copy", everything, told.append)
    for path in ("inner", "inner/deep", "inner/deep/text", "empty", "holes"):
        old, new = (source / path).stat(), (tmp_path / "copy" / path).stat()
        assert (new.st_mode, new.st_size, new.st_uid, new.st_gid) == (old.st_mode, old.st_size, old.st_uid, old.st_gid)
        assert path == "inner/deep" or new.st_mtime_ns == old.st_mtime_ns
        if stat.S_ISREG(old.st_mode):
            assert (tmp_path / "copy" / path).read_bytes() == (source / path).read_bytes()
    assert (tmp_path / "copy/link").readlink() == Path("inner/deep")
    assert (tmp_path / "copy/nowhere").readlink() == Path("/no/such/file")
    assert told == sorted(told)
    assert told[-1] == copied
    assert copied < 1 << 20, "a hole is not copied"
    assert size_of(tmp_path / "copy", everything) < 1 << 20
    (source / "inner").chmod(0o700)
    (tmp_path / "copy/inner").chmod(0o700)


@pytest.mark.parametrize("code", [errno.EXDEV, errno.EOPNOTSUPP])
def test_a_file_system_that_cannot_share_blocks(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    def refuse(*arguments: object) -> int:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "copy_file_range", refuse)
    copy_tree(source, tmp_path / "copy", everything)
    for path in ("inner/deep/text", "holes"):
        assert (tmp_path / "copy" / path).read_bytes() == (source / path).read_bytes()
    (source / "inner").chmod(0o700)
    (tmp_path / "copy/inner").chmod(0o700)


def test_a_full_disk_is_an_error(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object) -> int:
        raise OSError(errno.ENOSPC, "no space")

    monkeypatch.setattr(os, "copy_file_range", refuse)
    with pytest.raises(Unavailable, match="no space"):
        copy_tree(source, tmp_path / "copy", everything)


def test_what_is_not_wanted_and_sockets_are_left_out(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Path] = []

    def wanted(path: Path) -> bool:
        asked.append(path)
        return path != Path("inner")

    with socket.socket(socket.AF_UNIX) as server:
        # The name of a socket may not be long.
        monkeypatch.chdir(source)
        server.bind("wake.sock")
        os.mkfifo("pipe")
        copy_tree(source, tmp_path / "copy", wanted)
    assert sorted(each.name for each in (tmp_path / "copy").iterdir()) == ["empty", "holes", "link", "nowhere"]
    assert Path("inner/deep") not in asked
    assert size_of(source, wanted) < size_of(source, everything)
