"""A project folder in the Astro CLI's layout: what it must look like, and what its airflow_settings.yaml says."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import yaml

from airbed import userconnections
from airbed.errors import UsageError
from airbed.topology import Pool
from airbed.userconnections import Connection

LAYOUT = "dags/, plugins/, include/, requirements.txt, airflow_settings.yaml, .env"
SETTINGS = "airflow_settings.yaml"


@dataclass
class AstroSettings:
    """What an airflow_settings.yaml says; `variables` by name."""

    connections: list[Connection] = field(default_factory=list)
    variables: dict[str, str] = field(default_factory=dict)
    pools: list[Pool] = field(default_factory=list)


def ensure_project_is_valid(folder: Path) -> None:
    """Raise UsageError when a folder is no project, or a part of it is a file where a folder belongs or the reverse."""
    if not folder.is_dir():
        raise UsageError(f"--project {folder} is not a folder; give one with the Astro layout: {LAYOUT}")
    if not (folder / "dags").is_dir():
        raise UsageError(f"--project {folder} has no dags/ folder; a project has the Astro layout: {LAYOUT}")
    for name in ("plugins", "include"):
        if (folder / name).exists() and not (folder / name).is_dir():
            raise UsageError(f"--project {folder}: {name} is not a folder")
    for name in ("requirements.txt", SETTINGS, ".env"):
        if (folder / name).exists() and not (folder / name).is_file():
            raise UsageError(f"--project {folder}: {name} is not a file")


def read_settings(project: Path) -> AstroSettings:
    """Read a project's airflow_settings.yaml; empty when there is none.

    Entries without a name are left out: the Astro CLI's template has them.
    """
    path = project / SETTINGS
    found = AstroSettings()
    if not path.is_file():
        return found
    try:
        loaded = yaml.safe_load(path.read_text())
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, "problem_mark", None)
        at = f" at line {mark.line + 1}" if mark else ""
        raise UsageError(f"{path} is not YAML{at}: {getattr(error, 'problem', None) or 'not text'}") from None
    root = (loaded or {}).get("airflow") if isinstance(loaded or {}, dict) else None
    if root is None and not loaded:
        return found
    if not isinstance(root, dict):
        raise UsageError(f"{path} has no mapping 'airflow' with connections, pools and variables")
    for entry in _entries(path, root, "connections", "conn_id"):
        found.connections.append(_connection(path, entry))
    for entry in _entries(path, root, "variables", "variable_name"):
        value = _plain(entry.get("variable_value"))
        found.variables[str(entry["variable_name"])] = (
            value if isinstance(value, str) else "" if value is None else json.dumps(value)
        )
    for entry in _entries(path, root, "pools", "pool_name"):
        found.pools.append(_pool(path, entry))
    return found


def _entries(path: Path, root: dict[str, Any], kind: str, name: str) -> Iterator[dict[str, Any]]:
    entries = root.get(kind) or []
    if not isinstance(entries, list) or not all(isinstance(each, dict) for each in entries):
        raise UsageError(f"{path}: airflow.{kind} is not a list of mappings with {name}")
    return (each for each in entries if each.get(name))


def _connection(path: Path, entry: dict[str, Any]) -> Connection:
    conn_id = str(entry["conn_id"])
    if entry.get("conn_uri"):
        return userconnections.from_uri(conn_id, str(entry["conn_uri"]), str(path))
    if not entry.get("conn_type"):
        raise UsageError(f"{path}: connection '{conn_id}' has neither conn_type nor conn_uri")
    fields = {"conn_type": str(entry["conn_type"]), "extra": _plain(entry.get("conn_extra")) or {}}
    for name in ("host", "schema", "login", "password"):
        if entry.get(f"conn_{name}") is not None:
            fields[name] = str(entry[f"conn_{name}"])
    if entry.get("conn_port") not in (None, ""):
        fields["port"] = _number(path, f"conn_port of connection '{conn_id}'", entry["conn_port"])
    return userconnections.from_fields(conn_id, fields, str(path))


def _pool(path: Path, entry: dict[str, Any]) -> Pool:
    name = str(entry["pool_name"])
    slots = _number(path, f"pool_slot of pool '{name}'", entry.get("pool_slot", entry.get("pool_slots")))
    if slots < -1:
        raise UsageError(f"{path}: pool_slot of pool '{name}' is {slots}; Airflow takes 0 or more, or -1 for no limit")
    return Pool(name, slots, str(entry.get("pool_description") or ""))


def _plain(value: Any) -> Any:
    """A value as JSON can say it: what YAML takes for a date without quotes was meant as text."""
    if isinstance(value, dict):
        return {str(key) if isinstance(key, date) else key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_plain(each) for each in value]
    return value if value is None or isinstance(value, (str, int, float)) else str(value)


def _number(path: Path, what: str, value: Any) -> int:
    try:
        return int(value)
    except (TypeError, ValueError, OverflowError):
        raise UsageError(f"{path}: {what} is {value!r}, not a number") from None
