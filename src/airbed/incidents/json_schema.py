"""The JSON schema of scenario files, for editors: fields, allowed values and descriptions while one types.

`airbed incident` itself does not use it: its own checks say more, and with lines.
"""

from __future__ import annotations

from typing import Any

from airbed.faults import registry
from airbed.incidents.schema import OF_A_CASE, Scenario

_NUMBER = {"type": "number"}
_BY_INDEX = {"type": "object", "patternProperties": {r"^\d+$": {"type": "integer"}}, "additionalProperties": False}
# What may stand in the short form where the model has an object; the models' own validators read them.
_SHORT: dict[str, list[dict[str, Any]]] = {
    "Bound": [_NUMBER],
    "AtMost": [_NUMBER],
    "Tries": [{"type": "integer"}, _BY_INDEX],
    "TaskExpect": [{"type": "string"}],
    "When": [{"const": "start"}],
    "Until": [{"const": "end"}],
}


def json_schema() -> dict[str, Any]:
    """The schema, with each kind's parameters under `with`."""
    schema = Scenario.model_json_schema()
    parts: dict[str, Any] = schema["$defs"]
    parts["FaultStep"] = _with_kinds(parts["FaultStep"], parts)
    for name, short in _SHORT.items():
        parts[name] = {"anyOf": [*short, parts[name]]}
    # A file without `cases` has the fields of its only case at the top.
    schema["properties"] |= {name: parts["Case"]["properties"][name] for name in OF_A_CASE}
    schema["required"] = [name for name in schema["required"] if name != "cases"]
    schema["anyOf"] = [{"required": ["cases"]}, {"required": ["expect"]}]
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "airbed scenario", **schema}


def _with_kinds(step: dict[str, Any], parts: dict[str, Any]) -> dict[str, Any]:
    """A step's schema in which `fault` is one of the kinds, and `with` has the parameters of that kind."""
    kinds = {name: kind for name, kind in registry.kinds().items() if kind.by_hand}
    conditions = []
    for name, kind in kinds.items():
        own = kind.model_json_schema(ref_template="#/$defs/{model}")
        parts.update(own.pop("$defs", {}))
        # A step that names no DAG is about that of the case's run.
        own["required"] = [each for each in own.get("required", []) if each not in ("dag", "dag_id")]
        conditions.append({"if": {"properties": {"fault": {"const": name}}}, "then": {"properties": {"with": own}}})
    fault = {"description": "A kind: airbed fault kinds", "enum": list(kinds)}
    return {**step, "properties": {**step["properties"], "fault": fault}, "allOf": conditions}
