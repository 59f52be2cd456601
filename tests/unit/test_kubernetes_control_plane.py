"""What is prepared for a bed's control plane, and how its parts are started."""

from __future__ import annotations

import contextlib
import re
import ssl
import stat
from pathlib import Path

import pytest
import yaml

from airbed.errors import Unavailable, UsageError
from airbed.kubernetes import certificates, control_plane, regions, stages
from airbed.kubernetes.build import KWOK_FILES, SOURCES, Tools
from airbed.kubernetes.files import read_kubeconfig
from airbed.settings import Resources
from airbed.topology import KUBERNETES_SERVICES, REGIONS

INFRA = Resources.find().infra / "kubernetes"
PORTS = {name: 20000 + number for number, name in enumerate(control_plane.PORTS)}


@pytest.fixture
def tools(tmp_path: Path) -> Tools:
    folder = tmp_path / "tools"
    (folder / "bin").mkdir(parents=True)
    for source in SOURCES:
        (folder / "bin" / source.name).touch(mode=0o755)
    for name in KWOK_FILES:
        path = folder / "kwok" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        stage = {"kind": "Stage", "metadata": {"name": path.stem}, "spec": {"selector": {"matchExpressions": []}}}
        path.write_text(yaml.safe_dump(stage))
    return Tools(folder, INFRA)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def test_preparing_twice_keeps_everything(tmp_path: Path, tools: Tools) -> None:
    folder = tmp_path / "kubernetes"
    control_plane.prepare(folder, PORTS, tools)
    first = contents(folder)
    control_plane.prepare(folder, PORTS, tools)
    assert contents(folder) == first
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir() if path.is_file()} == {0o600}
    control_plane.prepare(folder, PORTS | {"kube-apiserver": 31000}, tools)
    changed = contents(folder)
    assert {name for name in first if first[name] != changed[name]} == {"admin.kubeconfig"}


def test_a_half_prepared_folder_is_made_anew(tmp_path: Path, tools: Tools) -> None:
    folder = tmp_path / "kubernetes"
    control_plane.prepare(folder, PORTS, tools)
    old = (folder / "authority.crt").read_bytes()
    (folder / "server.crt").unlink()
    control_plane.prepare(folder, PORTS, tools)
    server, authority, token = read_kubeconfig(folder / "admin.kubeconfig")
    assert server == f"https://127.0.0.1:{PORTS['kube-apiserver']}"
    assert authority == (folder / "authority.crt").read_bytes() != old
    assert (folder / "tokens.csv").read_text() == f'{token},admin,admin,"system:masters"\n'


def test_a_strict_client_takes_the_certificates(tmp_path: Path) -> None:
    """Python 3.13 verifies strictly by default: each certificate must name the key that signed it."""
    certificate, key = certificates.authority()
    files = [tmp_path / "server.crt", tmp_path / "server.key"]
    for file, content in zip(files, certificates.issue(certificate, key, "kube-apiserver"), strict=True):
        file.write_bytes(content)
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    serving.load_cert_chain(*files)
    asking = ssl.create_default_context(cadata=certificate.decode())
    asking.verify_flags |= ssl.VERIFY_X509_STRICT
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = asking.wrap_bio(back, there, server_hostname="127.0.0.1")
    server = serving.wrap_bio(there, back, server_side=True)
    done: set[ssl.SSLObject] = set()
    while len(done) < 2:
        for side in (client, server):
            with contextlib.suppress(ssl.SSLWantReadError):
                side.do_handshake()
                done.add(side)
    assert client.getpeercert()


def test_the_certificates_fit_together(tmp_path: Path, tools: Tools) -> None:
    folder = tmp_path / "kubernetes"
    control_plane.prepare(folder, PORTS, tools)
    context = ssl.create_default_context(cafile=str(folder / "authority.crt"))
    context.load_cert_chain(folder / "server.crt", folder / "server.key")


def test_programs_start_in_order_and_listen_on_loopback_only(tmp_path: Path, tools: Tools) -> None:
    control_plane.prepare(tmp_path / "kubernetes", PORTS, tools)
    programs = control_plane.programs(tmp_path / "kubernetes", PORTS, tools)
    assert tuple(program.name for program in programs) == KUBERNETES_SERVICES
    ready: set[str] = set()
    for program in programs:
        assert set(program.after) <= ready
        ready.add(program.name)
        text = " ".join(program.command)
        assert set(re.findall(r"https?://([^:/ ]+)", text)) - {"kubernetes.default.svc"} <= {"127.0.0.1"}
        if program.name.startswith("kube-"):
            assert "--bind-address=127.0.0.1" in program.command
        assert not any(secret in text for secret in (tmp_path / "kubernetes/tokens.csv").read_text().split(",")[:1])
    used = {int(found) for program in programs for found in re.findall(r"\b200\d\d\b", " ".join(program.command))}
    assert used == set(PORTS.values())


def test_a_part_that_does_not_answer_is_not_ready(tmp_path: Path, tools: Tools) -> None:
    control_plane.prepare(tmp_path / "kubernetes", PORTS, tools)
    for program in control_plane.programs(tmp_path / "kubernetes", PORTS, tools):
        with pytest.raises(Exception, match=r"answer|refused"):
            program.ready()


def test_ordinary_life_leaves_pods_alone_that_a_fault_holds(tools: Tools) -> None:
    loaded = {stage["metadata"]["name"]: stage for stage in stages.load(tools)}
    untouched = {"key": ".status.containerStatuses", "operator": "DoesNotExist"}
    assert untouched in loaded["pod-ready"]["spec"]["selector"]["matchExpressions"]
    assert {*stages.FAULTS, "container-start", "node-initialize"} <= set(loaded)


@pytest.mark.parametrize("name", stages.FAULTS)
def test_a_fault_of_one_region(name: str) -> None:
    originals = list(stages.documents(INFRA / "stages" / f"{name}.yaml"))
    made = stages.fault_stages(INFRA, name, "prod-euw1", image="web:2")
    assert len(made) == len(originals)
    for stage, original in zip(made, originals, strict=True):
        assert "test(" in original["spec"]["selector"]["matchExpressions"][0]["key"]
        first, second, *rest = stage["spec"]["selector"]["matchExpressions"]
        assert first == {"key": ".metadata.namespace", "operator": "In", "values": ["prod-euw1"]}
        assert second == {"key": ".spec.containers.[].image", "operator": "In", "values": ["web:2"]}
        assert rest == original["spec"]["selector"]["matchExpressions"][1:]
        assert stage["spec"]["weight"] > original["spec"]["weight"]
        assert stage["metadata"]["name"].startswith("prod-euw1.")


def test_the_delay_of_a_slow_start() -> None:
    delays = [stage["spec"].get("delay") for stage in stages.fault_stages(INFRA, "slow-to-start", "x", seconds=1.5)]
    assert delays == [None, {"durationMilliseconds": 1500}]


def test_an_unknown_fault_names_the_known_ones() -> None:
    with pytest.raises(UsageError, match="never-pulls, crash-loops, slow-to-start"):
        stages.fault_stages(INFRA, "earthquake", "prod-euw1")


@pytest.mark.parametrize("region", REGIONS, ids=lambda region: region.cluster)
def test_a_region_is_one_namespace_with_rights_of_its_own(region: regions.Region) -> None:
    made = {document["kind"]: document for document in regions.manifests(INFRA, region)}
    assert set(made) == {"Namespace", "ServiceAccount", "Role", "RoleBinding", "ResourceQuota"}
    assert made.pop("Namespace")["metadata"] == {"name": region.cluster, "labels": {"region": region.region}}
    assert {document["metadata"]["namespace"] for document in made.values()} == {region.cluster}
    assert int(made["ResourceQuota"]["spec"]["hard"]["pods"]) > region.replicas + 1
    resources = {name for rule in made["Role"]["rules"] for name in rule["resources"]}
    assert resources == {"deployments", "replicasets", "pods", "events"}
    assert "*" not in {verb for rule in made["Role"]["rules"] for verb in rule["verbs"]}


def test_a_missing_program_is_one_clear_line(tmp_path: Path, tools: Tools) -> None:
    tools.binary("kwok").unlink()
    with pytest.raises(Unavailable, match=r"kwok is missing: delete .* and run make kubernetes"):
        control_plane.prepare(tmp_path / "kubernetes", PORTS, tools)
    assert not (tmp_path / "kubernetes").exists()
