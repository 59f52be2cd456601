"""The fixture and the mark `incident`, and scenario files collected as tests."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from airbed.bed import Bed
    from airbed.incidents.verdict import Verdict

ENDINGS = (".yaml", ".yml")
LARGEST = 256 * 1024  # bytes; a larger YAML file is no scenario, and not read
# What every scenario file has at its top level, whatever else it is: no other YAML file is parsed to find that out.
_MARKS = (re.compile(rb"^name:", re.M), re.compile(rb"^(cases|expect):", re.M), re.compile(rb"^symptom:", re.M))


class Incident:
    """Plays scenario files in a test; `verdicts` has all that were played, the mark's first."""

    def __init__(self, bed: Bed, find: Callable[[str], Path]) -> None:
        self._bed = bed
        self._find = find
        self.verdicts: list[Verdict] = []

    @property
    def verdict(self) -> Verdict:
        """The last verdict; UsageError when nothing was played."""
        from airbed.errors import UsageError

        if not self.verdicts:
            raise UsageError("no scenario was played yet: call incident(file), or mark the test with it")
        return self.verdicts[-1]

    def __call__(
        self,
        file: str | Path,
        *,
        case: str | None = None,
        control: bool = True,
        without: str | None = None,
        check: bool = True,
    ) -> Verdict:
        """Play one case of a scenario file and return its verdict.

        `file` is a path, relative to the test's folder or the root folder, or the name of a file in `airbed_incidents`
        or in airbed's own library. `case` may be left out where the file has one. `control`: play it without its faults
        too. `without` leaves the fault of that id out. The test fails with the differences when the verdict is not
        `as expected`, unless `check` is false.
        """
        from airbed.errors import UsageError
        from airbed.incidents.load import load

        path = self._find(str(file))
        cases = list(load(path).cases)
        if case is None and len(cases) > 1:
            raise UsageError(f"{path} has several cases: give case= one of {', '.join(cases)}")
        verdict = play(self._bed, path, case or cases[0], control=control, without=without)
        self.verdicts.append(verdict)
        if check and not verdict.ok:
            pytest.fail("\n".join(verdict.lines()), pytrace=False)
        return verdict


def play(bed: Bed, file: Path, case: str, **options: Any) -> Verdict:
    """Play one case; UsageError when the file has no case of that name."""
    from airbed.incidents.api import run_file

    return run_file(bed, file, case=case, **options)[0]


@pytest.fixture
def incident(request: pytest.FixtureRequest, bed: Bed) -> Incident:
    """Play scenario files: `incident("shard-dies.yaml", case="as_taught")`."""
    return Incident(bed, lambda name: find_file(name, request.path.parent, request.config))


@pytest.fixture
def _marked_incident(request: pytest.FixtureRequest, incident: Incident) -> None:
    """Play what the test's mark names, before the test's body."""
    mark = request.node.get_closest_marker("incident")
    incident(*mark.args, **mark.kwargs)


def use_marks(items: Iterable[pytest.Item]) -> None:
    """Give tests marked `incident` the fixture that plays it."""
    for item in items:
        if isinstance(item, pytest.Function) and item.get_closest_marker("incident"):
            item.fixturenames.insert(0, "_marked_incident")


def find_file(name: str, near: Path, config: pytest.Config) -> Path:
    """A scenario file as a test names it; UsageError says where it was looked for."""
    from airbed.errors import UsageError
    from airbed.incidents.library import find

    folders: list[Path] = [near, config.rootpath, *config.getini("airbed_incidents")]
    for folder in folders:
        for candidate in (folder / name, *(folder / f"{name}{ending}" for ending in ENDINGS)):
            if candidate.suffix in ENDINGS and candidate.is_file():
                return candidate
    try:
        return find(name)
    except UsageError as error:
        raise UsageError(f"{error}; looked in {', '.join(map(str, folders))} and airbed's own incidents") from None


def collect_file(file: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """The collector of a scenario file; None for any other file."""
    if file.suffix not in ENDINGS:
        return None
    named = any(file.is_relative_to(folder) for folder in parent.config.getini("airbed_incidents"))
    if not named:
        if file.stat().st_size > LARGEST:
            return None
        text = file.read_bytes()
        if not all(mark.search(text) for mark in _MARKS):
            return None
    return ScenarioFile.from_parent(parent, path=file)


class ScenarioFile(pytest.File):
    """A scenario file as a collection of its cases; one that is broken is an error of the collection."""

    def collect(self) -> Iterable[pytest.Item]:
        """One test for each case, `name::case`."""
        from airbed.errors import UsageError
        from airbed.incidents.load import load

        try:
            scenario = load(self.path)
        except UsageError as error:
            raise self.CollectError("\n".join(getattr(error, "problems", [str(error)]))) from None
        for name, case in scenario.cases.items():
            item = CaseItem.from_parent(self, name=f"{scenario.name}::{name}", callobj=_player(self.path, name))
            if self.config.pluginmanager.hasplugin("timeout"):
                # The case itself, its control run, and the bed that may have to be made.
                item.add_marker(pytest.mark.timeout(2 * case.timeout + 300))
            for need in scenario.needs:
                item.add_marker(need)
            yield item


def _player(file: Path, case: str) -> Callable[..., None]:
    def test(bed: Bed) -> None:
        verdict = play(bed, file, case)
        if not verdict.ok:
            pytest.fail("\n".join(verdict.lines()), pytrace=False)

    return test


class CaseItem(pytest.Function):
    """One case as a test with the fixture `bed`."""

    def reportinfo(self) -> tuple[Path, int | None, str]:
        """Where it stands: in the scenario file."""
        return self.path, None, self.name
