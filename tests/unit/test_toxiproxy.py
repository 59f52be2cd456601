"""The TCP half of the fault plane: what is built, what a start restores, which proxies are open, what a client says."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from airbed.clients.toxiproxy import Toxic, ToxiproxyClient
from airbed.doctor.parts import toxiproxy as finding_of
from airbed.errors import Unavailable, UsageError
from airbed.settings import Resources, Settings
from airbed.spec import BedFiles, BedSpec
from airbed.substrates.embedded import layout, toxiproxy
from airbed.topology import PROXIES, SERVICES
from airbed.toxiproxy import build, launch


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    made = Settings(state=tmp_path / "state", cache=tmp_path / "cache")
    infra = Path(shutil.copytree(Resources.find().infra, tmp_path / "infra"))
    made.__dict__["resources"] = Resources(infra=infra, dags=tmp_path)
    return made


def new_bed(settings: Settings, *, tcp_faults: bool) -> tuple[BedFiles, BedSpec]:
    layout.prepare_roots(settings)
    files = BedFiles(settings, "mine")
    layout.make_folders(files)
    spec = BedSpec("mine", tcp_faults=tcp_faults)
    spec.ports = layout.allocate_ports(settings, spec)
    return files, spec


def test_every_proxy_leads_to_a_service_over_services() -> None:
    assert {service for way in PROXIES.values() for service in way} <= set(SERVICES)
    assert all(name in way for name, way in PROXIES.items())


def test_tasks_go_through_the_proxies_and_the_host_does_not(settings: Settings) -> None:
    files, spec = new_bed(settings, tcp_faults=True)
    at = layout.make_endpoints(spec, files)
    shard = at.databases["shard-0"]
    assert (shard.direct.port, shard.task.port) == (spec.ports["shard-0"], spec.ports["shard-0-task"])
    assert at.s3.task.endswith(f":{spec.ports['s3-task']}")
    assert at.airflow.execution_url == f"http://127.0.0.1:{spec.ports['api-server-task']}/execution/"
    assert at.kubernetes.task == f"https://127.0.0.1:{spec.ports['kube-apiserver-task']}"
    assert at.toxiproxy == f"http://127.0.0.1:{spec.ports['toxiproxy']}"


def test_a_bed_without_it_goes_directly(settings: Settings) -> None:
    files, spec = new_bed(settings, tcp_faults=False)
    at = layout.make_endpoints(spec, files)
    assert at.toxiproxy is None
    assert all(each.task == each.direct for each in at.databases.values())
    assert at.airflow.execution_url == f"{at.airflow.url}/execution/"


def test_a_bed_of_an_earlier_airbed_is_read_as_one_without(settings: Settings) -> None:
    files, spec = new_bed(settings, tcp_faults=False)
    files.write_spec(spec)
    files.write_endpoints(layout.make_endpoints(spec, files))
    for file, names in ((files.spec, ("tcp_faults",)), (files.endpoints, ("toxiproxy",))):
        old = json.loads(file.read_text())
        for name in names:
            del old[name]
        if file == files.endpoints:
            del old["airflow"]["task_url"]
        file.write_text(json.dumps(old))
    assert files.read_spec().tcp_faults is False
    assert files.read_endpoints().airflow.execution_url.endswith("/execution/")


def test_a_start_restores_toxics_and_holds_their_proxies_closed_until_then() -> None:
    proxies = [{"name": name, "enabled": name != "c"} for name in ("a", "b", "c", "d")]
    slow, lame = {"name": "airbed-f1"}, {"name": "airbed-f2"}
    entries = [
        {"state": "active", "plan": {"proxy": "a", "toxics": [slow]}},
        {"state": "active", "plan": {"proxy": "a", "toxics": [lame]}},
        {"state": "active", "plan": {"proxy": "b", "down": True}},
        {"state": "active", "plan": {"proxy": "c", "toxics": [slow]}},
        {"state": "undoing", "plan": {"proxy": "d", "toxics": [slow]}},
        {"state": "active", "plan": {"key": "of another level"}},
    ]
    started, toxics = launch.plan(proxies, entries)
    assert {each["name"]: each["enabled"] for each in started} == {"a": False, "b": False, "c": False, "d": True}
    assert toxics == [("a", slow, False), ("a", lame, True), ("c", slow, False)]


def test_a_ledger_that_cannot_be_read_restores_nothing(tmp_path: Path) -> None:
    assert launch.ledger(tmp_path / "none.json") == []
    (tmp_path / "odd.json").write_text("{")
    assert launch.ledger(tmp_path / "odd.json") == []


def test_a_proxy_is_open_while_its_way_is_there_and_no_fault_closes_it(settings: Settings) -> None:
    files, spec = new_bed(settings, tcp_faults=True)
    ways = toxiproxy.Ways(files, spec, layout.make_endpoints(spec, files))
    ways.write(set(SERVICES) - {"director", "shard-1"})
    (files.folder / launch.LEDGER).write_text(
        json.dumps({"entries": [{"state": "active", "plan": {"proxy": "warehouse", "down": True}}]})
    )
    closed = {name for name, is_open in ways.wanted().items() if not is_open}
    assert closed == {"s3", "shard-1", "warehouse"}


def test_the_key_follows_the_module(settings: Settings) -> None:
    module = settings.resources.infra / "toxiproxy"
    before = build.key(module)
    with (module / "go.sum").open("a") as file:
        file.write("\n")
    assert build.key(module) != before
    assert build.version(settings) == "2.5.0"


def test_without_go_and_installer_it_is_said(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build, "find_toolchain", lambda cache, needed: None)
    monkeypatch.setattr(build, "which_installer", lambda: None)
    possible, why = build.can_build(settings)
    assert (possible, "install Go 1.24" in why) == (False, True)
    assert finding_of(settings).state == "warn"
    assert "install Go" in finding_of(settings).remedy


def test_a_failed_build_leaves_nothing(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = settings.state / "go"
    folder.mkdir(parents=True)
    (folder / "go").write_text(
        '#!/bin/sh\nif [ "$1" = env ]; then echo go1.30; exit 0; fi\necho no proxy >&2; exit 1\n'
    )
    (folder / "go").chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    with pytest.raises(Unavailable, match="no proxy"):
        build.build(settings, lambda line: None)
    assert build.find(settings) is None
    assert [each.name for each in (settings.cache / "toxiproxy").iterdir()] == ["build.lock"]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def living(tmp_path: Path) -> Iterator[tuple[ToxiproxyClient, int, int]]:
    """A real Toxiproxy with one proxy `a` in front of a listening socket, started by `launch` with one toxic."""
    from airbed.settings import load_settings

    server = build.find(load_settings())
    if server is None:
        pytest.skip("Toxiproxy is not built; build it with: airbed up")
    with socket.create_server(("127.0.0.1", 0)) as upstream:
        listen, api = free_port(), free_port()
        (tmp_path / "toxiproxy").mkdir()
        row = {"name": "a", "listen": f"127.0.0.1:{listen}", "enabled": True}
        (tmp_path / launch.PROXIES).write_text(
            json.dumps([{**row, "upstream": f"127.0.0.1:{upstream.getsockname()[1]}"}])
        )
        toxic = {"name": "airbed-f1", "type": "latency", "stream": "upstream", "attributes": {"latency": 50}}
        entry = {"state": "active", "plan": {"proxy": "a", "toxics": [toxic]}}
        (tmp_path / launch.LEDGER).write_text(json.dumps({"entries": [entry]}))
        process = subprocess.Popen(
            [sys.executable, "-S", str(toxiproxy.LAUNCH), str(server), str(tmp_path), str(api)],
            stdout=subprocess.DEVNULL,
        )
        client = ToxiproxyClient(f"http://127.0.0.1:{api}", timeout=5)
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            try:
                if client.proxy("a").toxics and client.proxy("a").enabled:
                    break
            except Unavailable:
                pass
            time.sleep(0.01)
        try:
            yield client, listen, upstream.getsockname()[1]
        finally:
            process.kill()
            process.wait()


def test_a_living_one_restores_serves_and_refuses(living: tuple[ToxiproxyClient, int, int]) -> None:
    client, listen, upstream = living
    assert client.version() == "2.5.0"
    found = client.proxies()["a"]
    assert (found.enabled, found.upstream) == (True, f"127.0.0.1:{upstream}")
    assert [(each.name, each.attributes["latency"]) for each in found.toxics] == [("airbed-f1", 50)]
    client.add_toxic("a", Toxic("airbed-f1", "latency", "upstream", attributes={"latency": 70}))
    assert [each.attributes["latency"] for each in client.proxy("a").toxics] == [70]
    assert client.remove_toxic("a", "airbed-f1") is True
    assert client.remove_toxic("a", "airbed-f1") is False
    socket.create_connection(("127.0.0.1", listen), timeout=5).close()
    client.set_enabled("a", False)
    assert client.set_enabled("a", False).enabled is False
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", listen), timeout=5)
    client.set_enabled("a", True)
    socket.create_connection(("127.0.0.1", listen), timeout=5).close()
    with pytest.raises(UsageError, match="proxy not found"):
        client.proxy("b")
    with pytest.raises(UsageError, match="invalid toxic type"):
        client.add_toxic("a", Toxic("x", "nonsense", "upstream"))


def test_a_dead_one_is_named() -> None:
    with pytest.raises(Unavailable, match=r"does not answer .*airbed status"):
        ToxiproxyClient(f"http://127.0.0.1:{free_port()}").version()


def test_a_whole_bed_starts_without_what_faults_hold(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    files, spec = new_bed(settings, tcp_faults=True)
    ways = toxiproxy.Ways(files, spec, layout.make_endpoints(spec, files))
    ways.write(SERVICES)
    entry = {"state": "active", "plan": {"proxy": "metadata", "down": True}}
    (files.folder / launch.LEDGER).write_text(json.dumps({"entries": [entry]}))
    started = []
    monkeypatch.setattr("os.execv", lambda *command: started.append(command))
    monkeypatch.setattr("sys.argv", ["launch.py", "/bin/true", str(files.folder), "1"])

    def open_proxies() -> set[str]:
        launch.main()
        return {each["name"] for each in json.loads((files.folder / launch.START).read_text()) if each["enabled"]}

    ways.forget_faults(True)
    assert open_proxies() == set(PROXIES)
    ways.forget_faults(False)
    assert open_proxies() == set(PROXIES) - {"metadata"}
    assert len(started) == 2
