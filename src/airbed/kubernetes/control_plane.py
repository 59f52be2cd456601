"""A real Kubernetes control plane on loopback: etcd, API server, controller manager, scheduler; KWOK plays the kubelet.

`prepare` makes keys, tokens and the administrator's kubeconfig; `programs` says how each part is started and when it is
ready. All state lies in one folder, so that a stop and start of the bed keeps it.
"""

from __future__ import annotations

import os
import secrets
import ssl
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path

from airbed.errors import Unavailable
from airbed.kubernetes import certificates, stages
from airbed.kubernetes.api import MERGE, Api
from airbed.kubernetes.build import Tools
from airbed.kubernetes.files import kubeconfig, read_kubeconfig
from airbed.spec import write_private
from airbed.substrates.embedded.program import Program

# The loopback ports that the control plane needs, by name.
PORTS = ("etcd", "etcd-peer", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kwok")
NODE = "node-1"
# Seconds. Without leases, and with KWOK's own default, pods lose their readiness for good after a pause of the bed.
LEASE_SECONDS = 40
LEASE = f"/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/{NODE}"


class Layout:
    """The files of one bed's Kubernetes in its folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.authority = folder / "authority.crt"
        self.authority_key = folder / "authority.key"
        self.server = folder / "server.crt"
        self.server_key = folder / "server.key"
        self.service_accounts = folder / "service-accounts.key"
        self.tokens = folder / "tokens.csv"
        self.kubeconfig = folder / "admin.kubeconfig"
        self.etcd = folder / "etcd"
        self.regions = folder / "regions"


def server_url(ports: Mapping[str, int]) -> str:
    """The API server's address for the host."""
    return f"https://127.0.0.1:{ports['kube-apiserver']}"


def prepare(folder: Path, ports: Mapping[str, int], tools: Tools) -> None:
    """Make what the control plane needs before its first start: keys, certificates, tokens, `admin.kubeconfig`.

    What is there is kept, so that tokens and certificates outlive a restart; a changed port only rewrites the
    kubeconfig. All files are 0600. Raises Unavailable when a program is missing.
    """
    for name in ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kwok", "kubectl"):
        if not os.access(tools.binary(name), os.X_OK):
            raise Unavailable(f"{tools.binary(name)} is missing: delete {tools.folder} and run make kubernetes")
    files = Layout(folder)
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    files.etcd.mkdir(exist_ok=True, mode=0o700)
    if not files.server.is_file():  # the last file written: an earlier attempt that was killed is made anew
        certificate, key = certificates.authority()
        _write(files.authority, certificate)
        _write(files.authority_key, key)
        server, server_key = certificates.issue(certificate, key, "airbed-control-plane")
        _write(files.server_key, server_key)
        _write(files.server, server)
    if not files.service_accounts.is_file():
        _write(files.service_accounts, certificates.service_account_key())
    if not files.tokens.is_file():
        write_private(files.tokens, f'{secrets.token_hex(24)},admin,admin,"system:masters"\n')
    token = files.tokens.read_text().split(",", 1)[0]
    wanted = (server_url(ports), files.authority.read_bytes(), token)
    if not files.kubeconfig.is_file() or read_kubeconfig(files.kubeconfig) != wanted:
        write_private(files.kubeconfig, kubeconfig(*wanted))


def programs(folder: Path, ports: Mapping[str, int], tools: Tools) -> list[Program]:
    """The five parts, in the order in which they can start. `folder` must have been prepared."""
    files = Layout(folder)
    return [
        _etcd(files, ports, tools),
        _api_server(files, ports, tools),
        _controller_manager(files, ports, tools),
        _scheduler(files, ports, tools),
        _kwok(files, ports, tools),
    ]


def _etcd(files: Layout, ports: Mapping[str, int], tools: Tools) -> Program:
    client, peer = (f"https://127.0.0.1:{ports[name]}" for name in ("etcd", "etcd-peer"))
    command = [
        str(tools.binary("etcd")),
        "--name=default",
        f"--data-dir={files.etcd}",
        f"--listen-client-urls={client}",
        f"--advertise-client-urls={client}",
        f"--listen-peer-urls={peer}",
        f"--initial-advertise-peer-urls={peer}",
        f"--initial-cluster=default={peer}",
        # Everything a cluster knows passes here, secrets too: only the holder of the bed's key may ask.
        "--client-cert-auth",
        f"--trusted-ca-file={files.authority}",
        f"--cert-file={files.server}",
        f"--key-file={files.server_key}",
        "--peer-client-cert-auth",
        f"--peer-trusted-ca-file={files.authority}",
        f"--peer-cert-file={files.server}",
        f"--peer-key-file={files.server_key}",
        # A killed process loses nothing by this; a machine that loses power may.
        "--unsafe-no-fsync",
        "--log-level=warn",
    ]
    return Program(
        name="etcd", command=command, directory=files.folder, ready=_says(files, f"{client}/health", '"health":"true"')
    )


def _api_server(files: Layout, ports: Mapping[str, int], tools: Tools) -> Program:
    command = [
        str(tools.binary("kube-apiserver")),
        f"--etcd-servers=https://127.0.0.1:{ports['etcd']}",
        f"--etcd-cafile={files.authority}",
        f"--etcd-certfile={files.server}",
        f"--etcd-keyfile={files.server_key}",
        "--bind-address=127.0.0.1",
        "--advertise-address=127.0.0.1",
        f"--secure-port={ports['kube-apiserver']}",
        f"--tls-cert-file={files.server}",
        f"--tls-private-key-file={files.server_key}",
        "--endpoint-reconciler-type=none",
        "--service-cluster-ip-range=10.96.0.0/16",
        "--service-account-issuer=https://kubernetes.default.svc",
        f"--service-account-signing-key-file={files.service_accounts}",
        f"--service-account-key-file={files.service_accounts}",
        f"--token-auth-file={files.tokens}",
        "--authorization-mode=RBAC",
        "--anonymous-auth=false",
        "--profiling=false",
        "--event-ttl=24h",
    ]

    def ready() -> bool:
        with Api(files.kubeconfig, timeout=2) as api:
            return api.ready()

    def install() -> None:
        with Api(files.kubeconfig) as api:
            stages.install(api, tools)
            api.apply(_node())
            _set_kubelet_port(api, ports["kwok"])

    return Program(
        name="kube-apiserver",
        command=command,
        directory=files.folder,
        after=("etcd",),
        ready=ready,
        on_ready=install,
    )


def _controller_manager(files: Layout, ports: Mapping[str, int], tools: Tools) -> Program:
    own = [
        f"--service-account-private-key-file={files.service_accounts}",
        f"--root-ca-file={files.authority}",
        "--use-service-account-credentials=false",
        # All of them: a shorter list without node-lifecycle leaves the not-ready taint on the node.
        "--controllers=*",
    ]
    return _controller("kube-controller-manager", own, files, ports, tools)


def _scheduler(files: Layout, ports: Mapping[str, int], tools: Tools) -> Program:
    return _controller("kube-scheduler", [], files, ports, tools)


def _controller(name: str, own: list[str], files: Layout, ports: Mapping[str, int], tools: Tools) -> Program:
    port = ports[name]
    command = [
        str(tools.binary(name)),
        f"--kubeconfig={files.kubeconfig}",
        "--leader-elect=false",
        "--bind-address=127.0.0.1",
        f"--secure-port={port}",
        f"--tls-cert-file={files.server}",
        f"--tls-private-key-file={files.server_key}",
        "--profiling=false",
        "--kube-api-qps=500",
        "--kube-api-burst=1000",
        *own,
    ]
    return Program(
        name=name,
        command=command,
        directory=files.folder,
        after=("kube-apiserver",),
        ready=_says(files, f"https://127.0.0.1:{port}/healthz", "ok"),
    )


def _kwok(files: Layout, ports: Mapping[str, int], tools: Tools) -> Program:
    port = ports["kwok"]
    kubectl = f'"{tools.binary("kubectl")}" --kubeconfig "{files.kubeconfig}"'
    # KWOK has a new identity at every start and would wait for the lease of its former self to expire.
    script = (
        f"until {kubectl} get --raw=/readyz >/dev/null 2>&1; do sleep 0.5; done; "
        f'{kubectl} delete --raw={LEASE} >/dev/null 2>&1; exec "$@"'
    )
    command = [
        "/bin/sh",
        "-c",
        script,
        "kwok",
        str(tools.binary("kwok")),
        f"--kubeconfig={files.kubeconfig}",
        "--manage-all-nodes=true",
        "--node-ip=127.0.0.1",
        f"--node-port={port}",
        f"--server-address=127.0.0.1:{port}",
        f"--node-lease-duration-seconds={LEASE_SECONDS}",
        # Stages only: KWOK's exec would run commands on this machine.
        "--enable-crds=Stage",
    ]

    def ready() -> bool:
        with Api(files.kubeconfig, timeout=2) as api:
            node = api.call("GET", f"/api/v1/nodes/{NODE}")
            held = api.request("GET", LEASE).is_success
        conditions = {each["type"]: each["status"] for each in node.get("status", {}).get("conditions", [])}
        return held and conditions.get("Ready") == "True"

    return Program(
        name="kwok", command=command, directory=files.folder, after=("kube-apiserver",), stop_seconds=5, ready=ready
    )


def _node() -> dict[str, object]:
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": NODE,
            "labels": {"kubernetes.io/hostname": NODE, "kubernetes.io/os": "linux", "type": "kwok"},
            "annotations": {"kwok.x-k8s.io/node": "fake", "node.alpha.kubernetes.io/ttl": "0"},
        },
    }


def _set_kubelet_port(api: Api, port: int) -> None:
    """Where the API server finds the kubelet: KWOK notes it once only, and a snapshot's node has another bed's."""
    status = {"daemonEndpoints": {"kubeletEndpoint": {"Port": port}}}
    api.call("PATCH", f"/api/v1/nodes/{NODE}/status", {"status": status}, MERGE)


def _says(files: Layout, url: str, words: str) -> Callable[[], bool]:
    """Whether an address of the control plane answers with `words`, asked with the bed's certificate."""

    def ready() -> bool:
        context = ssl.create_default_context(cafile=str(files.authority))
        context.load_cert_chain(files.server, files.server_key)
        opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context)
        )
        with opener.open(url, timeout=2) as answer:
            return words in answer.read().decode()

    return ready


def _write(path: Path, content: bytes) -> None:
    write_private(path, content.decode())
