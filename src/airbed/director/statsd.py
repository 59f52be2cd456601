"""A StatsD sink whose numbers can be read: counters, gauges, timers and sets.

The line format is `name:value|type[|@rate][|#tags]`, one or more lines in a packet, as the `statsd` package and Airflow
3.3.2 send it.
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from dataclasses import dataclass, field
from typing import Any

_TYPES = {"c": "counter", "g": "gauge", "ms": "timer", "h": "timer", "d": "timer", "s": "set"}
_SAMPLES = 2_000
_MAX_SET = 10_000


@dataclass
class Metric:
    """What one name received. Timers are in milliseconds and keep their last 2000 samples for the percentiles."""

    type: str
    count: float = 0
    sum: float = 0
    last: float = 0
    min: float = float("inf")
    max: float = float("-inf")
    samples: deque[float] = field(default_factory=lambda: deque(maxlen=_SAMPLES))
    members: set[str] = field(default_factory=set)

    def receive(self, text: str, rate: float) -> None:
        """Take one value; a counter or timer sent with a sample rate stands for 1/rate of them."""
        if self.type == "set":
            if len(self.members) < _MAX_SET:
                self.members.add(text)
            self.count += 1
            self.last = self.sum = len(self.members)
            return
        value = float(text)
        if self.type == "gauge":
            value += self.last if text[0] in "+-" else 0
            self.count += 1
            self.sum = value
        elif self.type == "counter":
            value /= rate
            self.count += 1 / rate
            self.sum += value
        else:
            self.count += 1 / rate
            self.sum += value / rate
            self.samples.append(value)
        self.last = value
        self.min, self.max = min(self.min, value), max(self.max, value)

    def read(self) -> dict[str, Any]:
        """A JSON object: type, count (events), sum, last; a gauge's sum is its last, a set's the distinct values."""
        shown: dict[str, Any] = {"type": self.type, "count": round(self.count, 3), "sum": self.sum, "last": self.last}
        if self.type != "set":
            shown |= {"min": self.min, "max": self.max}
        if self.samples:
            ordered = sorted(self.samples)
            shown["mean"] = self.sum / self.count
            shown |= {f"p{p}": ordered[min(len(ordered) - 1, len(ordered) * p // 100)] for p in (50, 90, 99)}
        return shown


class Metrics:
    """All metrics by name. `invalid` counts lines that are not StatsD, `dropped` those beyond the limit of names."""

    def __init__(self, max_names: int = 20_000) -> None:
        self._metrics: dict[str, Metric] = {}
        self._max_names = max_names
        self.packets = self.invalid = self.dropped = 0

    def receive(self, packet: bytes) -> None:
        """Take one UDP packet; a bad line is counted and skipped."""
        self.packets += 1
        for line in packet.decode("utf-8", "replace").splitlines():
            if line.strip():
                try:
                    self._receive_line(line.strip())
                except (ValueError, IndexError, ZeroDivisionError):
                    self.invalid += 1

    def read(self, prefix: str = "") -> dict[str, dict[str, Any]]:
        """The metrics whose name starts with `prefix`, sorted by name."""
        return {name: self._metrics[name].read() for name in sorted(self._metrics) if name.startswith(prefix)}

    def reset(self) -> None:
        """Forget every metric."""
        self._metrics.clear()
        self.packets = self.invalid = self.dropped = 0

    def _receive_line(self, line: str) -> None:
        name, _, rest = line.partition(":")
        value, kind, *more = rest.split("|")
        if not name or not value or kind not in _TYPES:
            raise ValueError(line)
        rate = next((float(part[1:]) for part in more if part.startswith("@")), 1.0)
        if not 0 < rate <= 1:
            raise ValueError(line)
        if _TYPES[kind] != "set" and not math.isfinite(float(value)):
            raise ValueError(line)
        metric = self._metrics.get(name)
        if metric is None:
            if len(self._metrics) >= self._max_names:
                self.dropped += 1
                return
            metric = self._metrics[name] = Metric(_TYPES[kind])
        metric.receive(value, rate)


class StatsdProtocol(asyncio.DatagramProtocol):
    """The UDP side of `Metrics`."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def datagram_received(self, data: bytes, addr: object) -> None:
        """Take one packet, from anyone on this machine."""
        del addr
        self._metrics.receive(data)
