"""The cache of built Kubernetes tools: its key, its flags, the Go it takes, and what a broken build leaves."""

from __future__ import annotations

import shutil
import stat
from pathlib import Path

import pytest

from airbed.errors import Unavailable
from airbed.kubernetes import build, toolchain
from airbed.settings import Resources, Settings

INFRA = Resources.find().infra / "kubernetes"


@pytest.fixture
def infra(tmp_path: Path) -> Path:
    return Path(shutil.copytree(INFRA, tmp_path / "infra/kubernetes"))


@pytest.fixture
def settings(tmp_path: Path, infra: Path) -> Settings:
    made = Settings(state=tmp_path / "state", cache=tmp_path / "cache")
    made.__dict__["resources"] = Resources(infra=infra.parent, dags=tmp_path)
    return made


def fake_go(folder: Path, version: str, script: str = "exit 0") -> Path:
    """A `go` that knows its version and runs `script` for everything else."""
    folder.mkdir(parents=True, exist_ok=True)
    go = folder / "go"
    go.write_text(f'#!/bin/sh\nif [ "$1" = env ]; then echo go{version}; exit 0; fi\n{script}\n')
    go.chmod(0o755)
    return go


def test_every_source_is_a_tool_line_of_its_module() -> None:
    for source in build.SOURCES:
        tools = (INFRA / source.module / "go.mod").read_text().split("tool (", 1)[1].split(")", 1)[0].split()
        assert source.package in tools
    lines = sum(
        len((INFRA / m / "go.mod").read_text().split("tool (", 1)[1].split(")", 1)[0].split())
        for m in ("tools", "control-plane")
    )
    assert lines == len(build.SOURCES)


@pytest.mark.parametrize("name", ["tools/go.mod", "tools/go.sum", "control-plane/go.mod", "control-plane/go.sum"])
def test_the_key_follows_the_modules(infra: Path, name: str) -> None:
    before = build.key(infra)
    assert before == build.key(INFRA)
    with (infra / name).open("a") as file:
        file.write("\n")
    assert build.key(infra) != before


def test_an_edited_stage_costs_no_build(infra: Path) -> None:
    before = build.key(infra)
    (infra / "stages/never-pulls.yaml").write_text("")
    assert build.key(infra) == before


def test_versions_reach_the_linker() -> None:
    sources = {source.name: source for source in build.SOURCES}
    flags = build.link_flags(INFRA, sources["kube-apiserver"])
    assert "-X k8s.io/component-base/version.gitVersion=v1.35.4" in flags
    assert "-X k8s.io/client-go/pkg/version.gitMinor=35" in flags
    assert build.link_flags(INFRA, sources["etcd"]) == "-s -w"


def test_pinned_versions() -> None:
    assert build.module_version(INFRA, "control-plane", "k8s.io/kubernetes") == "v1.35.4"
    assert build.module_version(INFRA, "tools", "go.etcd.io/etcd/server/v3") == "v3.6.16"
    assert build.module_version(INFRA, "tools", "sigs.k8s.io/kwok") == "v0.8.0"
    with pytest.raises(Unavailable, match="no version of nobody"):
        build.module_version(INFRA, "tools", "nobody")


def test_the_newest_go_line_counts() -> None:
    assert toolchain.go_version_needed(INFRA) == "1.26.0"


@pytest.mark.parametrize(
    ("version", "good"), [("1.26.0", True), ("1.26.8", True), ("1.27rc1", True), ("1.25.9", False)]
)
def test_an_old_go_does_not_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str, good: bool) -> None:
    fake_go(tmp_path / "bin", version)
    monkeypatch.setattr(toolchain.shutil, "which", lambda name: str(tmp_path / "bin/go") if name == "go" else None)
    monkeypatch.setattr(toolchain, "USUAL", ())
    found = toolchain.find_toolchain(tmp_path / "cache", "1.26.0")
    assert (found is not None) == good


def test_no_go_and_no_installer_is_one_clear_line(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(toolchain, "USUAL", ())
    monkeypatch.setattr(toolchain.shutil, "which", lambda name: None)
    monkeypatch.setattr(toolchain.importlib.util, "find_spec", lambda name: None)
    possible, why = build.can_build(settings)
    assert (possible, "install Go 1.26.0" in why) == (False, True)
    with pytest.raises(Unavailable, match=r"install Go 1\.26\.0 or newer"):
        build.build(settings, lambda line: None)
    assert build.tools(settings) is None


def test_a_failed_build_leaves_nothing_and_the_next_one_works(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = tmp_path / "module"
    for name in build.KWOK_FILES:
        path = module / "kustomize" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("kind: Stage\n")
    works = f"""if [ "$1" = list ]; then echo {module}; exit 0; fi
while [ "$1" != -o ]; do shift; done; echo made > "$2"; chmod 755 "$2" """
    monkeypatch.setattr(toolchain, "USUAL", (str(fake_go(tmp_path / "go", "1.26.1", "echo no network >&2; exit 1")),))
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    with pytest.raises(Unavailable, match="no network"):
        build.build(settings, lambda line: None)
    home = settings.cache / "kubernetes"
    assert [path.name for path in home.iterdir()] == ["build.lock"]
    (home / ".build-of-a-killed-one").mkdir()

    fake_go(tmp_path / "go", "1.26.1", works)
    said: list[str] = []
    made = build.build(settings, said.append)
    assert made == build.tools(settings) == build.build(settings, lambda line: pytest.fail("built again"))
    assert all(stat.S_IMODE(made.binary(source.name).stat().st_mode) == 0o755 for source in build.SOURCES)
    assert (made.kwok / "stage/pod/fast/pod-ready.yaml").is_file()
    assert said[0] == "etcd: 1 of 6"
    assert said[-1].startswith("kube-scheduler: 6 of 6 built in ")
    assert {path.name for path in home.iterdir()} == {
        "build.lock",
        build.key(settings.resources.infra / "kubernetes"),
    }


def test_the_caller_cannot_change_what_is_built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"GOFLAGS": "-mod=vendor", "GOOS": "plan9", "CGO_ENABLED": "1", "GOPROXY": "mine"}.items():
        monkeypatch.setenv(name, value)
    environment = toolchain.Toolchain(Path("go"), "1.26", tmp_path).environment()
    assert (environment["CGO_ENABLED"], environment["GOFLAGS"]) == ("0", "-mod=readonly -buildvcs=false")
    assert "GOOS" not in environment
    assert environment["GOPROXY"] == "mine"
    monkeypatch.delenv("HOME")
    assert toolchain.Toolchain(Path("go"), "1.26", tmp_path).environment()["GOCACHE"] == str(tmp_path / "gocache")
