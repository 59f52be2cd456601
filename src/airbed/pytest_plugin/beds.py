"""The fixture `bed`: the worker's bed, made for the session."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from airbed.bed import Bed
    from airbed.settings import Settings


@pytest.fixture(scope="session")
def _session_bed(request: pytest.FixtureRequest) -> Iterator[Bed]:
    from airbed.bed import Bed
    from airbed.faults.recovery import recover
    from airbed.lifecycle import up
    from airbed.removal import down
    from airbed.request import Request
    from airbed.settings import load_settings
    from airbed.spec import BedFiles
    from airbed.substrates.registry import asked_for

    config = request.config
    named = config.getoption("--airbed-bed")
    if named:
        bed = Bed.open(named)
        recover(bed)
        yield bed
        return
    settings = load_settings()
    say = _reporter(config)
    with own_name(settings, name_of_bed(config.rootpath, os.environ.get("PYTEST_XDIST_WORKER", "main"))) as name:
        if BedFiles(settings, name).folder.exists():
            down(settings, name, say)
        dags = [str(path) for path in config.getini("airbed_dags")]
        wanted = Request(
            name,
            dags=dags or None,
            kubernetes=False,
            time_scale=float(config.getini("airbed_time_scale")),
            substrate=asked_for(config.getoption("--airbed-on")),
        )
        bed, _ = up(settings, wanted, say)
        yield bed
        if not config.getoption("--airbed-keep"):
            down(settings, name, say)


@pytest.fixture
def bed(request: pytest.FixtureRequest, _session_bed: Bed) -> Iterator[Bed]:
    """The worker's bed. Tests marked `kubernetes` get Kubernetes too; task rules are cleared after each test."""
    if request.node.get_closest_marker("kubernetes") and not _session_bed.spec.kubernetes:
        _add_kubernetes(_session_bed, _reporter(request.config))
    yield _session_bed
    _clear_rules(_session_bed)


def _clear_rules(bed: Bed) -> None:
    """Forget what the test told the director; faults that somebody added by hand to a bed of `--airbed-bed` stay."""
    from airbed.faults.ledger import Ledger

    by_hand = {each.plan.get("key") for each in Ledger(bed.folder).entries()}
    director = bed.director
    if not by_hand:
        director.clear_all()
        return
    director.clear_gates()
    for rules, remove in ((director.rules, director.remove), (director.s3_rules, director.remove_s3_rule)):
        for rule in rules():
            if rule["id"] not in by_hand:
                remove(rule["id"])


def _add_kubernetes(bed: Bed, say: Callable[[str], None]) -> None:
    from airbed.lifecycle import up
    from airbed.request import Request

    changed, _ = up(bed.settings, Request(bed.name, kubernetes=True), say)
    bed.spec = changed.spec
    bed.__dict__.pop("substrate", None)


def name_of_bed(root: Path, worker: str) -> str:
    """The bed of a test session in the folder `root`; `worker` is pytest-xdist's name of it, or `main`."""
    checkout = hashlib.sha256(str(root).encode()).hexdigest()[:6]
    return f"test-{checkout}-{worker}"


@contextmanager
def own_name(settings: Settings, name: str) -> Iterator[str]:
    """The name, or `name-2`, `name-3` ... where living sessions of the same checkout have the ones before.

    The kernel frees a name with the process that held it: the bed of a killed session is found and replaced.
    """
    from filelock import FileLock, Timeout

    from airbed.disk import ensure_writable

    ensure_writable(settings.state)
    settings.beds.mkdir(parents=True, exist_ok=True)
    for number in count(1):
        tried = name if number == 1 else f"{name}-{number}"
        lock = FileLock(settings.beds / f".{tried}.session", mode=0o600)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            continue
        try:
            yield tried
        finally:
            # While it is held: whoever waits for a deleted lock file looks again.
            Path(lock.lock_file).unlink(missing_ok=True)
            lock.release()
        return


def _reporter(config: pytest.Config) -> Callable[[str], None]:
    def say(line: str) -> None:
        if config.get_verbosity() > 0:
            terminal = config.pluginmanager.get_plugin("terminalreporter")
            if terminal is not None:
                terminal.write_line(f"airbed: {line}")

    return say
