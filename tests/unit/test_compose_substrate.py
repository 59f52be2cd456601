"""The verbs of the compose substrate, by what they tell Docker: no engine is needed."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from compose_bed import Docker, make_bed

from airbed.bed import Bed
from airbed.errors import NotOnThisSubstrate, Unavailable, UsageError
from airbed.faults.plane import FaultPlane
from airbed.faults.registry import make
from airbed.kubernetes import policies, stages
from airbed.request import Request
from airbed.substrates import registry
from airbed.substrates.compose import beds, imagebase, layout, logs, project
from airbed.substrates.compose.engine import Engine, ensure_usable, find
from airbed.substrates.compose.kind import configuration
from airbed.substrates.embedded.overlay import Base
from airbed.topology import AIRFLOW_SERVICES, CORE_SERVICES, PROXIES


@pytest.fixture
def docker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Docker:
    return Docker(tmp_path / "docker", monkeypatch)


@pytest.fixture
def bed(tmp_path: Path, docker: Docker) -> Bed:
    made = make_bed(tmp_path)
    docker.states(made)
    return made


def files_of(bed: Bed) -> tuple[dict[str, str], dict]:
    project.Project(None, bed.settings, bed.files, bed.spec, bed.endpoints).write()  # type: ignore[arg-type]
    override = project.override_file(bed.files).read_text().replace("$$", "$")
    return dict(project.read_environment(bed.files)), json.loads(override)


def test_every_substrate_can_make_beds() -> None:
    for name in registry.NAMES:
        beds = registry.beds_on(name)
        for verb in ("ensure_possible", "allocate_ports", "make_endpoints", "open_bed", "strays", "marks_of", "remove"):
            assert callable(getattr(beds, verb)), (name, verb)
    with pytest.raises(Unavailable, match="only embedded and compose"):
        registry.beds_on("swarm")


def test_the_substrate_is_asked_for_by_option_or_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AIRBED_ON", raising=False)
    assert registry.asked_for(None) is None
    assert registry.asked_for("compose") == "compose"
    monkeypatch.setenv("AIRBED_ON", "kvm")
    with pytest.raises(UsageError, match="AIRBED_ON kvm"):
        registry.asked_for(None)


def test_tasks_and_host_have_the_same_addresses_of_the_proxies(bed: Bed) -> None:
    host = layout.toxiproxy_address(bed.spec)
    assert {each.task.host for each in bed.endpoints.databases.values()} == {host}
    assert bed.endpoints.s3.task == f"http://{host}:18333"
    assert {each.direct.host for each in bed.endpoints.databases.values()} == {"127.0.0.1"}


def test_two_beds_have_networks_of_their_own(tmp_path: Path, bed: Bed) -> None:
    other = make_bed(tmp_path, "other")
    assert other.spec.subnet != bed.spec.subnet
    assert not set(other.spec.ports.values()) & set(bed.spec.ports.values())


def test_the_files_hold_what_the_compose_file_asks_for(bed: Bed) -> None:
    import re

    variables, override = files_of(bed)
    text = project.compose_file(bed.settings.resources).read_text()
    assert set(re.findall(r"\$\{(\w+):\?", text)) <= set(variables)
    assert variables["SHARD_0_PORT"] == str(bed.endpoints.databases["shard-0"].direct.port)
    assert set(override["services"]) >= set(CORE_SERVICES)
    for service in AIRFLOW_SERVICES:
        environment = override["services"][service]["environment"]
        assert environment["SPT_NOENV"] == "1"
        assert layout.toxiproxy_address(bed.spec) in environment["AIRFLOW_CONN_SHARD_0_DB"]
        assert "AIRFLOW__API__PORT" not in environment
    for path in (project.env_file(bed.files), project.override_file(bed.files)):
        assert path.stat().st_mode & 0o777 == 0o600


def test_a_connection_that_was_allowed_goes_before_the_bed_s_own(bed: Bed, tmp_path: Path) -> None:
    mine = "postgres://me@127.0.0.1:7/mine"
    file = tmp_path / "extra.env"
    file.write_text(f"AIRFLOW_CONN_WAREHOUSE={mine}\nAIRFLOW_VAR_EMAIL_HASH_KEY=mine\nAIRFLOW__CORE__PARALLELISM=1\n")
    spec = replace(bed.spec, env_file=str(file), allow_external=["warehouse"])
    found = project.Project(None, bed.settings, bed.files, spec, bed.endpoints).airflow_environment()  # type: ignore[arg-type]
    assert found["AIRFLOW_CONN_WAREHOUSE"] == mine
    assert found["AIRFLOW_VAR_EMAIL_HASH_KEY"] == "mine"
    assert found.get("AIRFLOW__CORE__PARALLELISM") != "1"


@pytest.mark.parametrize("value", ["it's", 'two "words"', "a$b", "#x", "back\\slash"])
def test_values_come_out_of_the_env_file_as_they_went_in(bed: Bed, monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("AIRFLOW_IMAGE", value)
    assert files_of(bed)[0]["AIRFLOW_IMAGE"] == value


def test_status_has_every_service(bed: Bed, docker: Docker) -> None:
    docker.states(bed, s3="exited", shard_1="paused", triggerer="restarting")
    states = {each.name: each.state for each in bed.substrate.status()}
    assert tuple(states) == CORE_SERVICES
    odd = {name: state for name, state in states.items() if state != "running"}
    assert odd == {"s3": "stopped", "shard-1": "paused", "triggerer": "failed"}


def test_without_an_engine_all_are_stopped(bed: Bed, docker: Docker) -> None:
    docker.answer("container inspect", err="Cannot connect to the Docker daemon at unix:///nowhere.sock.", code=1)
    assert {each.state for each in bed.substrate.status()} == {"stopped"}
    assert not bed.substrate.alive()


def test_an_unknown_service_is_refused(bed: Bed) -> None:
    for verb in ("stop", "start", "kill", "pause", "unpause", "state", "log_file"):
        with pytest.raises(UsageError, match="no service 'shard-9'"):
            getattr(bed.substrate, verb)("shard-9")


def test_pause_and_unpause(bed: Bed, docker: Docker) -> None:
    bed.substrate.pause("shard-1")
    docker.states(bed, shard_1="paused")
    bed.substrate.pause("shard-1")
    bed.substrate.unpause("shard-1")
    assert docker.verbs() == ["pause airbed-mine-shard-1-1", "unpause airbed-mine-shard-1-1"]


def test_a_killed_container_is_started_again_and_counted(bed: Bed, docker: Docker) -> None:
    bed.substrate.kill("scheduler")
    name = "airbed-mine-scheduler-1"
    assert docker.verbs() == [f"kill --signal KILL {name}", f"wait {name}", f"start {name}"]
    assert {each.name: each.crashes for each in bed.substrate.status()}["scheduler"] == 1


def test_a_partitioned_service_comes_back_under_its_name_and_address(bed: Bed, docker: Docker) -> None:
    docker.answer("{{json .NetworkSettings.Networks}}", out="{}")
    bed.substrate.partition("shard-1")
    bed.substrate.rejoin("shard-1")
    bed.substrate.rejoin("toxiproxy")
    network, address = layout.network("mine"), layout.toxiproxy_address(bed.spec)
    assert [each for each in docker.calls if each.startswith("network")] == [
        f"network disconnect {network} airbed-mine-shard-1-1",
        f"network connect --alias shard-1 {network} airbed-mine-shard-1-1",
        f"network connect --alias toxiproxy --ip {address} {network} airbed-mine-toxiproxy-1",
    ]


def test_a_stopped_service_closes_its_way(bed: Bed, docker: Docker) -> None:
    docker.states(bed, toxiproxy="exited")
    bed.substrate.stop("s3")
    rows = {each["name"]: each for each in json.loads((bed.files.toxiproxy / "proxies.json").read_text())}
    assert set(rows) == set(PROXIES)
    assert {name for name, each in rows.items() if not each["enabled"]} == {"s3", "kube-apiserver"}
    assert rows["shard-0"]["upstream"] == "shard-0:5432"
    assert rows["kube-apiserver"]["upstream"] == "airbed-mine-control-plane:6443"


def test_what_the_substrate_cannot_do_is_refused_before_anything(bed: Bed, docker: Docker) -> None:
    with pytest.raises(NotOnThisSubstrate, match=r"not possible on a bed of compose: .*--on embedded") as refused:
        FaultPlane(bed).inject(make("postgres.disk-full", {"service": "warehouse"}))
    assert refused.value.exit_code == 2
    assert docker.calls == []


@pytest.mark.parametrize(
    ("said", "remedy"),
    [
        ("Cannot connect to the Docker daemon at unix:///x. Is the docker daemon running?", "make engine"),
        ("permission denied while trying to connect to the Docker daemon socket", "usermod"),
        ("Bind for 127.0.0.1:1 failed: port is already allocated", "another program has that port"),
        ("Error response from daemon: pull access denied for airbed/airflow", "make images"),
        ("write /x: no space left on device", "docker system df"),
    ],
)
def test_what_the_engine_says_has_a_remedy(bed: Bed, docker: Docker, said: str, remedy: str) -> None:
    docker.answer("version", err=said, code=1)
    with pytest.raises(Unavailable, match=remedy) as refused:
        ensure_usable(find(bed.settings))
    assert "\n" not in str(refused.value)
    assert refused.value.exit_code == 3


@pytest.mark.parametrize(("found", "good"), [("2.23.3", False), ("v2.24.0", True), ("5.0.1", True), ("1.29.2", False)])
def test_the_least_version_of_compose_is_said(bed: Bed, docker: Docker, found: str, good: bool) -> None:
    docker.answer("compose version", out=found)
    if good:
        ensure_usable(find(bed.settings))
    else:
        with pytest.raises(Unavailable, match=r"2\.24 is the least"):
            ensure_usable(find(bed.settings))


def test_without_any_socket_it_says_where_it_looked(bed: Bed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DOCKER_HOST")
    monkeypatch.setattr("airbed.substrates.compose.engine.USUAL_SOCKETS", (Path("/nowhere/docker.sock"),))
    with pytest.raises(Unavailable, match=r"/nowhere/docker.sock, .*make engine"):
        find(bed.settings)
    own = bed.settings.cache / "engine"
    own.mkdir()
    (own / "docker.sock").touch()
    assert find(bed.settings).environment["DOCKER_CONFIG"] == str(own / "config")


def test_logs_are_added_to_what_was_fetched(bed: Bed, docker: Docker) -> None:
    engine: Engine = find(bed.settings)
    first, second = "2026-01-05T00:00:01.000000001Z one", "2026-01-05T00:00:02.000000001Z two"
    docker.answer("logs", out=f"{first}\n")
    logs.fetch(engine, bed.files, bed.spec, "s3")
    docker.answer("logs", out=f"{first}\n{second}\n")
    assert logs.fetch(engine, bed.files, bed.spec, "s3").read_text() == "one\ntwo\n"


@pytest.mark.parametrize("fault", stages.FAULTS)
def test_every_region_fault_has_a_policy(fault: str) -> None:
    policy, binding = policies.documents("airbed-x", {"a": "b"}, fault, "prod-euw1", "web:2", 3.4)
    assert binding["spec"]["policyName"] == policy["metadata"]["name"] == "airbed-x"
    names = policy["spec"]["matchConstraints"]["namespaceSelector"]["matchLabels"].values()
    assert list(names) == ["prod-euw1"]
    assert policy["spec"]["matchConditions"][0]["expression"].endswith('== "web:2"')
    text = json.dumps(policy)
    assert "SECONDS" not in text
    assert ("seconds: 3}" in text) is (fault == "slow-to-start")


@pytest.mark.parametrize(("seconds", "hook"), [(29, True), (30, False), (300, False)])
def test_a_pod_that_is_slow_for_its_grace_or_longer_is_not_ready_instead(seconds: int, hook: bool) -> None:
    """The API refuses a hook that sleeps for the pod's grace (30 s) or longer."""
    policy, _ = policies.documents("airbed-x", {}, "slow-to-start", "prod-euw1", None, seconds)
    text = json.dumps(policy)
    assert (f"seconds: {seconds}}}" in text, "readinessProbe" in text) == (hook, not hook)


def test_the_certificate_of_the_cluster_has_the_address_of_the_tasks(bed: Bed) -> None:
    template = bed.settings.resources.infra / "kubernetes/kind/cluster.yaml"
    made = configuration(bed.spec, template)
    assert made["networking"]["apiServerPort"] == bed.spec.ports["kube-apiserver"]
    assert layout.toxiproxy_address(bed.spec) in json.loads(made["kubeadmConfigPatches"][-1])["apiServer"]["certSANs"]
    assert made["featureGates"]["MutatingAdmissionPolicy"]


def test_minio_is_there_or_is_pulled_or_named(bed: Bed, docker: Docker) -> None:
    """It is the one S3 service without a stand-in."""
    request = Request("other", s3="minio")
    docker.answer("compose version", out="2.26.1")
    docker.answer("image ls", out="airbed-standin/postgres:18")
    docker.answer("image inspect", err="Error: No such image", code=1)
    docker.answer("pull -q quay.io/minio/minio", err="no route to host", code=1)
    with pytest.raises(Unavailable, match=r"minio/minio:RELEASE.* cannot be pulled, .* --s3 seaweedfs"):
        beds.ensure_possible(bed.settings, request)
    docker.answer("pull -q quay.io/minio/minio", out="pulled")
    beds.ensure_possible(bed.settings, request)


def test_the_image_is_asked_once_for_its_packages(bed: Bed, docker: Docker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_IMAGE", "mine/airflow:1")
    ask = imagebase.base_of(find(bed.settings), bed.settings)
    docker.answer("image inspect", err="Error: No such image: mine/airflow:1", code=1)
    with pytest.raises(Unavailable, match=r"no image mine/airflow:1 .* make images"):
        ask()
    docker.answer("image inspect", out='{"id": "sha256:0123456789abcdef0123"}')
    packages = '[["Requests", "9.0"], ["airbed", "1"]]'
    docker.answer("mine/airflow:1 -c", out=f'a warning\n{{"python": "3.13.5", "packages": {packages}}}')
    for _ in range(2):
        assert ask() == Base("3.13.5", {"requests": "9.0"})
    assert len([call for call in docker.calls if call.startswith("run ")]) == 1
