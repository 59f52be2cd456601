"""Plots as SVG, without a library: a few shapes in a picture with a fixed size."""

from __future__ import annotations

import math
from collections.abc import Sequence
from xml.sax.saxutils import escape, quoteattr

COLOURS = ("#1f6fb4", "#d1661a", "#3a8f4d", "#8a5aa8")
GREY = "#888888"


class Drawing:
    """A white picture of `width` x `height` points; (0, 0) is the upper left corner."""

    def __init__(self, width: int, height: int, title: str) -> None:
        self._head = (
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
            f'viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="12">'
        )
        self._parts = [f"<title>{escape(title)}</title>"]
        self.bar(0, 0, width, height, "#ffffff")
        self.text(width / 2, 20, title, anchor="middle", size=14)

    def line(self, x1: float, y1: float, x2: float, y2: float, colour: str = GREY, *, dashed: bool = False) -> None:
        """A straight line."""
        style = {"stroke": colour, **({"stroke-dasharray": "4 4"} if dashed else {})}
        self._add("line", {"x1": x1, "y1": y1, "x2": x2, "y2": y2, **style})

    def bar(self, x: float, y: float, width: float, height: float, colour: str) -> None:
        """A filled rectangle."""
        self._add("rect", {"x": x, "y": y, "width": max(width, 0), "height": height, "fill": colour})

    def dot(self, x: float, y: float, colour: str) -> None:
        """A small filled circle."""
        self._add("circle", {"cx": x, "cy": y, "r": 4, "fill": colour})

    def text(
        self, x: float, y: float, text: str, *, anchor: str = "start", colour: str = "#222222", size: int = 12
    ) -> None:
        """A line of text that starts, ends, or has its middle at a place."""
        self._add("text", {"x": x, "y": y, "text-anchor": anchor, "fill": colour, "font-size": size}, text)

    def _add(self, tag: str, attributes: dict[str, object], text: str = "") -> None:
        said = " ".join(
            f"{key}={quoteattr(f'{value:.1f}' if isinstance(value, float) else str(value))}"
            for key, value in attributes.items()
        )
        self._parts.append(f"<{tag} {said}>{escape(text)}</{tag}>" if text else f"<{tag} {said}/>")

    def __str__(self) -> str:
        return "\n".join([self._head, *self._parts, "</svg>"]) + "\n"


def ticks(highest: float, about: int = 5) -> list[float]:
    """Round numbers from 0 to at least `highest`, about so many steps of 1, 2 or 5 times a power of ten."""
    if highest <= 0:
        return [0.0, 1.0]
    power = 10 ** math.floor(math.log10(highest / about))
    step = next(each * power for each in (1, 2, 5, 10) if each * power * about >= highest * 0.999)
    return [round(number * step, 10) for number in range(math.ceil(highest / step - 1e-9) + 1)]


def scale(marks: Sequence[float], start: float, end: float) -> tuple[float, float]:
    """Factor and offset that put the first of `marks` at `start` and the last at `end`."""
    factor = (end - start) / (marks[-1] - marks[0])
    return factor, start - marks[0] * factor
