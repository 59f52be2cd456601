"""Airflow's structured task log as plain text, and the error line in it.

The API returns a list of events; a traceback is the field `error_detail` of one: a list with the raised exception
first, then its causes, each with `exc_type`, `exc_value` and `frames` (structlog's ExceptionDictTransformer).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

_KNOWN = {"timestamp", "event", "level", "logger", "error_detail", "filename", "lineno", "loc", "chan"} | {
    *("dag_id", "run_id", "task_id", "map_index", "try_number", "ti_id")  # the same in every event of a log
}
_ERROR_LEVELS = {"error", "critical"}
_LONGEST = 300


def plain_text(content: Sequence[Any]) -> str:
    """The log as text: one line an event, tracebacks as Python prints them; `content` as the API returns it."""
    return "\n".join(line for each in content for line in _event_lines(each))


def error_line(content: Sequence[Any]) -> str | None:
    """What the try died of: the signal that ended its process, the last exception, else the last error event.

    One line, such as `ValueError: bad row`; None when the log has nothing of the kind.
    """
    event: str | None = None
    for each in reversed(content):
        if not isinstance(each, dict):
            continue
        if each.get("signal_name") and event is None:
            return f"its process was ended by {each['signal_name']} (out of memory, or killed)"
        if each.get("error_detail"):
            return one_line(_summary(each["error_detail"][0]))
        if event is None and str(each.get("level", "")).lower() in _ERROR_LEVELS:
            code = f" (exit code {each['exit_code']})" if each.get("exit_code") is not None else ""
            event = one_line(f"{each.get('event', '')}{code}")
    return event


def one_line(text: str) -> str:
    """The text on one line of at most 300 characters."""
    joined = " ".join(text.split())
    return joined if len(joined) <= _LONGEST else joined[: _LONGEST - 1] + "…"


def last_line(traceback: str) -> str:
    """The last line of a printed traceback that says something: the exception."""
    lines = [line for line in traceback.splitlines() if line.strip()]
    return one_line(lines[-1]) if lines else "unknown error"


def _event_lines(each: Any) -> Iterator[str]:
    if not isinstance(each, dict):
        yield str(each)
        return
    event = str(each.get("event", ""))
    if event.startswith(("::group::", "::endgroup::")):
        return
    moment = str(each.get("timestamp") or "")[:23].replace("T", " ")
    level = str(each.get("level") or "").upper()
    extras = " ".join(f"{key}={value}" for key, value in each.items() if key not in _KNOWN and value is not None)
    yield " ".join(part for part in (moment, level and f"{level:<7}", event, extras) if part)
    details = each.get("error_detail") or []
    for detail in reversed(details):
        yield "Traceback (most recent call last):"
        for frame in detail.get("frames") or []:
            yield f'  File "{frame.get("filename")}", line {frame.get("lineno")}, in {frame.get("name")}'
        yield _summary(detail)
        for note in detail.get("exc_notes") or []:
            yield str(note)


def _summary(detail: dict[str, Any]) -> str:
    kind, value = str(detail.get("exc_type") or "Exception"), str(detail.get("exc_value") or "")
    return f"{kind}: {value}" if value else kind
