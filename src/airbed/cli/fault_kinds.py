"""Kinds of faults with their parameters, as text and as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airbed.cli.common import output

if TYPE_CHECKING:
    from airbed.faults.model import Fault
    from airbed.faults.parameters import Parameter


def print_level(kinds: list[type[Fault]]) -> None:
    """The kinds of a level; what all `tcp.*` (`task.*`, ...) take is printed once, before the first of them."""
    from airbed.faults.parameters import parameters

    families: dict[str, list[type[Fault]]] = {}
    for each in kinds:
        families.setdefault(each.kind.partition(".")[0], []).append(each)
    for family, members in families.items():
        shared: list[Parameter] = []
        if len(members) > 1:
            shared = [each for each in parameters(members[0]) if all(each in parameters(other) for other in members)]
        if shared:
            output.print(f"  every {family}.* takes")
            _print_parameters(shared)
        for each in members:
            print_kind(each, leave_out=shared)


def kind_as_json(kind: type[Fault]) -> dict[str, Any]:
    """A kind for --json."""
    from dataclasses import asdict

    from airbed.faults.parameters import parameters
    from airbed.faults.registry import example

    return {
        "kind": kind.kind,
        "level": kind.level,
        "summary": kind.summary,
        "momentary": kind.momentary,
        "parameters": [{**asdict(each), "option": each.option} for each in parameters(kind)],
        "example": kind.example,
        "command": example(kind),
    }


def print_kind(kind: type[Fault], leave_out: Sequence[Parameter] = ()) -> None:
    """A kind, its parameters but for some, and its example."""
    from rich.markup import escape

    from airbed.faults.parameters import parameters
    from airbed.faults.registry import example

    output.print(f"  [bold]{kind.kind}[/bold]  {escape(kind.summary)}", soft_wrap=True)
    _print_parameters([each for each in parameters(kind) if each not in leave_out])
    output.print(f"      [dim]{escape(example(kind))}[/dim]", soft_wrap=True)


def _print_parameters(shown: Sequence[Parameter]) -> None:
    from rich.markup import escape
    from rich.table import Table

    if not shown:
        return
    table = Table(box=None, pad_edge=False, show_header=False, padding=(0, 2, 0, 0))
    for _ in range(5):
        table.add_column(overflow="fold")
    for each in shown:
        table.add_row("     ", escape(each.option), escape(each.type), _default(each), escape(each.description))
    output.print(table)


def _default(parameter: Parameter) -> str:
    from rich.markup import escape

    if parameter.required:
        return "required"
    if parameter.default in (None, "", (), [], {}):
        return ""
    shown = str(parameter.default).lower() if isinstance(parameter.default, bool) else str(parameter.default)
    return escape(f"default {shown}")
