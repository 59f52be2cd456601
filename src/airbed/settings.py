"""Where airbed keeps its files on this machine."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from airbed.errors import UsageError


@dataclass(frozen=True)
class Settings:
    """Folders of one user on one machine.

    `state` holds the beds (deleted by `airbed down`) and the snapshots (deleted by `airbed snapshot rm` only), `cache`
    what all beds share: database templates, built Kubernetes tools, overlay environments (deleted by `make clean`).
    """

    state: Path
    cache: Path

    @property
    def beds(self) -> Path:
        """The folder with one folder for each bed."""
        return self.state / "beds"

    @property
    def snapshots(self) -> Path:
        """The folder with one folder for each snapshot."""
        return self.state / "snapshots"

    @cached_property
    def resources(self) -> Resources:
        """What a bed is made of: DAGs, Airflow plugin, schemas, manifests."""
        return Resources.find()


@dataclass(frozen=True)
class Resources:
    """`infra/` and `dags/`: in the checkout, or inside the installed package."""

    infra: Path
    dags: Path

    @classmethod
    def find(cls) -> Resources:
        """Locate them beside this file (wheel) or two levels up (checkout)."""
        package = Path(__file__).resolve().parent
        for root in (package / "_resources", package.parent.parent):
            if (root / "infra").is_dir() and (root / "dags").is_dir():
                return cls(infra=root / "infra", dags=root / "dags")
        raise UsageError(
            f"airbed's own infra/ and dags/ are missing: looked in {package} and {package.parent.parent}; reinstall it"
        )


def load_settings() -> Settings:
    """Read AIRBED_STATE_DIR and AIRBED_CACHE_DIR, else the usual folders of this user.

    Root uses /var/lib and /var/cache, because Postgres runs as another user there and has to reach them; everyone else
    the XDG folders.
    """
    if os.geteuid() == 0:
        state, cache = Path("/var/lib/airbed"), Path("/var/cache/airbed")
    else:
        home = Path.home()
        state = Path(os.environ.get("XDG_STATE_HOME") or home / ".local/state") / "airbed"
        cache = Path(os.environ.get("XDG_CACHE_HOME") or home / ".cache") / "airbed"
    return Settings(
        state=Path(os.environ.get("AIRBED_STATE_DIR") or state).expanduser().absolute(),
        cache=Path(os.environ.get("AIRBED_CACHE_DIR") or cache).expanduser().absolute(),
    )
