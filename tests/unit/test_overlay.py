"""Requirements of a project: what is installed, what the base has already."""

from __future__ import annotations

import pytest

from airbed.errors import UsageError
from airbed.settings import Settings
from airbed.spec import BedFiles, BedSpec
from airbed.substrates.embedded import overlay


@pytest.fixture
def settings(tmp_path):
    return Settings(state=tmp_path / "state", cache=tmp_path / "cache")


def quiet(line):
    raise AssertionError(line)


def test_nothing_asked_is_no_overlay(settings, tmp_path):
    assert overlay.ensure_overlay(settings, tmp_path / "requirements.txt", quiet) is None
    (tmp_path / "requirements.txt").write_text("# Astro's template\n\n")
    assert overlay.ensure_overlay(settings, tmp_path / "requirements.txt", quiet) is None


def test_editable_requirements_are_refused(settings, tmp_path):
    (tmp_path / "requirements.txt").write_text("-e ./mine\n")
    with pytest.raises(UsageError, match=r"'-e ./mine' is editable"):
        overlay.ensure_overlay(settings, tmp_path / "requirements.txt", quiet)


def test_included_files_count_into_the_key(tmp_path):
    (tmp_path / "requirements.txt").write_text("-r more.txt\na\n")
    (tmp_path / "more.txt").write_text("--constraint=requirements.txt\nb\n")
    assert list(overlay._texts(tmp_path / "requirements.txt")) == [
        "-r more.txt\na\n",
        "--constraint=requirements.txt\nb\n",
    ]


@pytest.mark.parametrize(
    ("line", "there"),
    [
        ("Requests==2.0", True),
        ("apache_airflow[amazon]==3.3.2", True),
        ("requests @ file:///x", True),
        ("emoji==2.0", False),
        ("./local", False),
        ("requests-ftp==1", False),
    ],
)
def test_only_what_the_base_lacks_is_installed(line, there):
    assert overlay._is_in_base(line, {"requests": "2.0", "apache-airflow": "3.3.2"}) is there


def test_the_base_is_never_empty_and_is_not_airbed():
    base = overlay.base_packages()
    assert base["apache-airflow"] == "3.3.2"
    assert "airbed" not in base


def test_plugins_of_both_are_in_one_folder(settings, tmp_path):
    own, project = tmp_path / "own", tmp_path / "project"
    for folder in (own, project / "plugins/sub", project / "dags"):
        folder.mkdir(parents=True)
    (own / "airbed_plugin.py").touch()
    (project / "plugins/mine.py").touch()
    files = BedFiles(settings, "x")
    spec = BedSpec(name="x", project=str(project))
    for _ in range(2):
        folder = overlay.plugins_folder(files, spec, own)
        assert sorted(each.name for each in folder.iterdir()) == ["airbed_plugin.py", "mine.py", "sub"]
    (project / "plugins/airbed_plugin.py").touch()
    with pytest.raises(UsageError, match="rename yours"):
        overlay.plugins_folder(files, spec, own)
    assert overlay.plugins_folder(files, BedSpec(name="x"), own) == own


def test_credentials_of_an_index_are_not_told():
    assert overlay._without_credentials("failed: https://me:hunter2@index/simple") == "failed: https://***@index/simple"


def test_each_python_has_an_overlay_of_its_own(settings, tmp_path, monkeypatch):
    """For another Python wheels are resolved and installed, and not compiled by this one."""
    asked = []

    def uv(requirements, *arguments):
        asked.append(arguments)
        return "emoji==2.0\nrequests==9.0\n"

    monkeypatch.setattr(overlay, "_uv", uv)
    (tmp_path / "requirements.txt").write_text("emoji\nrequests\n")
    own = overlay.Base("3.11.2", {"requests": "9.0"}, own=True)
    other = overlay.Base("3.13.5", {"requests": "9.0"})
    made = [
        overlay.ensure_overlay(settings, tmp_path / "requirements.txt", lambda line: None, base)
        for base in (lambda: own, lambda: other, lambda: own)
    ]
    assert made[0] == made[2] != made[1]
    assert (made[1].parent / "requirements.txt").read_text() == "emoji==2.0\n"
    assert len(asked) == 4
    for arguments in asked[:2]:
        assert "--python" in arguments and "--only-binary" not in arguments
    for arguments in asked[2:]:
        assert arguments[arguments.index("--python-version") + 1] == "3.13.5" and "--compile-bytecode" not in arguments
    assert "--only-binary" in asked[3]


@pytest.mark.parametrize(
    ("line", "shared"),
    [
        ("emoji==2.0  # see ./notes", True),
        ("# ./lib", True),
        ("own @ git+ssh://host/own.git", True),
        ("own @ https://host/own.whl ; python_version > '3'", True),
        (".", False),
        ("./lib", False),
        ("libs/own", False),
        ("own.whl", False),
        ("own @ file:./lib", False),
        ("own @ file:///lib", False),
    ],
)
def test_projects_share_an_overlay_unless_a_requirement_is_a_path(settings, tmp_path, monkeypatch, line, shared):
    """Two projects, such as two checkouts of one, may each have a `./lib`: not the same one."""
    monkeypatch.setattr(overlay, "_install", lambda requirements, base, scratch: lay_down(scratch))
    sites = set()
    for name in ("a", "b"):
        project = tmp_path / name
        project.mkdir()
        (project / "requirements.txt").write_text(f"emoji==1.0\n{line}\n")
        sites.add(overlay.ensure_overlay(settings, project / "requirements.txt", lambda line: None))
    assert len(sites) == (1 if shared else 2)


def lay_down(scratch):
    (scratch / "site").mkdir()
    (scratch / "missing.txt").write_text("")
