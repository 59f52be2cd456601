"""A stand-in for the task instance of an aggregator. It answers as Airflow 3.3.2's execution API does."""

from __future__ import annotations

from typing import Any

RETURN = "return_value"


class FakeTI:
    """The two calls that outcomes() makes, over a table of instances; counts requests as the API server would."""

    dag_id, run_id = "d", "r"

    def __init__(self, task_id: str, states: dict[int | None, str | None]) -> None:
        self.task_id = task_id
        self.states = states
        self.xcoms: dict[str, dict[int, Any]] = {RETURN: {}, "outcome": {}}
        self.requests = 0

    def get_task_states(self, dag_id: str, task_ids: list[str], run_ids: list[str]) -> dict[str, dict[str, Any]]:
        assert (dag_id, task_ids, run_ids) == ("d", [self.task_id], ["r"])
        self.requests += 1
        named = {self.task_id if i is None else f"{self.task_id}_{i}": state for i, state in self.states.items()}
        return {"r": named} if named else {}

    def xcom_pull(self, task_ids: list[str], key: str = RETURN, map_indexes: list[int] | None = None) -> list[Any]:
        assert task_ids == [self.task_id]
        values = self.xcoms[key]
        if map_indexes is None:
            self.requests += 1
            return [values[i] for i in sorted(values)] or [None]
        self.requests += len(map_indexes)
        return [values.get(i) for i in map_indexes]

    def ended(self, index: int, status: str, value: Any = None, *, tries: int = 1, error: str | None = None) -> None:
        self.xcoms["outcome"][index] = {
            "map_index": index,
            "try": tries,
            "status": status,
            "error": error,
            "none": value is None,
        }
        if value is not None:
            self.xcoms[RETURN][index] = value
