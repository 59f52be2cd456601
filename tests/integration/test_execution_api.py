"""The API server of a bed, which leaves out old versions and builds routes late: what is left is what Airflow makes.

Needs no bed.
"""

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


def _python(code: str, home: Path) -> str:
    """What a new process prints that runs the code. Sets are written in the same order each time."""
    home.mkdir()
    environment = {"AIRFLOW_HOME": str(home), "PYTHONPATH": str(CONFIG), "PYTHONHASHSEED": "0"}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        env={**environment, "PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def _execution_api(few: bool, home: Path) -> list[Any]:
    found: list[Any] = json.loads(_python(NEWEST.format(few=few), home).splitlines()[-1])
    return found


def test_the_newest_execution_api_is_the_same_without_the_old_versions(tmp_path: Path) -> None:
    """Every path, parameter and schema of the version that a bed's workers ask for."""
    whole, few = _execution_api(False, tmp_path / "whole"), _execution_api(True, tmp_path / "few")
    assert (whole[0], few[0]) == (9, 3)
    assert few[1] == whole[1]
    assert few[2] == whole[2] == 200
    assert few[3] == whole[3]
    assert len(few[3]["paths"]) > 20


EVERYTHING = """
import contextlib, json, re, sys
sys.argv = ["airflow", "api-server"]
import airflow.__main__, airbed_routes
if {late}:
    airbed_routes.build_routes_late()
from airflow.api_fastapi.main import app
from fastapi.routing import APIRoute

FIELDS = ("path_params", "query_params", "header_params", "cookie_params", "body_params")

def dependant(of):
    fields = [[repr(each) for each in getattr(of, kind)] for kind in FIELDS]
    own = [repr(getattr(of, name)) for name in ("call", "name", "path", "use_cache", "scope", "oauth_scopes")]
    return [own, fields, [dependant(each) for each in of.dependencies]]

def routes(of):
    found = []
    for route in of.routes:
        if isinstance(route, APIRoute):
            parts = dependant(route.dependant)  # builds it, if that was left for later
            rest = {{name: repr(value) for name, value in sorted(vars(route).items()) if "dependant" not in name}}
            found.append([rest, parts])
    return found

mounted = {{route.path: route.app for route in app.routes if hasattr(route.app, "routes")}}
execution = mounted.pop("/execution")
execution._cadwyn_initialize()
found = {{str(version): routes(each) for version, each in execution.router.versioned_routers.items()}}
for path, each in {{"": app, **mounted}}.items():
    found[path] = [routes(each), each.openapi() if hasattr(each, "openapi") else None]
print(len(app.routes), re.sub("0x[0-9a-f]+", "", json.dumps(found)))
"""


def test_routes_that_are_built_late_are_airflows_own(tmp_path: Path) -> None:
    """All about each route of both APIs, and their OpenAPI documents."""
    at_once, late = (
        _python(EVERYTHING.format(late=late), tmp_path / str(late)).splitlines()[-1] for late in (False, True)
    )
    assert len(at_once) > 1_000_000
    assert late == at_once
