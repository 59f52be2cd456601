"""YAML as people mean it in parameters and scenarios: values that JSON has too, days and times of day as texts."""

from __future__ import annotations

import json
import re
from typing import Any

import yaml

_DAY = re.compile(r"\d{4}-\d\d-\d\d")


class PlainLoader(yaml.SafeLoader):
    """SafeLoader, but `2026-01-05` stays a text, `2026-01-05 10:00:00` becomes one in ISO form, and `12:30` is no 750.

    Parameters go to tasks and to the ledger as JSON, which has no dates; in DAGs and their rendered fields days are
    texts.
    """


def load(text: str) -> Any:
    """The value of a text; raises yaml.YAMLError or ValueError when it is none."""
    # A SafeLoader in all but name: it constructs plain values only.
    return yaml.load(text, PlainLoader)


def ensure_json(value: Any) -> Any:
    """The value as it is; raises ValueError when JSON cannot say it, such as NaN or 1e400."""
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError) as error:
        reason = "NaN and infinity are no JSON" if isinstance(error, ValueError) else str(error)
        raise ValueError(f"{value!r} is no JSON value: {reason}") from None
    return value


def _timestamp(loader: PlainLoader, node: yaml.ScalarNode) -> str:
    if _DAY.fullmatch(node.value):
        return str(node.value)
    return str(loader.construct_yaml_timestamp(node).isoformat())


def _integer(loader: PlainLoader, node: yaml.ScalarNode) -> int | str:
    return str(node.value) if ":" in node.value else int(loader.construct_yaml_int(node))


def _float(loader: PlainLoader, node: yaml.ScalarNode) -> float | str:
    return str(node.value) if ":" in node.value else float(loader.construct_yaml_float(node))


PlainLoader.add_constructor("tag:yaml.org,2002:timestamp", _timestamp)
PlainLoader.add_constructor("tag:yaml.org,2002:int", _integer)
PlainLoader.add_constructor("tag:yaml.org,2002:float", _float)
