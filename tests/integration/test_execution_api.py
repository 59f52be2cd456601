"""The execution API of a bed, which leaves out its old versions: what is left is what Airflow makes. Needs no bed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

CONFIG = Path(__file__).parents[2] / "infra/airflow/config"

NEWEST = """
import json, sys
sys.argv = ["airflow", "api-server"]
import airflow.__main__, airbed_start, contextlib
with airbed_start.few_versions() if {few} else contextlib.nullcontext():
    from airflow.api_fastapi.execution_api.versions import bundle
from airflow.api_fastapi.execution_api.app import create_task_execution_api_app
from starlette.testclient import TestClient
app = create_task_execution_api_app()
newest = str(bundle.versions[0].value)
answer = TestClient(app).get("/openapi.json", params={{"version": newest}})
print(json.dumps([len(bundle.versions), newest, answer.status_code, answer.json()]))
"""


def _execution_api(few: bool, home: Path) -> list[Any]:
    home.mkdir()
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", NEWEST.format(few=few)],
        env={"AIRFLOW_HOME": str(home), "PYTHONPATH": str(CONFIG), "PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    found: list[Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def test_the_newest_execution_api_is_the_same_without_the_old_versions(tmp_path: Path) -> None:
    """Every path, parameter and schema of the version that a bed's workers ask for."""
    whole, few = _execution_api(False, tmp_path / "whole"), _execution_api(True, tmp_path / "few")
    assert (whole[0], few[0]) == (9, 3)
    assert few[1] == whole[1]
    assert few[2] == whole[2] == 200
    assert few[3] == whole[3]
    assert len(few[3]["paths"]) > 20
