"""Peers as processes of their own: a temporary folder, an empty environment, a mark by which all of them are ended."""

from __future__ import annotations

import contextlib
import os
import secrets
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from airbed.bench.workload import FILE, SOURCE
from airbed.errors import Unavailable
from airbed.substrates.embedded import processes
from airbed.substrates.embedded.processes import MARK, SERVICE

Progress = Callable[[str], None]


@dataclass(frozen=True)
class Peer:
    """The folder of one peer, with the benchmark's DAG in `dags`, and the mark of its processes."""

    name: str
    folder: Path
    mark: str

    @property
    def log(self) -> Path:
        """What its processes print."""
        return self.folder / "peer.log"

    def environment(self, more: Mapping[str, str]) -> dict[str, str]:
        """The whole environment of its processes: Airflow's own defaults, without the example DAGs."""
        return {
            "PATH": os.pathsep.join([str(self.folder / "bin"), str(Path(sys.executable).parent), "/usr/bin", "/bin"]),
            "HOME": str(self.folder),
            "TMPDIR": str(self.folder / "tmp"),
            "LANG": "C.UTF-8",
            "TZ": "UTC",
            # setproctitle would wipe the mark.
            "SPT_NOENV": "1",
            "no_proxy": "127.0.0.1,localhost",
            MARK: self.mark,
            SERVICE: self.name,
            "AIRFLOW_HOME": str(self.folder / "airflow"),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__DAGS_FOLDER": str(self.folder / "dags"),
            "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
            **more,
        }

    def start(self, command: Sequence[str], more: Mapping[str, str]) -> subprocess.Popen[bytes]:
        """Start one process of it, in a session of its own."""
        with self.log.open("ab") as log:
            return subprocess.Popen(
                command,
                env=self.environment(more),
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def run(self, command: Sequence[str], more: Mapping[str, str], limit: float, progress: Progress) -> int | None:
        """Run one process to its end; its exit code, or None when it was ended after `limit` seconds."""
        process = self.start(command, more)
        began = said = time.monotonic()
        try:
            while time.monotonic() - began < limit:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    return process.wait(0.2)
                if time.monotonic() - said > 10:
                    said = time.monotonic()
                    progress(f"  {self.name}: {said - began:.0f} s")
            return None
        finally:
            end(self, process)

    def trouble(self, what: str) -> Unavailable:
        """The error for something that did not work, with the last words of the log."""
        lines = [line.strip() for line in self.log.read_text(errors="replace").splitlines() if line.strip()]
        return Unavailable(f"{self.name} {what}; its log ended: {' | '.join(lines[-3:]) or 'empty'}")


@contextmanager
def peer(name: str) -> Iterator[Peer]:
    """A new peer; at the end all its processes are ended and its folder is deleted."""
    with tempfile.TemporaryDirectory(prefix=f"airbed-bench-{name}-", ignore_cleanup_errors=True) as folder:
        made = Peer(name, Path(folder), secrets.token_hex(8))
        for each in ("airflow", "dags", "tmp", "bin"):
            (made.folder / each).mkdir()
        (made.folder / "dags" / FILE).write_text(SOURCE)
        try:
            yield made
        finally:
            end(made)


def end(made: Peer, process: subprocess.Popen[bytes] | None = None) -> None:
    """End all its processes by their ids, whole trees, and look again that none is left."""
    try:
        processes.sweep(made.mark)
    except TimeoutError as error:
        raise Unavailable(f"{made.name}: {error}") from None
    if process is not None:
        process.wait(30)
