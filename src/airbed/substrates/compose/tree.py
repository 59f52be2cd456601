"""Run inside a container: `python -m airbed.substrates.compose.tree VERB ...` acts on a task's process tree there.

Verbs: `list`, `start-of PID TITLE`, `kill PID START`, `freeze PID START`, `thaw PID START`. Prints JSON. Process ids
are those of the container, which are the ones that Airflow knows.
"""

from __future__ import annotations

import json
import os
import sys

from airbed.errors import AirbedError
from airbed.substrates.embedded import processes, trees


def main(words: list[str]) -> int:
    """Do what is asked and print the result."""
    verb, *rest = words
    mark = os.environ[processes.MARK]
    try:
        result: object
        if verb == "list":
            result = {pid: trees.command_line(pid) for pid in processes.processes()}
        elif verb == "start-of":
            result = trees.start_of(mark, int(rest[0]), rest[1])
        else:
            pid, start = int(rest[0]), int(rest[1])
            act = {"kill": trees.kill, "freeze": _freeze, "thaw": _thaw}[verb]
            result = act(mark, pid, start)
    except AirbedError as error:
        print(error, file=sys.stderr)  # noqa: T201
        return error.exit_code
    print(json.dumps(result))  # noqa: T201
    return 0


def _freeze(mark: str, pid: int, start: int) -> int:
    return len(trees.freeze(mark, pid, start))


def _thaw(mark: str, pid: int, start: int) -> int:
    return len(trees.thaw(mark, pid, start))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
