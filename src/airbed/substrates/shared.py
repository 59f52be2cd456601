"""What substrates share when a bed is made: the folders of all beds, the ports that are given away, passwords."""

from __future__ import annotations

import contextlib
import secrets
import stat
from pathlib import Path

from airbed.errors import Unavailable
from airbed.settings import Settings
from airbed.spec import BedFiles, BedSpec, bed_names

LOOPBACK = "127.0.0.1"


def prepare_roots(settings: Settings) -> None:
    """The state and cache folders themselves."""
    for folder in (settings.state, settings.beds, settings.cache):
        _make_passable(folder)


def _make_passable(folder: Path) -> None:
    if not folder.is_dir():
        folder.mkdir(parents=True)
        folder.chmod(0o711)
    # A folder that was there may be used by others too: nothing is taken from anybody.
    mode = stat.S_IMODE(folder.stat().st_mode)
    if mode & 0o111 != 0o111:
        folder.chmod(mode | 0o111)


def other_beds(settings: Settings, name: str) -> list[BedSpec]:
    """This user's other beds, whether they run or not."""
    found = []
    for other in bed_names(settings):
        # A bed that cannot be read, or is being deleted, has told nobody its ports: only a probe protects those.
        with contextlib.suppress(Unavailable, FileNotFoundError):
            if other != name:
                found.append(BedFiles(settings, other).read_spec())
    return found


def ports_of_other_beds(settings: Settings, name: str) -> set[int]:
    """All ports that this user's other beds were given, whether they run or not."""
    return {port for spec in other_beds(settings, name) for port in spec.ports.values()}


def password() -> str:
    """A new one, without characters that a URL or a shell would take for something else."""
    return secrets.token_urlsafe(18)
