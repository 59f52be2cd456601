"""The part `cli`: short commands against an interpreter that does nothing."""

from __future__ import annotations

import os
import subprocess
import sys
import time

from airbed.bench.figures import Figures

TIMES = 7
BARE = "bare python"


def measure(name: str, figures: Figures) -> None:
    """`status` of the bed of that name, and `--help`: seconds and CPU seconds, each the median of a few.

    They take turns with the interpreter alone, so that what else the machine does hits all alike.
    """
    airbed = [sys.executable, "-m", "airbed"]
    commands = {
        "airbed status": [*airbed, "status", "--name", name],
        "airbed --help": [*airbed, "--help"],
        BARE: [sys.executable, "-c", "pass"],
    }
    for _ in range(TIMES):
        for what, command in commands.items():
            seconds, cpu = timed(command)
            if what == BARE:
                # It is the peer of both.
                for each in list(commands)[:-1]:
                    figures.add("cli", each, seconds, "s", subject=BARE)
                    figures.add("cli", f"{each}, CPU", cpu, "s", subject=BARE)
            else:
                figures.add("cli", what, seconds, "s")
                figures.add("cli", f"{what}, CPU", cpu, "s")


def timed(command: list[str]) -> tuple[float, float]:
    """Seconds and CPU seconds of one command, whatever it ends with."""
    began = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    seconds = time.monotonic() - began
    # It was waited for already.
    process.returncode = os.waitstatus_to_exitcode(status)
    return seconds, used.ru_utime + used.ru_stime
