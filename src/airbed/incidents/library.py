"""Where scenario files lie."""

from __future__ import annotations

from difflib import get_close_matches
from pathlib import Path

from airbed.errors import UsageError

ENDINGS = (".yaml", ".yml")


def own_folder() -> Path:
    """The library that airbed brings: in the checkout, or inside the installed package."""
    package = Path(__file__).resolve().parent.parent
    folders = (package / "_resources" / "incidents", package.parent.parent / "tests" / "integration" / "incidents")
    for folder in folders:
        if folder.is_dir():
            return folder
    raise UsageError(f"airbed's own incidents are missing: looked in {folders[0]} and {folders[1]}; reinstall it")


def files_in(folder: Path) -> dict[str, Path]:
    """The scenario files of a folder by name, sorted; UsageError when there are none."""
    if not folder.is_dir():
        raise UsageError(f"there is no folder {folder}")
    found = {each.stem: each for each in sorted(folder.iterdir()) if each.suffix in ENDINGS and each.is_file()}
    if not found:
        raise UsageError(f"there are no scenario files (*.yaml) in {folder}")
    return found


def find(name: str, folder: Path | None = None) -> Path:
    """The file of a scenario: a path, or a name in `folder` (None: airbed's own); UsageError names the nearest."""
    as_path = Path(name)
    if as_path.suffix in ENDINGS:
        if not as_path.is_file():
            raise UsageError(f"there is no file {as_path}")
        return as_path.resolve()
    known = files_in(folder or own_folder())
    if name not in known:
        near = get_close_matches(name, known, 1)
        hint = f"did you mean {near[0]}?" if near else f"there are: {', '.join(known)}"
        raise UsageError(f"there is no incident '{name}'; {hint}")
    return known[name]
