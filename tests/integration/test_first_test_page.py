"""docs/first-test.md does what it says, with the built wheel, outside the checkout."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path

import pytest

from airbed.bed import Bed
from airbed.pytest_plugin import name_of_bed
from airbed.removal import down
from airbed.settings import load_settings
from airbed.spec import BedFiles

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "first-test.md"
INJECT = re.compile(r"^    faults\.inject\(.*\)\n\n", re.M)

pytestmark = pytest.mark.timeout(1200)


def blocks(language: str) -> list[str]:
    """The code blocks of the page in one language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE.read_text(), re.M | re.S)


def files() -> dict[str, str]:
    """The files that the page asks for: each block's first line names its file."""
    found = {}
    for text in (*blocks("python"), *blocks("toml")):
        first, _, rest = text.partition("\n")
        found[first.removeprefix("# ")] = rest
    return found


def commands() -> list[str]:
    """The lines that the page asks the reader to type."""
    return [line for text in blocks("sh") for line in text.splitlines()]


def clean_environment() -> dict[str, str]:
    """Nothing of this checkout's Python or of this session's pytest."""
    kept = {
        name: os.environ[name]
        for name in ("PATH", "HOME", "AIRBED_STATE_DIR", "AIRBED_CACHE_DIR")
        if name in os.environ
    }
    return {**kept, "LANG": "C.UTF-8"}


def run(project: Path, *command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, cwd=project, env=clean_environment(), capture_output=True, text=True, check=False, timeout=900
    )


def copy_scripts(source: Path, target: Path) -> None:
    """The commands of the packages, as the installation of each would have made them: with this Python."""
    for each in source.iterdir():
        made = target / each.name
        if made.exists() or not each.is_file() or each.name.startswith(("python", "activate", "Activate")):
            continue
        content = each.read_bytes()
        if content.startswith(b"#!"):
            made.write_bytes(content.replace(str(source).encode(), str(target).encode()))
            made.chmod(0o755)
        else:
            made.symlink_to(each)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The reader's repo, with airbed installed from the wheel; what airbed needs comes from this environment."""
    folder = tmp_path_factory.mktemp("reader") / "orders"
    folder.mkdir()
    wheels = tmp_path_factory.mktemp("wheel")
    subprocess.run([sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(wheels)], cwd=ROOT, check=True)
    (wheel,) = wheels.glob("*.whl")
    python = folder / ".venv" / "bin" / "python"
    assert run(folder, sys.executable, "-m", "venv", "--without-pip", ".venv").returncode == 0
    uv = Path(sys.executable).with_name("uv")
    installed = run(folder, str(uv), "pip", "install", "--offline", "--no-deps", "--python", str(python), str(wheel))
    assert installed.returncode == 0, installed.stderr
    # Packages are found there; the .pth files in it, such as that of the editable airbed, are not read.
    (site_packages,) = (folder / ".venv" / "lib").glob("python3*/site-packages")
    (site_packages / "packages.pth").write_text(sysconfig.get_path("purelib") + "\n")
    copy_scripts(Path(sys.executable).parent, python.parent)
    for name, text in files().items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)
    yield folder
    settings, name = load_settings(), name_of_bed(folder, "main")
    if BedFiles(settings, name).folder.exists():
        down(settings, name, lambda line: None)


def test_the_page_asks_for_what_this_test_does() -> None:
    assert commands() == [
        "mkdir orders && cd orders && git init",
        "python3 -m venv .venv",
        ".venv/bin/pip install airbed pytest",
        ".venv/bin/pytest",
    ]
    assert list(files()) == ["dags/count_orders.py", "tests/test_count_orders.py", "pyproject.toml"]
    assert len(INJECT.findall(files()["tests/test_count_orders.py"])) == 1


def test_airbed_comes_from_the_wheel_and_has_all_it_needs(project: Path) -> None:
    program = (
        "import airbed; from airbed.settings import load_settings; from airbed.incidents.library import own_folder;"
        "found = load_settings().resources;"
        "print(airbed.__file__, found.infra, found.dags, own_folder(), sep='\\n')"
    )
    places = run(project, ".venv/bin/python", "-c", program).stdout.splitlines()

    assert len(places) == 4
    for each in places:
        assert Path(each).is_relative_to(project / ".venv"), each
        assert Path(each).exists()
    assert len(list(Path(places[3]).glob("*.yaml"))) == len(list((ROOT / "tests/integration/incidents").glob("*.yaml")))
    listed = run(project, ".venv/bin/airbed", "incident", "list")
    assert listed.returncode == 0, listed.stderr
    assert run(project, ".venv/bin/airbed", "fault", "kinds").returncode == 0


def test_the_page_s_test_is_green_and_red_without_its_fault(project: Path) -> None:
    name = name_of_bed(project, "main")
    green = run(project, ".venv/bin/pytest", "--airbed-keep")
    assert green.returncode == 0, green.stdout + green.stderr
    assert "1 passed" in green.stdout

    bed = Bed.open(name)
    director = next(each for each in bed.substrate.status() if each.name == "director")
    words = Path(f"/proc/{director.pid}/cmdline").read_text().split("\0")
    assert Path(words[0]).is_relative_to(project / ".venv"), words
    assert run(project, ".venv/bin/airbed", "reset", "--name", name).returncode == 0

    test = project / "tests" / "test_count_orders.py"
    test.write_text(INJECT.sub("", test.read_text()))
    red = run(project, ".venv/bin/pytest", "--airbed-bed", name)
    assert red.returncode == 1, red.stdout + red.stderr
    assert "assert [1, 1, 1] == [1, 3, 1]" in red.stdout
