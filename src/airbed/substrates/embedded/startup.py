"""Start many services at once: each as soon as what it needs is ready, and say who was ready when."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence

from airbed.errors import AirbedError, Unavailable
from airbed.substrates.embedded.keeper import Keeper, tail
from airbed.substrates.embedded.program import Program

Progress = Callable[[str], None]


def start_all(keeper: Keeper, programs: Sequence[Program], progress: Progress, timeout: float) -> dict[str, float]:
    """Start the programs and wait until all are ready.

    Returns the seconds after which each was ready. Raises Unavailable with the end of its log for the first that is
    not ready after `timeout` seconds, or that keeps ending.
    """
    start = time.monotonic()
    ready = {program.name: threading.Event() for program in programs}
    seconds: dict[str, float] = {}
    problems: list[AirbedError] = []

    def run(program: Program) -> None:
        try:
            for name in program.after:
                while name in ready and not ready[name].wait(0.2):
                    if problems:
                        return
            program.prepare()
            keeper.start(program.name)
            wait_ready(keeper, program, start + timeout, lambda: bool(problems))
            program.on_ready()
        except AirbedError as error:
            problems.append(error)
            return
        except Exception as error:
            problems.append(Unavailable(f"{program.name}: {type(error).__name__}: {error}"))
            return
        seconds[program.name] = time.monotonic() - start
        progress(f"{program.name} ready after {seconds[program.name]:.1f} s")
        ready[program.name].set()

    threads = [threading.Thread(target=run, args=(program,), daemon=True) for program in programs]
    for thread in threads:
        thread.start()
    for thread in threads:
        while thread.is_alive():
            # A join without limit would keep Ctrl-C waiting.
            thread.join(0.2)
    if problems:
        raise problems[0]
    return seconds


def wait_ready(keeper: Keeper, program: Program, deadline: float, given_up: Callable[[], bool] = lambda: False) -> None:
    """Ask a program whether it is ready until it says yes; `deadline` is a time of the monotonic clock."""
    last = "it gave no answer"
    before = keeper.crashes().get(program.name, 0)
    look_again = 0.0
    while True:
        try:
            if program.ready():
                return
        except Exception as error:
            last = f"{type(error).__name__}: {error}".splitlines()[0]
        if given_up():
            raise Unavailable(f"{program.name} was not waited for: another part failed")
        log = keeper.log_file(program.name)
        now = time.monotonic()
        if now > deadline:
            raise Unavailable(f"{program.name} was not ready in time ({last}); {tail(log)}")
        if now > look_again:
            look_again = now + 0.5
            if keeper.crashes().get(program.name, 0) - before >= 3:
                raise Unavailable(f"{program.name} keeps ending; {tail(log)}")
        time.sleep(program.poll)
