"""The two plots: instances against seconds, and the timeline of a start."""

from __future__ import annotations

from collections.abc import Sequence

from airbed.bench.figures import Figures, line_through
from airbed.bench.svg import COLOURS, GREY, Drawing, scale, ticks
from airbed.bench.timeline import Moment, critical_path

WIDTH, HEIGHT = 760, 460
LEFT, RIGHT, TOP, BOTTOM = 70, 30, 50, 60
ROW = 24
WAITED, PREPARED, STARTING = "#e3e3e3", "#f2c879", COLOURS[0]


def fanout_plot(figures: Figures) -> str | None:
    """Seconds of a run over its no-ops, a line for each subject with its slope; None when nothing was measured."""
    points: dict[str, list[tuple[float, float]]] = {}
    for each in figures:
        if each.part == "fanout" and each.size is not None and each.unit == "s":
            points.setdefault(each.subject, []).append((each.size, each.median))
    if not points:
        return None
    across = ticks(max(x for each in points.values() for x, _ in each))
    upwards = ticks(max(y for each in points.values() for _, y in each))
    drawing = Drawing(WIDTH, HEIGHT, "Mapped no-ops, from the trigger to the end of the run (median)")
    x_factor, x_zero = scale(across, LEFT, WIDTH - RIGHT)
    y_factor, y_zero = scale(upwards, HEIGHT - BOTTOM, TOP)
    for mark in across:
        x = x_zero + mark * x_factor
        drawing.line(x, TOP, x, HEIGHT - BOTTOM, "#eeeeee")
        drawing.text(x, HEIGHT - BOTTOM + 18, f"{mark:g}", anchor="middle")
    for mark in upwards:
        y = y_zero + mark * y_factor
        drawing.line(LEFT, y, WIDTH - RIGHT, y, "#eeeeee")
        drawing.text(LEFT - 8, y + 4, f"{mark:g}", anchor="end")
    drawing.text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 16, "instances", anchor="middle")
    drawing.text(LEFT - 8, TOP - 12, "seconds", anchor="end")
    for number, (subject, found) in enumerate(points.items()):
        colour = COLOURS[number % len(COLOURS)]
        said = subject
        if line := line_through(found):
            slope, start = line
            first, last = min(found)[0], max(found)[0]
            ends = [(x_zero + x * x_factor, y_zero + (start + slope * x) * y_factor) for x in (first, last)]
            drawing.line(*ends[0], *ends[1], colour, dashed=True)
            rate = f", {1 / slope:.1f} a second" if slope > 0 else ""
            said = f"{subject}: {slope * 1000:.0f} ms for each more{rate}"
        for x, y in found:
            drawing.dot(x_zero + x * x_factor, y_zero + y * y_factor, colour)
        drawing.dot(LEFT + 18, TOP + 12 + number * 18, colour)
        drawing.text(LEFT + 30, TOP + 16 + number * 18, said)
    return str(drawing)


def up_plot(moments: Sequence[Moment]) -> str | None:
    """A row for each service: what it waited for, how long its data and its start took; None for nothing."""
    if not moments:
        return None
    left = 170
    across = ticks(max(each.ready for each in moments))
    bottom = TOP + 20 + ROW * len(moments)
    drawing = Drawing(WIDTH, bottom + 50, "From nothing to ready, by service")
    factor, zero = scale(across, left, WIDTH - 150)
    for place, (colour, said) in enumerate(
        ((WAITED, "waits for another"), (PREPARED, "its data are made"), (STARTING, "starts"))
    ):
        drawing.bar(left + place * 150, TOP - 14, 12, 12, colour)
        drawing.text(left + 18 + place * 150, TOP - 4, said)
    for mark in across:
        x = zero + mark * factor
        drawing.line(x, TOP + 10, x, bottom, "#eeeeee")
        drawing.text(x, bottom + 18, f"{mark:g}", anchor="middle")
    drawing.text(zero, bottom + 38, "seconds; in bold colour what the whole start waited for", colour=GREY)
    slowest = critical_path(moments)
    for number, each in enumerate(moments):
        y = TOP + 16 + number * ROW
        on_path = each.service in slowest
        drawing.text(left - 8, y + 12, each.service, anchor="end", colour="#000000" if on_path else GREY)
        for start, end, colour in (
            (0.0, each.free, WAITED),
            (each.free, each.started, PREPARED),
            (each.started, each.ready, STARTING if on_path else "#9dbfdc"),
        ):
            drawing.bar(zero + start * factor, y, (end - start) * factor, ROW - 8, colour)
        after = f" after {each.waited_for}" if each.waited_for else ""
        drawing.text(zero + each.ready * factor + 5, y + 12, f"{each.ready:.1f} s{after}", colour=GREY, size=11)
    return str(drawing)
