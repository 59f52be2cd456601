"""The programs of one bed, put together from the topology and the bed's spec."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from airbed import levers
from airbed.clients.postgres import accepts
from airbed.endpoints import Endpoints
from airbed.settings import Settings
from airbed.spec import BedFiles, BedSpec, write_private
from airbed.substrates.embedded import (
    airflow,
    kubernetes_parts,
    object_store,
    overlay,
    postgres,
    templates,
    toxiproxy,
)
from airbed.substrates.embedded.guard import MORE
from airbed.substrates.embedded.processes import FOLDER, MARK, SERVICE
from airbed.substrates.embedded.program import Program
from airbed.substrates.embedded.startup import Progress
from airbed.topology import DATABASES, METADATA, S3_WAY, Database


def common_environment(files: BedFiles, spec: BedSpec) -> dict[str, str]:
    """What every process of a bed has in its environment; nothing of the caller's is in it.

    SPT_NOENV keeps setproctitle from wiping the mark; temporary files go with the bed's folder.
    """
    own = str(Path(sys.executable).parent)
    temporary = files.folder / "tmp"
    temporary.mkdir(exist_ok=True)
    temporary.chmod(0o700)
    return {
        # The last one is for tools that look for a Python that is no virtual environment (`@task.virtualenv`).
        "PATH": os.pathsep.join([own, "/usr/local/bin", "/usr/bin", "/bin", f"{sys.base_prefix}/bin"]),
        "HOME": str(files.home),
        "TMPDIR": str(temporary),
        "LANG": "C.UTF-8",
        "TZ": "UTC",
        "SPT_NOENV": "1",
        "no_proxy": "127.0.0.1,localhost",
        "NO_PROXY": "127.0.0.1,localhost",
        MARK: spec.mark,
        FOLDER: str(files.folder),
    }


def programs(
    settings: Settings,
    files: BedFiles,
    spec: BedSpec,
    endpoints: Endpoints,
    progress: Progress,
    *,
    warm: bool = True,
) -> list[Program]:
    """Every program of the bed in the topology's order, with its data folder made where it is missing.

    `warm`: see `airflow.programs`.
    """
    environment = airflow.settings(files, spec, endpoints, files.read_secrets(), settings.resources)
    airflow.prepare(files, endpoints)
    databases = _databases(settings, files, spec, endpoints, environment, progress)
    with_project = {**environment, **_project(settings, files, spec, environment, progress)}
    store = object_store.program(spec.s3, endpoints.s3, spec.ports, files.s3)
    found = [
        *databases,
        store,
        _director(files, spec, endpoints),
        *_toxiproxy(settings, files, spec, endpoints, progress),
        *airflow.programs(sys.executable, with_project, endpoints, files, warm=warm),
    ]
    if spec.kubernetes:
        found += kubernetes_parts.programs(settings, files, spec, endpoints, progress)
    return found


def _project(
    settings: Settings, files: BedFiles, spec: BedSpec, environment: dict[str, str], progress: Progress
) -> dict[str, str]:
    """What a user's project and files change in the environment of Airflow's processes."""
    plugins = overlay.plugins_folder(files, spec, Path(environment["AIRFLOW__CORE__PLUGINS_FOLDER"]))
    folders = [environment["PYTHONPATH"], *overlay.python_path(settings, spec, progress)]
    variables = overlay.write_user_environment(files, spec)
    return {
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(plugins),
        "PYTHONPATH": os.pathsep.join(folders),
        **({MORE: str(variables)} if variables else {}),
    }


def _databases(
    settings: Settings,
    files: BedFiles,
    spec: BedSpec,
    endpoints: Endpoints,
    environment: dict[str, str],
    progress: Progress,
) -> list[Program]:
    postgres.ensure_reachable(files.postgres)
    postgres.ensure_reachable(settings.cache)
    postgres.replace_lost_disks(files.postgres)
    binaries = postgres.binaries(settings)
    common = common_environment(files, spec)
    scratch = files.postgres / "template"

    def template(database: Database) -> templates.Template:
        marked = {**common, SERVICE: "template", "LC_ALL": "C"}
        kind = "airflow" if database is METADATA else "empty"
        if templates.find(settings, kind) is None:
            progress(f"making the database template '{kind}' (once a machine)")
        return templates.ensure(
            settings,
            kind,
            scratch,
            spec.ports["template"],
            marked,
            lambda endpoint: airflow.migrate(
                {**environment, **marked}, endpoint, files.logs / "migrate.log", files.airflow / "migrate"
            ),
        )

    # The migrated template is made from the empty one.
    found = {database.service: template(database) for database in reversed(DATABASES)}
    made = []
    for database in DATABASES:
        data = files.postgres / database.service
        origin, copying = found[database.service], {**common, SERVICE: "copy"}
        made.append(_database(settings, database, endpoints, binaries, data, origin, spec, copying))
    return made


def _database(
    settings: Settings,
    database: Database,
    endpoints: Endpoints,
    binaries: Path,
    data: Path,
    origin: templates.Template,
    spec: BedSpec,
    copying: dict[str, str],
) -> Program:
    endpoint = endpoints.databases[database.service]
    schema = database.tables_sql(settings.resources.infra)

    def prepare() -> None:
        if (data / "PG_VERSION").is_file():
            return
        shutil.rmtree(data, ignore_errors=True)
        partial = data.with_name(f".{database.service}.partial")
        shutil.rmtree(partial, ignore_errors=True)
        postgres.copy_data(origin.data, partial, copying)
        partial.rename(data)

    def ready() -> bool:
        return accepts(endpoint) or accepts(endpoint, origin.password)

    return postgres.program(
        database,
        endpoint,
        binaries,
        data,
        spec.mark,
        fsync=levers.NO_FSYNC in spec.levers_off,
        prepare=prepare,
        ready=ready,
        on_ready=lambda: postgres.furnish(database, endpoint, origin.password, schema),
    )


def _director(files: BedFiles, spec: BedSpec, endpoints: Endpoints) -> Program:
    token = files.director / "token"
    write_private(token, endpoints.director.token)
    port = spec.ports
    command = [
        *(sys.executable, "-m", "airbed.director", "--port", str(port["director"])),
        *("--statsd-port", str(port["statsd"]), "--token-file", str(token), "--state-dir", str(files.director)),
    ]
    if S3_WAY in port:
        # Beds of an earlier airbed have no such port: their tasks reach S3 directly.
        command += ["--s3-port", str(port[S3_WAY]), "--s3-upstream", endpoints.s3.direct]
    return Program(
        name="director",
        command=command,
        directory=files.director,
        ready=lambda: bool(airflow.get(f"{endpoints.director.url}/health")),
    )


def _toxiproxy(
    settings: Settings, files: BedFiles, spec: BedSpec, endpoints: Endpoints, progress: Progress
) -> list[Program]:
    from airbed.toxiproxy import build

    if endpoints.toxiproxy is None:
        return []
    return [toxiproxy.program(build.build(settings, progress), files, spec, endpoints.toxiproxy)]
