"""Files in the bed's own DAG folder: read whole, replaced whole."""

from __future__ import annotations

from pathlib import Path


def content(file: Path) -> str | None:
    """What a file holds, as a text that JSON can keep whatever its encoding; None when there is none."""
    try:
        return file.read_bytes().decode(errors="surrogateescape")
    except FileNotFoundError:
        return None


def put(file: Path, text: str) -> None:
    """Write a file at once, with a fresh mtime: Airflow never parses a half, and looks at it soon."""
    partial = file.with_name(f".{file.name}.partial")
    partial.write_bytes(text.encode(errors="surrogateescape"))
    partial.replace(file)
