"""A bed of containers without an engine: a `docker` that notes how it was called and says what it is told to."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from airbed.bed import Bed
from airbed.settings import Settings
from airbed.spec import BedFiles, BedSpec
from airbed.substrates import shared
from airbed.substrates.compose import layout

DOCKER = """#!/bin/sh
printf '%s\\n' "$*" >> "{folder}/called"
for each in {folder}/answers/*; do
  [ -e "$each" ] || continue
  case "$*" in *"$(cat "$each/to")"*) cat "$each/out"; cat "$each/err" >&2; exit "$(cat "$each/code")";; esac
done
"""


class Docker:
    """What the program was called with, and what it answers; the first answer that fits is given."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        (folder / "answers").mkdir(parents=True)
        program = folder / "docker"
        program.write_text(DOCKER.format(folder=folder))
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
        monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere.sock")

    def answer(self, to: str, out: str = "", err: str = "", code: int = 0) -> None:
        """Say this to a call that contains `to`; a later answer to the same goes before an earlier one."""
        number = 999 - len(list((self.folder / "answers").iterdir()))
        each = self.folder / "answers" / f"{number:03}"
        each.mkdir()
        for name, text in (("to", to), ("out", out), ("err", err), ("code", str(code))):
            (each / name).write_text(text)

    def states(self, bed: Bed, **states: str) -> None:
        """Let containers exist: by service (with _ for -) what the engine calls their state; the others run."""
        from airbed.topology import CORE_SERVICES

        rows = []
        for service in CORE_SERVICES:
            state: dict[str, Any] = {"Status": states.get(service.replace("-", "_"), "running"), "Pid": 4711}
            state["StartedAt"] = "2026-01-05T00:00:00.123456789Z"
            row = {"name": f"/airbed-{bed.name}-{service}-1", "id": service, "state": state, "restarts": 0}
            rows.append(json.dumps(row))
        self.answer("container inspect", "\n".join(rows))

    @property
    def calls(self) -> list[str]:
        """All calls, oldest first."""
        file = self.folder / "called"
        return file.read_text().splitlines() if file.exists() else []

    def verbs(self) -> list[str]:
        """The calls that change something."""
        return [each for each in self.calls if each.split()[0] in ("start", "stop", "kill", "wait", "pause", "unpause")]


def make_bed(tmp_path: Path, name: str = "mine") -> Bed:
    """A bed of containers that was never brought up."""
    settings = Settings(state=tmp_path / "state", cache=tmp_path / "cache")
    shared.prepare_roots(settings)
    files = BedFiles(settings, name)
    layout.make_folders(files)
    spec = BedSpec(name=name, state="up", substrate="compose", tcp_faults=True)
    spec.ports = layout.allocate_ports(settings, spec)
    files.write_spec(spec)
    files.write_endpoints(layout.make_endpoints(spec, files))
    return Bed(settings, files)
