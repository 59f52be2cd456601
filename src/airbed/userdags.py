"""A user's own DAG folders and files: checked before a bed starts, read for what they need."""

from __future__ import annotations

import io
import json
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from airbed.errors import UsageError
from airbed.spec import BedSpec
from airbed.topology import REGIONS, S3_CONN_ID, Pool

if TYPE_CHECKING:
    from airbed.request import Request
    from airbed.userconnections import Connection

CONNECTION = "AIRFLOW_CONN_"
VARIABLE = "AIRFLOW_VAR_"

# A variable of a user's file that would change the bed itself, or hand its tasks a way to production.
_NEVER = re.compile(
    r"(?i)(AIRFLOW_|AIRBED_|AWS_|BOTO|PG|KUBE|GOOGLE_|GCP_|GCLOUD_|CLOUDSDK_|AZURE_|ARM_|SNOWFLAKE_|DATABRICKS_|VAULT_"
    r"|PYTHON|LD_|SPT_|SSL_|REQUESTS_CA|CURL_CA|STATSD_|OTEL_|DOCKER_|GIT_|SSH_)"
    r"|(?i:(PATH|HOME|TMPDIR|TMP|TEMP|LANG|TZ|USER|LOGNAME|SHELL|IFS|ENV|BASH_ENV|VIRTUAL_ENV|AIRFLOW))$"
    r"|(?i:.*_PROXY)$"
)
# Names whose whole value is a host, and names whose value is one if it looks like one (SPARK_MASTER=local[*] is none).
_PLACE = re.compile(
    r"(?i)((^|_)(SERVERS?|ENDPOINTS?|URLS?|URI|DSN|ADDR|ADDRESS|BROKERS?|BOOTSTRAP)|(?<!G)HOST(S|NAME)?)(_?\d+)?$"
)
_MAY_BE_A_PLACE = re.compile(r"(?i)(?<!G)HOST|ADDR|BOOTSTRAP|MASTER")
_PRUNED = {"__pycache__", "node_modules", "venv", "site-packages"}


@dataclass
class UserFiles:
    """What the files of a request give to Airflow.

    `environment` is for the bed's Airflow processes, `connections` are those in it by the variable's name, `left_out`
    are the variables that were not passed on.
    """

    environment: dict[str, str] = field(default_factory=dict, repr=False)
    connections: dict[str, Connection] = field(default_factory=dict, repr=False)
    pools: list[Pool] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)


def ensure_input_is_valid(request: Request) -> Request:
    """Check what the request names on this machine; returns it with absolute paths. Raises UsageError."""
    dags = [_folder(each) for each in request.dags] if request.dags else None
    project = str(Path(request.project).expanduser().absolute()) if request.project else None
    env_file = str(Path(request.env_file).expanduser().absolute()) if request.env_file else None
    if request.time_scale is not None and not 1 <= request.time_scale <= 1000:
        raise UsageError(f"--time-scale {request.time_scale:g} is out of range: 1 (as written) to 1000")
    if project or env_file or request.allow_external:
        read(project, env_file, request.allow_external or [])
    if dags or project:
        _ensure_there_are_files([*(dags or []), *([f"{project}/dags"] if project else [])])
    return replace(request, dags=dags, project=project, env_file=env_file)


def _folder(text: str) -> str:
    path = Path(text).expanduser().absolute()
    if not path.is_dir():
        hint = f"give its folder: --dags {path.parent}" if path.is_file() else "give one that exists"
        raise UsageError(f"--dags {path} is not a folder; {hint}")
    return str(path)


def _ensure_there_are_files(folders: Sequence[str]) -> None:
    if not any(True for folder in folders for _ in _python_files(Path(folder))):
        raise UsageError(f"no Python file in {', '.join(folders)}; Airflow looks for DAGs in *.py files there")


def read(project: str | None, env_file: str | None, allow_external: Sequence[str]) -> UserFiles:
    """Read a project's files and an env file, and hold them to the rules of docs/your-dags.md.

    The later one wins: airflow_settings.yaml, the project's .env, the env file. Raises UsageError by the name of a
    connection that leads off the bed, or that is one of the bed's own, unless `allow_external` has it.
    """
    if project is None and env_file is None:
        if allow_external:
            raise UsageError(
                "--allow-external is about connections of your files; give them with --env-file or --project"
            )
        return UserFiles()
    from airbed import astro, userconnections

    found = UserFiles()
    if project is not None:
        astro.ensure_project_is_valid(Path(project))
        settings = astro.read_settings(Path(project))
        found.pools = settings.pools
        for connection in settings.connections:
            _ensure_name_fits(connection.conn_id, connection.source)
            name = f"{CONNECTION}{connection.conn_id.upper()}"
            found.connections[name] = connection
            found.environment[name] = json.dumps(connection.fields)
        for name, value in settings.variables.items():
            _ensure_name_fits(name, f"{project}/{astro.SETTINGS}")
            found.environment[f"{VARIABLE}{name.upper()}"] = value
        if (Path(project) / ".env").is_file():
            _add_env_file(found, Path(project) / ".env", allow_external)
    if env_file is not None:
        _add_env_file(found, Path(env_file), allow_external)
    own = userconnections.own_connections()
    for connection in found.connections.values():
        _ensure_allowed(connection, own, allow_external)
    _ensure_known(found, allow_external)
    return found


def _add_env_file(found: UserFiles, path: Path, allow_external: Sequence[str]) -> None:
    from airbed import userconnections

    for name, value in read_env_file(path).items():
        if name.startswith(CONNECTION):
            conn_id = name.removeprefix(CONNECTION).lower()
            _ensure_name_fits(conn_id, str(path))
            found.connections[name] = userconnections.parse(conn_id, value, str(path))
        elif name.startswith(VARIABLE):
            _ensure_name_fits(name.removeprefix(VARIABLE), str(path))
        elif not _is_harmless(name, value, allow_external):
            found.left_out.append(name)
            continue
        found.environment[name] = value


def read_env_file(path: Path) -> dict[str, str]:
    """The variables of a .env file; `${NAME}` stays as it is, so that nothing of the caller's environment gets in."""
    from dotenv.parser import parse_stream

    if not path.is_file():
        raise UsageError(f"--env-file {path} is not a file; give one with lines such as AIRFLOW_VAR_MODE=test")
    try:
        text = path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(
            f"--env-file {path} cannot be read: {getattr(error, 'strerror', None) or 'it is not UTF-8'}"
        ) from None
    found = {}
    for binding in parse_stream(io.StringIO(text)):
        if binding.error or (binding.key and binding.value is None):
            raise UsageError(f"{path} line {binding.original.line}: not a line of the form NAME=value")
        if binding.key:
            found[binding.key] = binding.value or ""
    return found


def _is_harmless(name: str, value: str, allow_external: Sequence[str]) -> bool:
    """Whether a variable that is neither a connection nor an Airflow variable may reach the tasks."""
    from airbed.addresses import hosts_by_their_looks, is_loopback, places

    if _NEVER.match(name):
        return False
    if name in allow_external:
        return True
    hosts = [host for _, host in places(name, value, is_place=bool(_PLACE.search(name)))]
    hosts += hosts_by_their_looks(value, without_port=bool(_MAY_BE_A_PLACE.search(name)))
    return all(is_loopback(host) for host in hosts)


def _ensure_name_fits(name: str, source: str) -> None:
    """Airflow looks for it as an environment variable, and so does the bed hand it over."""
    if not re.fullmatch(r"[\w.:/-]+", name):
        raise UsageError(
            f"{source}: '{name}' has characters that no environment variable may have; use letters, digits, _ . -"
        )


def _ensure_allowed(connection: Connection, own: frozenset[str], allow_external: Sequence[str]) -> None:
    from airbed.userconnections import leads_off

    conn_id = connection.conn_id.lower()
    if conn_id == S3_CONN_ID:
        raise UsageError(
            f"{connection.source}: connection '{conn_id}' is the bed's own (its S3, and Airflow's XComs): leave it"
            " out of the file, the bed's is used; give another S3 another name"
        )
    if conn_id in {each.lower() for each in allow_external}:
        return
    if conn_id in own:
        raise UsageError(
            f"{connection.source}: connection '{conn_id}' is one of the bed's own: leave it out of the file,"
            f" the bed's is used; or use yours with --allow-external {conn_id}"
        )
    why = leads_off(connection)
    if why:
        raise UsageError(
            f"{connection.source}: connection '{conn_id}' leads off the bed ({why}); point it at 127.0.0.1,"
            f" leave it out, or allow it with --allow-external {conn_id}"
        )


def _ensure_known(found: UserFiles, allow_external: Sequence[str]) -> None:
    connections = {each.conn_id.lower() for each in found.connections.values()}
    known = {*connections, *found.environment, *found.left_out}
    for name in allow_external:
        if name.lower() not in known and name not in known:
            has = ", ".join(sorted(connections)) or "none"
            raise UsageError(f"--allow-external {name}: your files have no connection of that name; they have: {has}")


def of_bed(spec: BedSpec) -> UserFiles:
    """What the files of an existing bed say now; as `read` otherwise."""
    return read(spec.project, spec.env_file, spec.allow_external)


def notices(request: Request) -> list[str]:
    """What the user should know about their files before the bed starts, a line each."""
    lines = []
    found = read(request.project, request.env_file, request.allow_external or [])
    if found.left_out:
        lines.append(
            f"not passed on, because they would change the bed or lead off it: {', '.join(sorted(set(found.left_out)))}"
        )
    allowed = sorted(
        {each.conn_id.lower() for each in found.connections.values()}
        & {each.lower() for each in request.allow_external or []}
    )
    if allowed:
        lines.append(f"allowed to lead off the bed: {', '.join(allowed)}")
    if request.project and _says_something(Path(request.project) / "packages.txt"):
        lines.append(f"{request.project}/packages.txt is not installed: a bed has the packages of this machine")
    return lines


def _says_something(path: Path) -> bool:
    return path.is_file() and any(
        line.strip() and not line.lstrip().startswith("#") for line in path.read_text(errors="replace").splitlines()
    )


def wants_kubernetes(spec: BedSpec) -> bool:
    """Whether a DAG file of the user's names one of the bed's Kubernetes connections."""
    names = [region.conn_id for region in REGIONS]
    folders = [*spec.dags, *([f"{spec.project}/{each}" for each in ("dags", "include")] if spec.project else [])]
    for folder in folders:
        for file in _python_files(Path(folder)):
            text = file.read_text(errors="replace")
            if any(name in text for name in names):
                return True
    return False


def _python_files(folder: Path) -> Iterator[Path]:
    """The Python files below a folder, without hidden folders and installed packages."""
    seen = set()
    for root, folders, files in os.walk(folder, followlinks=True):
        if (real := os.path.realpath(root)) in seen:
            folders.clear()
            continue
        seen.add(real)
        folders[:] = [each for each in folders if each not in _PRUNED and not each.startswith(".")]
        for name in files:
            if name.endswith(".py"):
                yield Path(root) / name
