"""One bed as a Compose project: the files that make docker-compose.yaml this bed, and what Compose is told to do.

`compose.env` has what the compose file asks for: ports, passwords, images. `compose.override.yaml` has what only airbed
knows: the bed's network, labels, the folders that are the same on both sides, and Airflow's settings as the embedded
substrate has them.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from airbed import levers, userdags
from airbed.endpoints import Address, Endpoints
from airbed.errors import UsageError
from airbed.settings import Resources, Settings
from airbed.spec import BedFiles, BedSpec, write_private
from airbed.substrates.compose import layout
from airbed.substrates.compose.engine import Engine
from airbed.substrates.embedded import airflow
from airbed.topology import AIRFLOW_SERVICES, CORE_SERVICES, DATABASE_SERVICES

FOLDER_LABEL = "airbed.folder"
# Services of the compose file that run once.
JOBS = ("migrate", "s3-init")
VOLUMES = (*DATABASE_SERVICES, "s3", "airflow")
# How a process listens inside its container, and where airbed's own files lie there, is said by the compose file.
_OF_THE_FILE = (
    "API__HOST",
    "API__PORT",
    "CORE__PLUGINS_FOLDER",
    "SCHEDULER__SCHEDULER_HEALTH_CHECK_SERVER_HOST",
    "SCHEDULER__SCHEDULER_HEALTH_CHECK_SERVER_PORT",
    "TRIGGERER__TRIGGERER_HEALTH_CHECK_SERVER_PORT",
    "LOGGING__WORKER_LOG_SERVER_PORT",
    "LOGGING__TRIGGER_LOG_SERVER_PORT",
)
_PYTHON_PATH = ("/opt/airbed/infra/airflow/config", "/opt/airbed/src")


class Project:
    """The Compose project of one bed; every method raises Unavailable with one line when the engine refuses."""

    def __init__(
        self, engine: Engine, settings: Settings, files: BedFiles, spec: BedSpec, endpoints: Endpoints
    ) -> None:
        self._engine = engine
        self._settings = settings
        self._files = files
        self._spec = spec
        self._endpoints = endpoints

    def write(self, *, warm: bool = True) -> None:
        """Write both files (0600: they hold secrets). `warm` as in `substrate.with_airflow_settings`."""
        airflow.prepare(self._files, self._endpoints)
        variables = self._variables()
        text = "".join(f"{name}={_quote(value)}\n" for name, value in variables.items())
        write_private(env_file(self._files), text)
        # JSON is YAML. A dollar would be taken for a variable.
        override = json.dumps(self._override(warm=warm), indent=1).replace("$", "$$")
        write_private(override_file(self._files), override)

    def up(self, timeout: float) -> None:
        """Create what is missing, start what does not run; returns when all are started, in the file's order."""
        self._run("up", "--detach", "--no-build", "--pull", "missing", "--quiet-pull", timeout=timeout)

    def recreate(self, services: Sequence[str]) -> None:
        """Make containers anew with what the files say now, and nothing besides."""
        words = ["up", "--detach", "--no-build", "--pull", "missing", "--no-deps", "--force-recreate", "--timeout", "3"]
        self._run(*words, *services, timeout=120)

    def stop(self) -> int:
        """Stop all containers in order, those of databases last; returns how many ran."""
        running = self._running()
        self._run("unpause", timeout=60, check=False)
        self._run("stop", timeout=120)
        return len(running)

    def kill(self) -> int:
        """End all containers at once; returns how many ran."""
        running = self._running()
        if running:
            self._run("unpause", timeout=60, check=False)
            self._engine.attempt("kill", *running)
        return len(running)

    def _running(self) -> list[str]:
        label = f"label=com.docker.compose.project={layout.project(self._spec.name)}"
        return self._engine.run("container", "ls", "--quiet", "--filter", label).split()

    def _run(self, *words: str, timeout: float, check: bool = True) -> subprocess.CompletedProcess[str]:
        done = self._engine.attempt(*self.arguments(), *words, timeout=timeout)
        if done.returncode and check:
            raise self._engine.error(("compose", *words), done.stderr or done.stdout)
        return done

    def arguments(self) -> list[str]:
        """The options that lead `docker compose` to this bed."""
        file = compose_file(self._settings.resources)
        return [
            *("compose", "--project-name", layout.project(self._spec.name), "--env-file", str(env_file(self._files))),
            *("--file", str(file), "--file", str(override_file(self._files)), "--progress", "plain"),
        ]

    def _variables(self) -> dict[str, str]:
        secret, spec, endpoints = self._files.read_secrets(), self._spec, self._endpoints
        found = {
            "BED_NAME": spec.name,
            "AIRBED_MARK": spec.mark,
            "AIRBED_HOME": str(self._files.airflow),
            "AIRBED_SOURCE": str(_package()),
            "AIRBED_DAGS": str(self._settings.resources.dags),
            "AIRFLOW_UID": str(os.geteuid()),
            "TOXIPROXY_CONFIG": str(self._files.toxiproxy),
            "TIME_FACTOR": f"{spec.time_scale:g}",
            "PARALLELISM": str(spec.parallelism),
            "POSTGRES_FSYNC": "on" if levers.NO_FSYNC in spec.levers_off else "off",
            "S3": spec.s3,
            "S3_ACCESS_KEY": endpoints.s3.access_key,
            "S3_SECRET_KEY": endpoints.s3.secret_key,
            "DIRECTOR_TOKEN": endpoints.director.token,
            "AIRFLOW_ADMIN_PASSWORD": endpoints.airflow.password,
            "FERNET_KEY": secret["fernet"],
            "JWT_SECRET": secret["jwt"],
            "EMAIL_HASH_KEY": secret["email_hash_key"],
            **images(self._settings),
        }
        for purpose in layout.PORTS:
            found[f"{_upper(purpose)}_PORT"] = str(spec.ports[purpose])
        for service, database in endpoints.databases.items():
            found[f"{_upper(service)}_PASSWORD"] = database.password
            found[f"{_upper(service)}_ADMIN_PASSWORD"] = database.admin_password
        return found

    def _override(self, *, warm: bool) -> dict[str, Any]:
        labels = {FOLDER_LABEL: str(self._files.folder)}
        # No folder: what looks for beds by their processes shall leave containers to the engine.
        marks = {"SPT_NOENV": "1", "AIRBED_FOLDER": ""}
        services: dict[str, dict[str, Any]] = {each: {"labels": labels} for each in (*CORE_SERVICES, *JOBS)}
        services["toxiproxy"] |= {
            "user": f"{os.geteuid()}:0",
            "command": ["-host=0.0.0.0", "-config=/etc/toxiproxy/start.json"],
            "networks": {"default": {"ipv4_address": layout.toxiproxy_address(self._spec)}},
        }
        environment = {**marks, **self.airflow_environment()}
        folders = self._folders()
        for each in AIRFLOW_SERVICES:
            services[each] |= {"environment": environment, "volumes": folders}
        if not warm:
            # Its health check leaves the execution API cold then.
            services["api-server"]["environment"] = {**environment, "AIRBED_EXECUTION_API": "all"}
        network = {"labels": labels, "ipam": {"config": [layout.addresses(self._spec)]}}
        volumes = {each: {"labels": labels} for each in VOLUMES}
        return {"services": services, "networks": {"default": network}, "volumes": volumes}

    def airflow_environment(self) -> dict[str, str]:
        """Airflow's environment as on the embedded substrate, but for what the compose file knows better."""
        from airbed.substrates.compose import imagebase
        from airbed.substrates.embedded import overlay

        statsd = replace(self._endpoints.director, statsd=Address(host="director", port=layout.STATSD))
        inside = replace(self._endpoints, director=statsd)
        spec = replace(self._spec, ports=dict.fromkeys(airflow.PORTS, 0))
        resources = self._settings.resources
        found = airflow.settings(self._files, spec, inside, self._files.read_secrets(), resources)
        own = Path(found["AIRFLOW__CORE__PLUGINS_FOLDER"])
        for name in _OF_THE_FILE:
            found.pop(f"AIRFLOW__{name}")
        plugins = overlay.plugins_folder(self._files, self._spec, own)
        if plugins != own:
            found["AIRFLOW__CORE__PLUGINS_FOLDER"] = str(plugins)
        base = imagebase.base_of(self._engine, self._settings)
        project = overlay.python_path(self._settings, self._spec, lambda line: None, base)
        found["PYTHONPATH"] = os.pathsep.join([*_PYTHON_PATH, *project])
        # Of what the bed sets, the user's files have only what they were allowed to have instead.
        return {**found, **userdags.of_bed(self._spec).environment}

    def _folders(self) -> list[str]:
        """What Airflow's containers see of this machine besides AIRFLOW_HOME, at the same paths, and may not change."""
        spec, resources = self._spec, self._settings.resources
        folders = [str(resources.dags), *spec.dags]
        if spec.project:
            # The bed's own plugin and the overlay of the requirements are reached by links and by the PYTHONPATH.
            overlays = self._settings.cache / "overlays"
            folders += [spec.project, str(resources.infra / "airflow"), *([str(overlays)] if overlays.is_dir() else [])]
        return [f"{each}:{each}:ro" for each in dict.fromkeys(folders)]


def env_file(files: BedFiles) -> Path:
    """Where the variables of the compose file stand."""
    return files.folder / "compose.env"


def override_file(files: BedFiles) -> Path:
    """Where the override stands."""
    return files.folder / "compose.override.yaml"


def compose_file(resources: Resources) -> Path:
    """docker-compose.yaml: beside `infra/`."""
    path = resources.infra.parent / "docker-compose.yaml"
    if not path.is_file():
        raise UsageError(f"{path} is missing; the compose substrate needs it: reinstall airbed, or use a checkout")
    return path


def decided(settings: Settings) -> dict[str, str]:
    """What `make images` decided for: names of images, the program `kind`. The caller's environment is stronger."""
    found: dict[str, str] = {}
    file = settings.cache / "images" / "images.env"
    if file.is_file():
        for line in file.read_text().splitlines():
            name, equals, value = line.partition("=")
            if equals and not line.lstrip().startswith("#"):
                found[name.strip()] = value.strip().strip("'\"")
    return found | {name: value for name, value in os.environ.items() if value and name.endswith("_IMAGE")}


def images(settings: Settings) -> dict[str, str]:
    """The names of images in that; empty where the compose file's own are meant."""
    return {name: value for name, value in decided(settings).items() if name.endswith("_IMAGE")}


def image(settings: Settings, variable: str, file: Path) -> str:
    """The image that a file of Compose means by a variable: as decided, else the file's own."""
    own: str
    (own,) = set(re.findall(rf"\$\{{{variable}:-([^}}]+)\}}", file.read_text()))
    return images(settings).get(variable, own)


def read_environment(files: BedFiles) -> Mapping[str, str]:
    """The variables of a bed's env file, as they were written."""
    found = {}
    for line in env_file(files).read_text().splitlines():
        name, _, value = line.partition("=")
        found[name] = value[1:-1].replace("\\'", "'")
    return found


def _package() -> Path:
    return Path(__file__).resolve().parent.parent.parent


def _quote(value: str) -> str:
    """For Compose's reader of env files: nothing is substituted between single quotes."""
    return "'" + value.replace("'", "\\'") + "'"


def _upper(name: str) -> str:
    return name.upper().replace("-", "_")
