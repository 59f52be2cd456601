"""What rules at the director are made of, as its client takes them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, Required, TypedDict

Action = Literal[
    "raise", "fail-now", "kill", "exit", "memory-limit", "oom-kill", "hang", "slow", "return", "return-none"
]
S3Action = Literal["error", "latency", "reset", "truncate", "corrupt", "throttle"]
When = Literal["before", "after"]


class TaskRule(TypedDict, total=False):
    """A fault for chosen instances of one task; only dag_id, task_id and action are needed.

    `map_index` counts from 0 (-1: unmapped), `try_number` from 1; None means every one. `times` is the highest number
    of firings over all instances, `arrivals` which of them in the order they come to the fault, from 1. `where` maps a
    dotted path into the rendered task, such as "op_kwargs.item.id", to the value it must have. An action has its own
    fields: raise `exception` ("module:Class") and `message`, fail-now `message`, exit `code`, memory-limit (above the
    present size) and oom-kill (in all) `megabytes`, slow `seconds`, return `value` (JSON).
    """

    dag_id: Required[str]
    task_id: Required[str]
    action: Required[Action]
    run_id: str | None
    map_index: int | Sequence[int] | None
    try_number: int | Sequence[int] | None
    times: int | None
    arrivals: int | Sequence[int] | None
    when: When
    where: Mapping[str, Any] | None
    exception: str | None
    message: str | None
    code: int | None
    megabytes: float | None
    seconds: float | None
    value: Any
    id: str | None


class S3Rule(TypedDict, total=False):
    """A fault for chosen S3 requests; only `action` is needed.

    `methods`, and the globs `bucket` and `key`, choose requests; of those, each key's hits are counted from 1: `nth`
    chooses hits, `share` (0 to 1) a part of them by a hash of `seed`, key and hit, `times` is the highest number of
    firings. An action has its own fields: error `status` and `code`, latency `seconds`, truncate and corrupt `at_byte`
    (None: by the hash), truncate `fit_length`, throttle `bytes_per_second`.
    """

    action: Required[S3Action]
    methods: Sequence[str] | None
    bucket: str | None
    key: str | None
    nth: int | Sequence[int] | None
    times: int | None
    share: float | None
    seed: int
    status: int | None
    code: str | None
    seconds: float | None
    at_byte: int | None
    bytes_per_second: int | None
    fit_length: bool | None
    id: str | None
