"""Every task-level fault on a DAG that knows nothing of it: seen in what became of the instances, gone after undo."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from helpers import until

from airbed.errors import UsageError

DAG = "foreign_classic"


def tries(task: Any) -> dict[int, int]:
    """Those that needed more than one try."""
    return {each.map_index: each.tries for each in task.instances if each.tries != 1}


def test_every_kind_on_mapped_instances_of_a_foreign_dag(bed: Any, run_dag: Any, faults: Any) -> None:
    """One run with all kinds, each on an instance of its own; the others are as they always are."""

    def first_try(kind: str, index: int, **parameters: Any) -> Any:
        chosen = {"dag_id": DAG, "task_id": "measure", "map_index": index, "try_number": 1}
        return faults.inject(kind, **chosen, **parameters)

    injected = {
        1: first_try("task.raise", 1, exception="builtins:OSError", message="no disk"),
        2: first_try("task.fail-now", 2, message="of no use"),
        3: first_try("task.kill", 3),
        4: first_try("task.exit", 4, code=3),
        5: first_try("task.memory-limit", 5, megabytes=100),
        6: first_try("task.oom-kill", 6, megabytes=300),
        7: first_try("task.hang", 7),
        8: first_try("task.slow", 8, seconds=3, when="after"),
        9: first_try("task.return", 9, value={"item": "another"}),
        10: first_try("task.return-none", 10, when="after"),
        11: faults.inject(
            "task.raise", dag_id=DAG, task_id="measure", where={"op_kwargs.item": 11}, times=1, when="after"
        ),
    }
    second = faults.inject("task.raise", dag_id=DAG, task_id="shell", arrivals=[2], message="the second to come")
    grouped = faults.inject("task.raise", dag_id=DAG, task_id="step.second", map_index=1, message="in a group")
    deferred = faults.inject("task.raise", dag_id=DAG, task_id="tail.later", try_number=1, message="at first")
    decided = faults.inject("task.return", dag_id=DAG, task_id="tail.gate", value=False)
    result = run_dag(DAG)

    assert result.state == "failed"
    measure = result.task("measure")
    assert (measure.indexes("hard"), measure.success) == ([2], 12)
    assert tries(measure) == {1: 2, 3: 2, 4: 2, 5: 2, 6: 2, 7: 2, 11: 2}
    values = {each.map_index: each.value for each in measure.instances}
    whole = {index: {"item": index, "bytes": 250 << 20} for index in range(13)}
    assert values == {**whole, 2: None, 9: {"item": "another"}, 10: None}
    assert measure.instances[8].seconds >= 3
    assert measure.instances[2].error == "AirflowFailException: of no use"
    for index, said in {
        1: "OSError: no disk",
        3: "SIGKILL",
        4: "injected exit (code 3",
        5: "MemoryError",
        6: "MB in memory: SIGKILL",
        7: "AirflowTaskTimeout",
        11: "injected by airbed",
    }.items():
        assert said in bed.airflow.log(DAG, result.run_id, "measure", index, 1), index
    assert {index: faults.fired(entry) for index, entry in injected.items()} == dict.fromkeys(injected, 1)

    assert sorted(each.tries for each in result.task("shell").instances) == [1, 1, 1, 2]
    arrived = bed.director.journal(kind="arrived", run_id=result.run_id, task_id="shell")
    assert [each["position"] for each in arrived] == [1, 2, 3, 4, 5]
    assert faults.fired(second) == 1
    assert result.task("step.first").success == 2
    group = result.task("step.second")
    assert (group.indexes("hard"), group.indexes("success"), tries(group)) == ([1], [0], {1: 2})
    assert "in a group" in group.instances[1].error
    assert (result.single("tail.later").state, result.single("tail.later").tries) == ("success", 2)
    assert (result.single("tail.gate").state, result.single("tail.end").state) == ("success", "skipped")
    assert [faults.fired(each) for each in (grouped, deferred, decided)] == [2, 1, 1]

    faults.clear()
    assert bed.director.rules() == []
    again = run_dag(DAG)
    assert again.state == "success"
    for task in again.tasks.values():
        assert (task.success, tries(task)) == (len(task.instances), {})
    assert [each.value for each in again.task("measure").instances] == list(whole.values())
    assert again.single("tail.end").state == "success"


def test_a_hang_ends_when_it_is_undone(bed: Any, run_dag: Any, faults: Any) -> None:
    """In the same try, and the work is done. Before it a deferred task fails after it was resumed."""
    resumed = faults.inject("task.raise", dag_id=DAG, task_id="tail.later", try_number=1, when="after", message="late")
    slow = faults.inject("task.slow", dag_id=DAG, task_id="tail.later", try_number=1, seconds=0.1)
    with ThreadPoolExecutor(1) as elsewhere, faults.injected("task.hang", dag_id=DAG, task_id="tail.gate") as hang:
        run = elsewhere.submit(run_dag, DAG)
        until(lambda: faults.fired(hang) == 1, "tail.gate hangs")
        faults.undo(hang)
        result = run.result()
    assert result.state == "success"
    assert (result.single("tail.gate").tries, result.single("tail.later").tries) == (1, 2)
    assert faults.fired(resumed) == 1
    # Before the first part of the try, not again before the part that was resumed.
    assert faults.fired(slow) == 1
    assert "late" in bed.airflow.log(DAG, result.run_id, "tail.later", -1, 1)


def test_held_instances_wait_and_meet_what_came_meanwhile(bed: Any, run_dag: Any, faults: Any) -> None:
    """Three of four stand at a gate; a fault that is injected then hits them, and not the one that went by."""
    bed.director.add_gate("three", dag_id=DAG, task_id="shell", where={"env.NAME": ["a", "c", "d"]}, timeout=60)
    try:
        with ThreadPoolExecutor(1) as elsewhere:
            run = elsewhere.submit(run_dag, DAG)
            until(lambda: len(bed.director.gate("three")["arrived"]) == 3, "three stand at the gate")
            until(lambda: len(bed.director.journal(kind="asked", task_id="step.second")) >= 2, "the others go on")
            raised = faults.inject("task.raise", dag_id=DAG, task_id="shell", try_number=1)
            bed.director.open_gate("three")
            result = run.result()
        gate = bed.director.gate("three")
    finally:
        bed.director.remove_gate("three")
    assert result.state == "success"
    assert tries(result.task("shell")) == {0: 2, 2: 2, 3: 2}
    assert faults.fired(raised) == 3
    assert not gate["timed_out"]
    assert sorted((each["map_index"], each["try_number"]) for each in gate["arrived"]) == [
        (0, 1), (0, 2), (2, 1), (2, 2), (3, 1), (3, 2),
    ]  # fmt: skip


def test_while_armed_a_task_without_its_director_fails_in_one_line(bed: Any, run_dag: Any, faults: Any) -> None:
    """It does not hang, and does not run as if nothing were injected; with the director back it is as always."""
    armed = bed.files.armed
    bed.director.add_gate("later", dag_id=DAG, task_id="tail.later", timeout=60)
    with ThreadPoolExecutor(1) as elsewhere:
        armed.write_text("a test")
        try:
            run = elsewhere.submit(run_dag, DAG)
            until(lambda: bed.director.gate("later")["arrived"], "tail.later stands at the gate")
            run_id = bed.director.gate("later")["arrived"][0]["run_id"]
            until(lambda: bed.metadata.state_counts(DAG, run_id).get("success", 0) == 21, "all others are done")
            slow = faults.inject("task.slow", dag_id=DAG, task_id="tail.later", when="after", seconds=5)
            bed.director.remove_gate("later")
            until(lambda: faults.fired(slow) == 1, "tail.later has done its work")
            bed.substrate.stop("director")
            until(lambda: bed.metadata.state_counts(DAG, run_id).get("up_for_retry"), "tail.gate without a director")
        finally:
            armed.unlink()
            bed.substrate.start("director")
        result = run.result()
    assert result.state == "success"
    assert result.single("tail.later").tries == 1
    assert result.single("tail.gate").tries > 1
    log = bed.airflow.log(DAG, result.run_id, "tail.gate", -1, 1)
    assert "the director does not answer" in log
    assert "while a scenario is armed, so this try fails" in log


def test_what_cannot_be_is_refused(faults: Any) -> None:
    with pytest.raises(UsageError, match="did you mean 'foreign_classic'"):
        faults.inject("task.kill", dag_id="foreign_clasic", task_id="measure")
    with pytest.raises(UsageError, match=r"has no task 'measures'; it has: measure, shell, step\.first"):
        faults.inject("task.kill", dag_id=DAG, task_id="measures")
    with pytest.raises(UsageError, match="not an exception class of Python"):
        faults.inject("task.raise", dag_id=DAG, task_id="measure", exception="builtins:Nope")
    with pytest.raises(UsageError, match="where: must map names"):
        faults.inject("task.kill", dag_id=DAG, task_id="measure", where={"a..b": 1})
    assert faults.active() == []
