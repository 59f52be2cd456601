"""The results as rows of text."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from airbed.bench.compare import Change
from airbed.bench.figures import OURS, Figure, Figures, written

# On two idle cores, by part and the beginning of the figure's name.
GOALS = {
    ("up", "nothing to healthy"): "6 s",
    ("up", "down, proven empty"): "2 s",
    ("memory", "idle, before the first run"): "1000 MB",
    ("memory", "cores in use when idle"): "0.1",
    ("cli", "airbed status"): "0.3 s",
    ("fanout", "10 no-ops, first run, to done"): "2.5 s",
    ("fanout", "10 no-ops, to done"): "2.5 s",
    ("fanout", "100 no-ops, rate"): "15 /s",
    ("fanout", "500 no-ops, rate"): "15 /s",
    ("fanout", "1000 no-ops, rate"): "15 /s, within a tenth of 100",
    ("fanout", "100 no-ops, CPU of each"): "130 ms",
    ("fanout", "500 no-ops, CPU of each"): "130 ms",
    ("fanout", "1000 no-ops, CPU of each"): "130 ms",
    ("xcom", "4 x 50 MB, to done"): "45 s",
    ("xcom", "a task, peak memory (PSS)"): "800 MB",
    ("shards", "one process, rows"): "0.8 of plain COPY, 20 of pandas",
    ("s3-proxy", "200 MB read"): "200 MB/s",
    ("s3-proxy", "a small request"): "direct + 3 ms",
    ("task-rule", "a task's question to the director"): "3 ms",
    ("kubernetes", "nothing to healthy"): "8 s",
    ("kubernetes", "idle, before the first run"): "1800 MB",
}


@dataclass(frozen=True)
class Row:
    """One line: `what` is indented below its part; the other cells may be empty."""

    what: str
    measured: str = ""
    spread: str = ""
    ratio: str = ""
    goal: str = ""


def rows(figures: Figures) -> list[Row]:
    """A line for each part, below it one for each figure, below that one for each peer and for the shares."""
    ratios = {(each.part, each.name, each.peer): each.ratio for each in figures.ratios()}
    found: list[Row] = []
    part = ""
    for each in _in_order(figures):
        if each.part != part:
            part = each.part
            found.append(Row(part))
        if each.subject == OURS:
            goal = GOALS.get((part, each.name), "")
            found.append(Row(f"  {each.name}", written(each.median, each.unit), spread(each), "", goal))
            if shares := _shares(each, figures):
                found.append(Row(f"    {shares}"))
        else:
            ratio = ratios.get((part, each.name, each.subject))
            # A peer alone: ours did not get that far, or was not asked for.
            what = f"    {each.subject}" if figures.find(part, each.name) else f"  {each.name}: {each.subject}"
            said = f"{ratio:.2f}" if ratio is not None else ""
            found.append(Row(what, written(each.median, each.unit), spread(each), said))
    return found


def spread(figure: Figure) -> str:
    """`15.9 - 17.0`, empty for a single value."""
    if len(figure.values) < 2:
        return ""
    return f"{written(figure.low, '')} - {written(figure.high, '')}"


def change_rows(found: list[Change]) -> list[tuple[str, str, str, str]]:
    """What, then, now, now divided by then; shares of services left out."""
    return [
        (
            f"{each.part}: {each.name}{'' if each.subject == OURS else f' ({each.subject})'}",
            written(each.then, each.unit),
            written(each.now, each.unit),
            f"{each.ratio:.2f}" if each.ratio is not None else "",
        )
        for each in found
        if not each.detail
    ]


def _in_order(figures: Figures) -> Iterator[Figure]:
    """By part and name as they were first measured, whoever was measured; ours before the peers'; no shares."""
    names: dict[str, dict[str, list[Figure]]] = {}
    for each in figures:
        if not each.detail:
            names.setdefault(each.part, {}).setdefault(each.name, []).append(each)
    for by_name in names.values():
        for same in by_name.values():
            yield from sorted(same, key=lambda each: each.subject != OURS)


def _shares(figure: Figure, figures: Figures, most: int = 4) -> str:
    """`task 71, api-server 94, ... ms`: the largest shares of a figure."""
    found = [each for each in figures if (each.part, each.name, each.subject) == (figure.part, figure.name, OURS)]
    parts = sorted((each for each in found if each.detail), key=lambda each: -each.median)
    said = ", ".join(f"{each.detail} {written(each.median, '')}" for each in parts[:most])
    return f"{said}{', ...' if len(parts) > most else ''}"
