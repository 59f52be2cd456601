"""A bed's folder without services, and kinds of faults that act on that folder only."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar, Literal

import pytest
from pydantic import Field

from airbed.bed import Bed
from airbed.errors import Unavailable
from airbed.faults import registry
from airbed.faults.model import Fault, Plan
from airbed.settings import Settings
from airbed.spec import BedFiles, BedSpec
from airbed.substrates.embedded import layout


class Mark(Fault):
    """Writes a file and deletes it."""

    kind: ClassVar[str] = "file.mark"
    level: ClassVar[Literal["platform"]] = "platform"
    summary: ClassVar[str] = "a file that stands there until the fault is put back"
    example: ClassVar[dict[str, Any]] = {"text": "a b", "mode": "on", "lines": [1, 2]}

    text: str = Field(description="what is written")
    mode: Literal["on", "off"] = Field(default="on", description="a word that YAML reads as a boolean")
    times: int | None = Field(default=None, gt=0, description="how often (default: always)")
    lines: list[int] = Field(default=[], description="numbers")
    firm: bool = Field(default=False, description="cannot be undone while the file `firm` is in the bed's folder")
    share: float = Field(default=1, ge=0, le=1, description="a share, 0 to 1")

    def apply(self, bed: Bed, plan: Plan) -> None:
        """Write."""
        (bed.folder / plan["key"]).write_text(self.text)

    def undo(self, bed: Bed, plan: Plan) -> None:
        """Delete."""
        if self.firm and (bed.folder / "firm").exists():
            raise Unavailable("the file `firm` holds it")
        (bed.folder / plan["key"]).unlink(missing_ok=True)

    def fired(self, bed: Bed, plan: Plan) -> int | None:
        """The length of the text."""
        return len(self.text)


class Once(Fault):
    """Over when it is applied."""

    kind: ClassVar[str] = "file.once"
    level: ClassVar[Literal["platform"]] = "platform"
    summary: ClassVar[str] = "adds a line to a file"
    example: ClassVar[dict[str, Any]] = {}
    momentary: ClassVar[bool] = True

    def apply(self, bed: Bed, plan: Plan) -> None:
        """Add."""
        with (bed.folder / "once").open("a") as file:
            file.write(plan["key"] + "\n")


def make_bed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bed:
    """A bed named `bed` that never ran, known to the command line; `file.mark` and `file.once` are kinds."""
    for variable, folder in (("AIRBED_STATE_DIR", "state"), ("AIRBED_CACHE_DIR", "cache")):
        monkeypatch.setenv(variable, str(tmp_path / folder))
    settings = Settings(state=tmp_path / "state", cache=tmp_path / "cache")
    layout.prepare_roots(settings)
    files = BedFiles(settings, "bed")
    layout.make_folders(files)
    spec = BedSpec(name="bed", state="up", ports=layout.allocate_ports(settings, BedSpec(name="bed")))
    files.write_spec(spec)
    files.write_endpoints(layout.make_endpoints(spec, files))
    known = {**registry.kinds(), Mark.kind: Mark, Once.kind: Once}
    monkeypatch.setattr(registry, "kinds", lambda: known)
    return Bed(settings, files)
