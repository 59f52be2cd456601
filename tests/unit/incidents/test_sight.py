"""When the moment of a fault has come, and when it is over."""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import Any

import pytest

from airbed.clients.rows import InstanceRow
from airbed.errors import Unavailable
from airbed.faults.ledger import Entry
from airbed.incidents.gates import Gate
from airbed.incidents.glances import Glances
from airbed.incidents.moments import Arrived
from airbed.incidents.schema import FaultStep, Run
from airbed.incidents.sight import Sight
from airbed.incidents.steps import FaultState, Inconclusive, RunState


def row(index: int, state: str) -> InstanceRow:
    return InstanceRow("t", index, state, 1, 0, None, None)


class Director:
    """A director that knows one gate."""

    def __init__(self, arrived: int = 0) -> None:
        place = {"task_id": "t", "map_index": 0, "try_number": 1}
        self.arrived: list[dict[str, Any]] | None = [place] * arrived

    def gate(self, name: str) -> dict[str, Any]:
        if self.arrived is None:
            raise Unavailable("the director does not answer")
        return {"arrived": self.arrived}


def sight(
    faults: list[FaultState],
    *,
    runs: dict[str, RunState] | None = None,
    rows: Any = (),
    services: Any = (),
    fired: int = 0,
) -> Sight:
    bed: Any = SimpleNamespace(
        metadata=SimpleNamespace(instances=lambda dag_id, run_id: rows() if callable(rows) else list(rows)),
        substrate=SimpleNamespace(status=lambda: [SimpleNamespace(name=n, state=s) for n, s in services]),
    )
    plane: Any = SimpleNamespace(fired=lambda entry: fired)
    known = {"run": RunState(Run(dag="d"), "d", ["r"], "started", clock=time.monotonic())} if runs is None else runs
    return Sight(bed, plane, known, {each.name: each for each in faults}, [each.name for each in faults], Glances())


def step(name: str = "a", *, when: Any = "start", until: Any = "end", **state: Any) -> FaultState:
    made = FaultStep.model_validate({"id": name, "fault": "process.stop", "when": when, "until": until})
    return FaultState(made, None, **state)


@pytest.mark.parametrize(
    ("states", "count", "came"),
    [(["running", "success"], 2, False), (["running", "running"], 2, True), ([], 1, False)],
)
def test_instances_in_a_state(states: list[str], count: int, came: bool) -> None:
    fault = step(when={"state": {"task": "t", "is": "running", "count": count}})
    rows = [row(index, state) for index, state in enumerate(states)]
    assert sight([fault], rows=rows).came(fault) is came


def test_only_these_map_indexes_count() -> None:
    fault = step(when={"state": {"task": "t", "is": "running", "map_index": [1]}})
    assert not sight([fault], rows=[row(0, "running"), row(1, "queued")]).came(fault)
    assert sight([fault], rows=[row(0, "queued"), row(1, "running")]).came(fault)


def test_a_database_that_does_not_answer_tells_nothing() -> None:
    def refuse() -> Any:
        raise Unavailable("connection refused")

    fault = step(when={"state": {"task": "t", "is": "running"}})
    assert not sight([fault], rows=refuse).came(fault)


def test_a_service_in_a_state() -> None:
    fault = step(when={"service": {"name": "scheduler", "is": "starting"}})
    assert not sight([fault], services=[("scheduler", "running")]).came(fault)
    assert sight([fault], services=[("scheduler", "starting")]).came(fault)


def test_hits_of_another_fault() -> None:
    other = step("storm", state="started", entry=Entry("f1", "s3.error", {}, {}, "s/c", 1))
    fault = step(when={"hits": {"of": "storm", "count": 3}})
    assert not sight([other, fault], fired=2).came(fault)
    assert sight([other, fault], fired=3).came(fault)


@pytest.mark.parametrize(
    ("after", "state", "came"),
    [
        ("b", "waiting", False),
        ("b", "started", True),
        ("b.started", "ended", True),
        ("b.ended", "started", False),
        ("b.ended", "ended", True),
    ],
)
def test_after_another_fault(after: str, state: Any, came: bool) -> None:
    fault = step(when={"after": after})
    assert sight([step("b", state=state), fault]).came(fault) is came


@pytest.mark.parametrize(
    ("after", "state", "came"), [("run", "started", False), ("run.started", "started", True), ("run", "ended", True)]
)
def test_after_a_run(after: str, state: Any, came: bool) -> None:
    fault = step(when={"after": after})
    assert sight([fault], runs={"run": RunState(Run(dag="d"), "d", ["r"], state)}).came(fault) is came


def test_a_step_that_is_not_played_holds_nobody_up() -> None:
    looking = Sight(SimpleNamespace(), SimpleNamespace(), {}, {}, ["storm"], Glances())  # type: ignore[arg-type]
    assert looking.reached("storm")


def test_all_conditions_must_have_come() -> None:
    fault = step(when={"state": {"task": "t", "is": "success"}, "after": "run"})
    assert not sight([fault], rows=[row(0, "success")]).came(fault)


def gate(director: Director, timeout: float = 60) -> Gate:
    bed: Any = SimpleNamespace(director=director)
    return Gate(bed, "g", Arrived(task="t", count=2, timeout=timeout), "d", None)


def test_a_gate_that_fills() -> None:
    director = Director(1)
    fault = step(when={"arrived": {"task": "t", "count": 2}}, gate=gate(director))
    looking = sight([fault])
    assert not looking.came(fault)
    director.arrived = Director(2).arrived
    assert looking.came(fault)


def test_a_gate_that_does_not_fill_in_time_is_inconclusive() -> None:
    fault = step(when={"arrived": {"task": "t", "count": 2}}, gate=gate(Director(1), timeout=0.01))
    looking = sight([fault])
    time.sleep(0.02)
    with pytest.raises(Inconclusive, match=r"a: 1 of 2 instances of t arrived within 0\.01 s \(t\[0\] try 1\)"):
        looking.came(fault)


def test_a_full_gate_does_not_wait_for_ever_for_the_other_conditions() -> None:
    when = {"arrived": {"task": "t", "count": 2}, "state": {"task": "t", "is": "success"}}
    fault = step(when=when, gate=gate(Director(2), timeout=0.01))
    looking = sight([fault])
    time.sleep(0.02)
    with pytest.raises(Inconclusive, match=r"2 of 2 .* but its other conditions did not come"):
        looking.came(fault)


def test_a_director_that_does_not_answer_is_inconclusive() -> None:
    director = Director()
    director.arrived = None
    fault = step(when={"arrived": {"task": "t", "count": 2}}, gate=gate(director))
    with pytest.raises(Inconclusive, match="does not answer"):
        sight([fault]).came(fault)


def test_until() -> None:
    running = {"state": "started", "clock": time.monotonic() - 5, "entry": Entry("f1", "s3.error", {}, {}, "s/c", 1)}
    ended = step(until="end", **running)
    assert not sight([ended]).is_over(ended)
    for seconds, over in ((4, True), (60, False)):
        timed = step(until={"seconds": seconds}, **running)
        assert sight([timed]).is_over(timed) is over
    for fired, over in ((2, False), (3, True)):
        counted = step(until={"hits": 3}, **running)
        assert sight([counted], fired=fired).is_over(counted) is over
    held = step(until={"arrived": {"task": "t", "count": 2}}, end_gate=gate(Director(2)), **running)
    assert sight([held]).is_over(held)
    waiting = step(until={"state": {"task": "t", "is": "up_for_retry"}}, **running)
    assert sight([waiting], rows=[row(0, "up_for_retry")]).is_over(waiting)


@pytest.mark.parametrize(
    "condition", [{"state": {"task": "t", "is": "success"}}, {"service": {"name": "shard-1", "is": "stopped"}}]
)
def test_a_condition_that_does_not_come_in_the_time_it_was_given_is_inconclusive(condition: dict[str, Any]) -> None:
    (what,) = condition
    late = {what: {**condition[what], "timeout": 0.01}}
    begun = time.monotonic() - 1
    runs = {"run": RunState(Run(dag="d"), "d", ["r"], "started", clock=begun)}
    assert not sight([patient := step(when=condition)], runs=runs).came(patient)
    with pytest.raises(Inconclusive, match=rf"a\.when\.{what} did not come within 0\.01 s"):
        sight([hasty := step(when=late)], runs=runs).came(hasty)
    running = {"state": "started", "clock": begun}
    assert not sight([patient := step(until=condition, **running)]).is_over(patient)
    with pytest.raises(Inconclusive, match=rf"a\.until\.{what} did not come within 0\.01 s"):
        sight([hasty := step(until=late, **running)]).is_over(hasty)
