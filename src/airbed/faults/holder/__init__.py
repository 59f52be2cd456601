"""A small process that keeps a fault in force while nobody watches: it holds connections, a lock, a disk.

Started in a session of its own with the bed's marks and the mark of its fault, so that it outlives the command that
injected the fault, is found by any later one, and is taken by the sweep of `airbed down`. What it has to tell stands
in `<bed>/faults/<key>.json`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airbed.errors import Unavailable
from airbed.substrates.embedded import processes
from airbed.substrates.embedded.keeper import tail

if TYPE_CHECKING:
    from airbed.bed import Bed

PATIENCE = 30.0  # seconds
_POLL = 0.02


def start(bed: Bed, key: str, job: str, parameters: dict[str, Any]) -> None:
    """Start the holder of the fault `key` and return when it says that it holds.

    `job` is a module beside this one. Raises Unavailable with the holder's own words when it fails, or when it is not
    there after 30 seconds.
    """
    folder = _folder(bed)
    folder.mkdir(mode=0o700, exist_ok=True)
    command = [sys.executable, "-m", __name__, bed.name, key, job, json.dumps(parameters)]
    with _log(bed, key).open("wb") as output:
        # It forks and ends at once: what holds has no parent that would have to wait for it.
        subprocess.run(
            command,
            env=_environment(bed, key),
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            check=False,
        )
    deadline = time.monotonic() + PATIENCE
    while (said := told(bed, key).get("state")) != "holding":
        problem = told(bed, key).get("problem")
        if problem:
            raise Unavailable(problem)
        if not alive(bed, key) and told(bed, key).get("state") is None:
            raise Unavailable(f"the holder of fault {key} ended before it held anything; {tail(_log(bed, key))}")
        if time.monotonic() > deadline:
            raise Unavailable(
                f"the holder of fault {key} is not in force after {PATIENCE:g} s (state {said}); see {_log(bed, key)}"
            )
        time.sleep(_POLL)


def told(bed: Bed, key: str) -> dict[str, Any]:
    """What the holder of a fault last told: `state`, `fired`, and facts of its job; empty when there is none."""
    try:
        found: dict[str, Any] = json.loads(_state(bed, key).read_text())
    except (FileNotFoundError, NotADirectoryError):
        return {}
    return found


def alive(bed: Bed, key: str) -> bool:
    """Whether the holder of a fault runs."""
    return bool(processes.of_bed(bed.spec.mark, _service(key)))


def end(bed: Bed, key: str) -> None:
    """End the holder of a fault and forget what it told; nothing happens when there is none."""
    try:
        processes.sweep(bed.spec.mark, _service(key))
    except TimeoutError as error:
        raise Unavailable(f"the holder of fault {key} does not end: {error}") from None
    _state(bed, key).unlink(missing_ok=True)


def _service(key: str) -> str:
    return f"fault-{key}"


def _folder(bed: Bed) -> Path:
    return bed.folder / "faults"


def _state(bed: Bed, key: str) -> Path:
    return _folder(bed) / f"{key}.json"


def _log(bed: Bed, key: str) -> Path:
    return bed.files.logs / f"{_service(key)}.log"


def _environment(bed: Bed, key: str) -> dict[str, str]:
    """Nothing of the caller's, as for every process of a bed."""
    return {
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), "/usr/local/bin", "/usr/bin", "/bin"]),
        "HOME": str(bed.files.home),
        "LANG": "C.UTF-8",
        "TZ": "UTC",
        "SPT_NOENV": "1",
        "AIRBED_STATE_DIR": str(bed.settings.state),
        "AIRBED_CACHE_DIR": str(bed.settings.cache),
        processes.MARK: bed.spec.mark,
        processes.FOLDER: str(bed.folder),
        processes.SERVICE: _service(key),
    }
