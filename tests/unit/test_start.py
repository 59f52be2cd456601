"""How Airflow's components start: in turns, and not before their database."""

from __future__ import annotations

import contextlib
import fcntl
import importlib.util
import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest

CONFIG = Path(__file__).parents[2] / "infra/airflow/config"
SPEC = importlib.util.spec_from_file_location("airbed_start_under_test", CONFIG / "airbed_start.py")
assert SPEC is not None and SPEC.loader is not None
airbed_start = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(airbed_start)
OTHERS = ["scheduler", "dag-processor", "triggerer"]


def can_start(component: str, home: Path, processors: int) -> bool:
    """Whether a component's turn comes at once."""
    came = threading.Event()

    def start() -> None:
        with airbed_start.turn(component, home, processors):
            came.set()

    threading.Thread(target=start, daemon=True).start()
    return came.wait(0.3)


@pytest.mark.parametrize("processors", [1, 2, 3])
def test_as_many_at_once_as_processors_and_the_api_server_always(tmp_path: Path, processors: int) -> None:
    with contextlib.ExitStack() as stack:
        for component in OTHERS[:processors]:
            stack.enter_context(airbed_start.turn(component, tmp_path, processors, seconds=5))
        last = OTHERS[processors:] or ["scheduler"]
        assert not any(can_start(each, tmp_path, processors) for each in last)
        assert can_start("api-server", tmp_path, processors)
    assert all(can_start(each, tmp_path, processors) for each in OTHERS)


def test_the_api_server_takes_a_place(tmp_path: Path) -> None:
    with airbed_start.turn("api-server", tmp_path, 2), airbed_start.turn("scheduler", tmp_path, 2):
        assert not can_start("triggerer", tmp_path, 2)
    assert can_start("triggerer", tmp_path, 2)


def test_a_turn_ends_with_its_process(tmp_path: Path) -> None:
    code = "import airbed_start, os, pathlib, sys\nwith airbed_start.turn('scheduler', pathlib.Path(sys.argv[1]), 2):"
    assert (
        subprocess.run([sys.executable, "-c", f"{code} os._exit(9)", tmp_path], cwd=CONFIG, check=False).returncode == 9
    )
    assert can_start("triggerer", tmp_path, 2)


def test_without_a_folder_nobody_waits(tmp_path: Path) -> None:
    with airbed_start.turn("scheduler", tmp_path / "none", 1):
        assert can_start("triggerer", tmp_path / "none", 1)
    (tmp_path / "start-0.lock").touch()
    with (tmp_path / "start-0.lock").open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert not can_start("triggerer", tmp_path, 1)


def test_a_turn_that_does_not_end_is_not_waited_for_for_ever(tmp_path: Path) -> None:
    with airbed_start.turn("scheduler", tmp_path, 1), airbed_start.turn("triggerer", tmp_path, 1, seconds=0.2):
        pass


def test_without_the_levers_nothing_is_done_early(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRBED_EARLY_IMPORTS", "none")
    monkeypatch.setenv("AIRBED_EXECUTION_API", "all")
    monkeypatch.setenv("AIRBED_LATE_ROUTES", "none")
    imported: list[str] = []
    monkeypatch.setattr(airbed_start, "importlib", SimpleNamespace(import_module=imported.append))
    for component in airbed_start.IMPORTS:
        airbed_start.prepare(component)
    assert imported == []
    with airbed_start.turn("scheduler", tmp_path, 1):
        assert can_start("triggerer", tmp_path, 1)
    monkeypatch.delenv("AIRBED_EXECUTION_API")
    airbed_start.prepare("api-server")
    assert imported == [airbed_start.VERSIONS]


def test_the_database_is_waited_for_and_not_for_ever() -> None:
    answers = iter([False, OSError("refused"), True])

    def ask() -> bool:
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    assert airbed_start.ask_until(10, ask)
    assert next(answers, None) is None
    assert not airbed_start.ask_until(0.1, lambda: False)


def test_what_cannot_be_imported_is_left_to_airflow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(airbed_start.IMPORTS, "triggerer", "no_such_module_of_airflow json")
    airbed_start.prepare("triggerer")
    airbed_start.prepare("nothing")
