"""The output of containers as files of the bed: what the engine has is added to what was fetched before.

A container that is made anew takes its log with it; the file keeps it.
"""

from __future__ import annotations

import json
from pathlib import Path

from airbed.errors import Unavailable
from airbed.spec import BedFiles, BedSpec, write_private
from airbed.substrates.compose import layout
from airbed.substrates.compose.engine import Engine


def file_of(files: BedFiles, service: str) -> Path:
    """Where the output of a service is kept."""
    return files.logs / f"{service}.log"


def fetch(engine: Engine, files: BedFiles, spec: BedSpec, service: str) -> Path:
    """Add what the container has said since the last time; returns the file. An engine that is gone adds nothing."""
    path = file_of(files, service)
    marks = files.logs / f".{service}.fetched"
    last = _last(marks)
    since = ["--since", last] if last else []
    try:
        done = engine.attempt("logs", "--timestamps", *since, layout.container(spec.name, service), timeout=60)
    except Unavailable:
        return path
    if done.returncode:
        return path
    # Both streams carry the same clock.
    rows = sorted(_rows(done.stdout, last) + _rows(done.stderr, last), key=lambda row: row[0])
    if rows or not path.exists():
        with path.open("a") as file:
            file.writelines(f"{text}\n" for _, text in rows)
    if rows:
        write_private(marks, json.dumps(rows[-1][0]))
    return path


def tail(path: Path, lines: int = 3) -> str:
    """The end of a log as one phrase for an error message."""
    from airbed.substrates.embedded.keeper import tail as tail_of

    return tail_of(path, lines)


def _rows(text: str, last: str) -> list[tuple[str, str]]:
    """Time and text of each line that is younger than `last`: the engine gives what is as old once more."""
    found = []
    for line in text.splitlines():
        moment, _, said = line.partition(" ")
        if _comparable(moment) > _comparable(last):
            found.append((moment, said))
    return found


def _comparable(moment: str) -> str:
    """The engine leaves zeros at the end of a fraction out on some versions."""
    head, _, fraction = moment.rstrip("Z").partition(".")
    return f"{head}.{fraction:0<9}" if moment else ""


def _last(marks: Path) -> str:
    try:
        return str(json.loads(marks.read_text()))
    except (OSError, ValueError):
        return ""
