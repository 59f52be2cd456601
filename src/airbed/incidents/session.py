"""Several scenarios on one bed, one after the other."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING

from airbed.errors import NotOnThisSubstrate, UsageError
from airbed.incidents.case import run_case
from airbed.substrates.capabilities import ensure_can

if TYPE_CHECKING:
    from airbed.bed import Bed
    from airbed.incidents.journal import Say
    from airbed.incidents.schema import Scenario
    from airbed.incidents.verdict import Verdict


class Session:
    """Scenarios with their files. UsageError for a case or a fault that none of them has."""

    def __init__(
        self,
        scenarios: Sequence[tuple[Scenario, Path]],
        *,
        cases: Collection[str] | None = None,
        without: str | None = None,
        control: bool = True,
    ) -> None:
        self._without = without
        self._control = control
        everything = [(scenario, file, case) for scenario, file in scenarios for case in scenario.cases]
        known = {case for _, _, case in everything}
        for case in cases or ():
            if case not in known:
                near = get_close_matches(case, known, 1)
                hint = f"did you mean {near[0]}?" if near else f"there are: {', '.join(sorted(known))}"
                raise UsageError(f"there is no case '{case}'; {hint}")
        self.plays = [each for each in everything if not cases or each[2] in cases]
        if without is not None:
            self.plays = [each for each in self.plays if without in fault_names(each[0], each[2])]
            if not self.plays:
                names = sorted({name for scenario, _, case in everything for name in fault_names(scenario, case)})
                raise UsageError(f"no case has a fault '{without}'; there are: {', '.join(names) or 'none'}")

    def play(self, bed: Bed, out: Path | None, *, repeat: int, keep_going: bool, say: Say) -> Iterator[Verdict]:
        """The verdicts as they come; ends after the first that is not as expected, unless `keep_going`."""
        ensure_bed_can([scenario for scenario, _, _ in self.plays], bed)
        for scenario, file, case in self._possible(bed, say):
            for number in range(repeat):
                folder = out / scenario.name / case if out is not None else None
                if folder is not None and repeat > 1:
                    folder /= f"{number + 1:02}"
                say(f"{scenario.name}/{case}" + (f", {number + 1} of {repeat}" if repeat > 1 else ""))
                verdict = run_case(
                    bed,
                    scenario,
                    case,
                    file.parent,
                    control=self._control and number == 0,
                    folder=folder,
                    without=self._without,
                    say=say,
                )
                yield verdict
                if not verdict.ok and not keep_going:
                    return

    def _possible(self, bed: Bed, say: Say) -> list[tuple[Scenario, Path, str]]:
        """The plays whose faults the bed's substrate can do; the others are told. Raises when none is left."""
        found, problems = [], []
        for scenario, file, case in self.plays:
            try:
                for step in scenario.cases[case].faults:
                    ensure_can(bed.spec.substrate, step.fault)
                found.append((scenario, file, case))
            except NotOnThisSubstrate as error:
                problems.append(f"{scenario.name}/{case}: {error}")
        if problems and not found:
            raise NotOnThisSubstrate("; ".join(problems))
        for each in problems:
            say(f"skipped {each}")
        return found


def fault_names(scenario: Scenario, case: str) -> list[str]:
    """What the faults of a case are called."""
    return [step.name for step in scenario.cases[case].faults]


def ensure_bed_can(scenarios: Sequence[Scenario], bed: Bed) -> None:
    """UsageError when a scenario needs what the bed was not brought up with."""
    for scenario in scenarios:
        if "kubernetes" in scenario.needs and not bed.spec.kubernetes:
            raise UsageError(
                f"{scenario.name} needs Kubernetes, and bed '{bed.name}' has none;"
                f" add it: airbed up --name {bed.name} --with kubernetes"
            )
