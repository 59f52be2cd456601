"""What `airbed up` can be asked for."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Request:
    """What `airbed up` was asked for. None: not said, so an existing bed keeps what it has.

    `substrate` is a name of `substrates.registry`. `kubernetes` None means: with it for the six patterns, for other
    DAGs only if one names a Kubernetes connection. `levers_off` are names of `airbed.levers`.
    """

    name: str
    dags: list[str] | None = None
    project: str | None = None
    env_file: str | None = None
    s3: str | None = None
    kubernetes: bool | None = None
    time_scale: float | None = None
    schedules: bool | None = None
    allow_external: list[str] | None = None
    levers_off: list[str] | None = None
    substrate: str | None = None

    def said(self) -> dict[str, object]:
        """The options that were given, without the name and Kubernetes."""
        return {
            key: value for key, value in vars(self).items() if value is not None and key not in ("name", "kubernetes")
        }
