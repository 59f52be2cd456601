"""What the process keeper needs to know about one part of a bed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Program:
    """One long-running process of a bed.

    `name` is the service's name in the topology, `environment` the whole environment of the process (nothing of the
    caller's is inherited; the keeper adds the bed's mark, HOME, PATH), `user` another user to run as (root only),
    `after` the services that must be ready before this one is started, `prepare` makes what its first start needs and
    does nothing later (it runs beside the start of other services), `ready` answers whether the part does its work
    (False or any exception: not yet; it is asked again after `poll` seconds), `on_ready` runs once after that, before
    dependants start.
    """

    name: str
    command: Sequence[str]
    directory: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    user: str | None = None
    stop_signal: str = "TERM"
    stop_seconds: int = 10
    poll: float = 0.05
    after: Sequence[str] = ()
    prepare: Callable[[], None] = lambda: None
    ready: Callable[[], bool] = lambda: True
    on_ready: Callable[[], None] = lambda: None
