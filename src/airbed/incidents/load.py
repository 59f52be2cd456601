"""Read scenario files: every mistake is told with its line, its field and what is allowed there."""

from __future__ import annotations

import types
from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Union, get_args, get_origin

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from airbed.errors import UsageError
from airbed.incidents.references import problems_of
from airbed.incidents.schema import OF_A_CASE, Scenario
from airbed.plainyaml import PlainLoader

Place = tuple[str | int, ...]
DEEPEST = 50  # no scenario is nested so deeply, but for an anchor within itself


class BrokenScenario(UsageError):
    """A scenario file that cannot be used. `problems` has every mistake, one line each; the message has the first."""

    def __init__(self, problems: list[str]) -> None:
        self.problems = problems
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        super().__init__(f"{problems[0]}{more}")


def load(file: Path) -> Scenario:
    """The scenario of a file; BrokenScenario when anything about it is wrong. Nothing is started or asked."""
    try:
        text = file.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{file} cannot be read: {getattr(error, 'strerror', None) or error}") from None
    return parse(text, file)


def parse(text: str, file: Path) -> Scenario:
    """The same, for the file's text; DAG files that it names are looked for beside `file`."""
    lines = Lines(file)
    data = lines.read(text)
    try:
        scenario = Scenario.model_validate(data)
    except ValidationError as error:
        raise BrokenScenario(_told(lines, Scenario, error)) from None
    problems = [lines.at(place, words) for place, words in problems_of(scenario, file)]
    if problems:
        raise BrokenScenario(problems)
    return scenario


def _told(lines: Lines, model: type[BaseModel], error: ValidationError) -> list[str]:
    """One line for each mistake; of what a union's members say about one value, the most useful."""
    everything = [(each, lines.known(each["loc"])) for each in error.errors()]
    places = [place for _, place in everything]
    # Without `cases` the fields of the only case stand at the top.
    top = () if lines.known(("cases",)) else OF_A_CASE
    found: dict[tuple[int, Place], str] = {}
    for each, place in everything:
        # A union complains once for each of its members: what one of them says about a part of the value is enough.
        deeper = any(len(other) > len(place) and other[: len(place)] == place for other in places)
        if deeper and (each["type"].endswith("_type") or each["type"] == "literal_error"):
            continue
        key = (lines.of(place), place)
        if key not in found or each["type"] == "value_error":
            found[key] = lines.at(place, _words(model, each, top))
    return [found[key] for key in sorted(found, key=lambda key: (key[0], str(key[1])))]


def _words(model: type[BaseModel], error: ErrorDetails, top: Sequence[str] = ()) -> str:
    """What is wrong, and what is allowed; `top` are fields that may stand at the top besides those of the model."""
    last = str(error["loc"][-1]) if error["loc"] else ""
    if error["type"] == "extra_forbidden":
        allowed = [*_fields_at(model, error["loc"][:-1]), *(top if len(error["loc"]) == 1 else ())]
        return f"unknown field '{last}'; {_hint(last, allowed)}allowed: {', '.join(allowed)}"
    if error["type"] == "missing":
        return f"{last} is missing"
    if error["type"] == "literal_error":
        allowed = [word.strip(" '") for word in error["ctx"]["expected"].replace(" or ", ", ").split(",")]
        return f"{error['input']!r} is not known; {_hint(str(error['input']), allowed)}allowed: {', '.join(allowed)}"
    if error["type"] == "value_error":
        return error["msg"].removeprefix("Value error, ")
    if error["type"] == "string_pattern_mismatch":
        return f"{error['input']!r} is not a name: use lower-case letters, digits, hyphens, such as shard-1-down"
    message = error["msg"].removeprefix("Input should be ").replace("Input should be ", "")
    return f"{message[0].lower()}{message[1:]} is needed, not {error['input']!r}"


def _hint(name: str, allowed: list[str]) -> str:
    near = get_close_matches(name, allowed, 1)
    return f"did you mean {near[0]}? " if near else ""


def _fields_at(model: type[BaseModel], place: Place) -> list[str]:
    """The fields that may stand at a place, as the file spells them."""
    found: list[Any] = [model]
    for step in place:
        deeper: list[Any] = []
        for each in found:
            field = _field(each, step)
            deeper += list(_models(field)) if field is not None else []
        # A step that is no field is an index, a key, or a member of a union: the models stay the same.
        found = deeper or found
    return list(dict.fromkeys(info.alias or name for each in found for name, info in each.model_fields.items()))


def _field(model: type[BaseModel], step: str | int) -> Any:
    for name, info in model.model_fields.items():
        if step in (name, info.alias):
            return info.annotation
    return None


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    elif get_origin(annotation) in (Union, types.UnionType, Annotated, list, dict):
        for each in get_args(annotation):
            yield from _models(each)


class Lines:
    """A YAML file's content, and the line of each value in it."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._lines: dict[Place, int] = {(): 1}

    def read(self, text: str) -> Any:
        """The content as plain values; BrokenScenario for what is no YAML, or has a key twice."""
        try:
            loader = PlainLoader(text)
            node = loader.get_single_node()
            if not isinstance(node, yaml.MappingNode):
                raise BrokenScenario([f"{self._file}:1: a scenario is a mapping: name, symptom, run, faults, expect"])
            return self._value(loader, node, ())
        except yaml.MarkedYAMLError as error:
            line = error.problem_mark.line + 1 if error.problem_mark else 1
            what = " ".join(str(error.problem or error).split())
            raise BrokenScenario([f"{self._file}:{line}: not YAML: {what}"]) from None
        except (yaml.YAMLError, ValueError) as error:
            raise BrokenScenario([f"{self._file}:1: not YAML: {' '.join(str(error).split())}"]) from None

    def _value(self, loader: yaml.SafeLoader, node: yaml.Node, place: Place) -> Any:
        self._lines[place] = node.start_mark.line + 1
        if len(place) > DEEPEST:
            raise BrokenScenario(
                [f"{self._file}:{self._lines[place]}: an anchor (&) has an alias (*) of itself inside"]
            )
        if isinstance(node, yaml.MappingNode):
            self._merge(loader, node)
            return self._mapping(loader, node, place)
        if isinstance(node, yaml.SequenceNode):
            return [self._value(loader, each, (*place, index)) for index, each in enumerate(node.value)]
        try:
            return loader.construct_object(node)
        except ValueError as error:
            line = node.start_mark.line + 1
            raise BrokenScenario([f"{self._file}:{line}: {node.value!r} is not a valid date: {error}"]) from None

    def _merge(self, loader: yaml.SafeLoader, node: yaml.MappingNode) -> None:
        """Take in what `<<` names, but for fields that the mapping has; a field that it has twice is an error."""
        own: set[Any] = set()
        for key_node, _ in node.value:
            if key_node.tag != "tag:yaml.org,2002:merge":
                key = loader.construct_object(key_node, deep=True)
                line = key_node.start_mark.line + 1
                if not isinstance(key, str | int):
                    raise BrokenScenario([f"{self._file}:{line}: {key!r} cannot be the name of a field"])
                if key in own:
                    raise BrokenScenario([f"{self._file}:{line}: '{key}' stands here twice: remove one"])
                own.add(key)
        loader.flatten_mapping(node)
        # What is merged in stands first, and the last of a name counts. The node may be met again by an alias.
        node.value = list({loader.construct_object(pair[0], deep=True): pair for pair in node.value}.values())

    def _mapping(self, loader: yaml.SafeLoader, node: yaml.MappingNode, place: Place) -> dict[Any, Any]:
        found: dict[Any, Any] = {}
        for key_node, value_node in node.value:
            key = loader.construct_object(key_node, deep=True)
            found[key] = self._value(loader, value_node, (*place, key))
            self._lines[*place, key] = key_node.start_mark.line + 1
        return found

    def known(self, place: Place) -> Place:
        """The part of a place that the file has: union members and names that pydantic adds are left out."""
        found: Place = ()
        for step in place:
            if (*found, step) in self._lines:
                found = (*found, step)
        return found

    def of(self, place: Place) -> int:
        """The line of a place."""
        return self._lines[self.known(place)]

    def at(self, place: Place, words: str) -> str:
        """`file:line: field: words`."""
        field = _dotted(self.known(place))
        return f"{self._file}:{self.of(place)}: {field + ': ' if field else ''}{words}"


def _dotted(place: Place) -> str:
    text = ""
    for step in place:
        text += f"[{step}]" if isinstance(step, int) else f".{step}"
    return text.lstrip(".")


def fault_words(model: type[BaseModel], error: ValidationError) -> Mapping[Place, str]:
    """What is wrong with the parameters of a fault, by place."""
    return {each["loc"]: _words(model, each) for each in error.errors()}
