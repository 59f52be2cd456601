"""The kind cluster of a bed: one node, which is a container in the bed's network, with a real kubelet.

Its parts are services of the bed as on the embedded substrate: processes inside the node, where the kubelet brings back
what was killed, and takes down what has no manifest any more.
"""

from __future__ import annotations

import json
import time
from pathlib import Path

from airbed.endpoints import Endpoints
from airbed.errors import AirbedError, Unavailable
from airbed.settings import Settings
from airbed.spec import BedFiles, BedSpec, write_private
from airbed.substrates.base import Progress, ServiceStatus
from airbed.substrates.compose import kind, layout
from airbed.substrates.compose.engine import Engine, EngineError
from airbed.substrates.compose.nodeimages import NodeImages

CONTROL_PLANE = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler")
KUBELET = "kubelet"
PARTS = (*CONTROL_PLANE, KUBELET)
TOKEN_SECONDS = 365 * 24 * 3600
# What the DAG of the regions deploys. Any image that runs will do; these names are for the one that is loaded.
DEPLOYED = ("web:1.2.3", "web:1.2.4")
_ADMIN = "airbed-admin"
_KUBECTL = ("kubectl", "--kubeconfig", "/etc/kubernetes/admin.conf")
_MANIFESTS = "/etc/kubernetes/manifests"
_ASIDE = "/etc/kubernetes/stopped"
# The kernel keeps 15 letters of a name. One line each: name, pid, state, clock ticks since boot at its start.
_LIST = """
for p in /proc/[0-9]*; do
  c=$(cat "$p/comm" 2>/dev/null) || continue
  case $c in etcd|kube-apiserver|kube-controller|kube-scheduler|kubelet)
    s=$(cat "$p/stat" 2>/dev/null) || continue; set -- ${s##*) }
    echo "$c ${p#/proc/} $1 ${20}";; esac
done; getconf CLK_TCK; cut -d' ' -f1 /proc/uptime
"""


class Cluster:
    """The cluster of one bed; every method raises Unavailable when the engine or the cluster refuses."""

    def __init__(
        self, engine: Engine, settings: Settings, files: BedFiles, spec: BedSpec, endpoints: Endpoints
    ) -> None:
        self._engine = engine
        self._settings = settings
        self._files = files
        self._spec = spec
        self._endpoints = endpoints
        self.node = layout.node(spec.name)

    def up(self, progress: Progress) -> None:
        """Create the cluster, or start the one that is there, and make the regions in it."""
        found = self._engine.inspect("container", self.node, form='{"running":{{json .State.Running}}}')
        administrator = self._endpoints.kubernetes.kubeconfig
        if found and not administrator.is_file():
            progress("the creation of the kind cluster was interrupted: beginning anew")
            self.remove()
            found = []
        if not found:
            progress("creating the kind cluster")
            # Of a cluster that somebody deleted: another one has another authority.
            administrator.unlink(missing_ok=True)
            self._create()
        elif not found[0]["running"]:
            self._engine.run("start", self.node)
        self._write_administrator()
        self._await_api(90)
        self._make_regions()

    def halt(self) -> int:
        """Stop the node, everything in it kept; returns how many containers that were."""
        if not self._engine.inspect("container", self.node, form="{{json .Id}}"):
            return 0
        self._engine.run("stop", "--time", "5", self.node)
        return 1

    def _create(self) -> None:
        from airbed.substrates.compose.project import read_environment

        program = kind.binary(self._settings)
        config = self._files.kubernetes / "kind.json"
        template = self._settings.resources.infra / "kubernetes/kind/cluster.yaml"
        write_private(config, json.dumps(kind.configuration(self._spec, template), indent=1))
        image = read_environment(self._files).get("KIND_NODE_IMAGE")
        done = kind.run(
            program,
            self._engine,
            [
                *("create", "cluster", "--name", layout.project(self._spec.name), "--config", str(config)),
                *("--kubeconfig", str(self._files.kubernetes / "kind.kubeconfig"), "--wait", f"{kind.CREATE_SECONDS}s"),
                *(["--image", image] if image else []),
            ],
            {"KIND_EXPERIMENTAL_DOCKER_NETWORK": layout.network(self._spec.name)},
        )
        if done.returncode:
            self.remove()
            raise self._engine.error(("kind", "create", "cluster"), done.stderr or done.stdout)
        # What the pattern deploys.
        for name in DEPLOYED:
            self.give_image(name)

    def give_image(self, name: str) -> None:
        """Let pods run an image: the engine's of that name, else the regions' own under that name."""
        NodeImages(self._engine, self._files, self.node).give(name)

    def _write_administrator(self) -> None:
        """An account with all rights and a token, in a kubeconfig of the bed's own form.

        Written once the cluster has its images: a node without it is one whose creation was interrupted.
        """
        from airbed.kubernetes.files import kubeconfig

        path = self._endpoints.kubernetes.kubeconfig
        if path.is_file():
            return
        binding = f"{_ADMIN}-is-{_ADMIN}"
        deadline = time.monotonic() + 60
        while True:
            try:
                for words in (
                    ("create", "serviceaccount", _ADMIN, "--namespace", "kube-system"),
                    ("create", "clusterrolebinding", binding, "--clusterrole", "cluster-admin",
                     "--serviceaccount", f"kube-system:{_ADMIN}"),
                ):  # fmt: skip
                    self._inside_unless_there(*_KUBECTL, *words)
                token = self._inside(
                    *(*_KUBECTL, "create", "token", _ADMIN, "--namespace", "kube-system"),
                    *("--duration", f"{TOKEN_SECONDS}s"),
                ).strip()
                break
            except EngineError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.5)
        authority = self._inside("cat", "/etc/kubernetes/pki/ca.crt").encode()
        write_private(path, kubeconfig(self._endpoints.kubernetes.direct, authority, token))

    def _make_regions(self) -> None:
        from airbed.kubernetes import regions

        at = self._endpoints.kubernetes
        folder = next(iter(at.regions.values())).kubeconfig.parent
        regions.configure(at.kubeconfig, folder, self._settings.resources.infra / "kubernetes", server=at.task)

    def remove(self) -> int:
        """Delete the node with its data; returns how many containers that were."""
        return kind.remove(self._engine, self._spec.name)

    # The parts inside the node.

    def status(self) -> list[ServiceStatus]:
        """A row for each part."""
        address = f"127.0.0.1:{self._spec.ports['kube-apiserver']}"
        try:
            found = self._processes()
        except EngineError:
            found = {}
        rows = []
        for part in PARTS:
            state, pid, seconds = found.get(part, ("stopped", None, 0.0))
            rows.append(ServiceStatus(part, state, pid, seconds, 0, address if part == "kube-apiserver" else ""))
        return rows

    def _processes(self) -> dict[str, tuple[str, int | None, float]]:
        *lines, ticks, uptime = self._inside("sh", "-c", _LIST).splitlines()
        found: dict[str, tuple[str, int | None, float]] = {}
        for line in lines:
            comm, pid, letter, start = line.split()
            part = next(each for each in PARTS if each[:15] == comm)
            seconds = float(uptime) - int(start) / int(ticks)
            found[part] = ("paused" if letter == "T" else "running", int(pid), seconds)
        return found

    def stop(self, part: str) -> None:
        """Take a part down: no manifest, no pod; it stays so until `start`."""
        self.unpause(part)
        if part == KUBELET:
            self._inside("systemctl", "stop", KUBELET)
        else:
            self._move(part, _MANIFESTS, _ASIDE)
        deadline = time.monotonic() + 60
        while part in self._processes():
            if time.monotonic() > deadline:
                raise Unavailable(f"{part} does not leave the node {self.node}")
            time.sleep(0.2)

    def start(self, part: str) -> None:
        """Bring it back."""
        if part == KUBELET:
            self._inside("systemctl", "start", KUBELET)
        else:
            self._move(part, _ASIDE, _MANIFESTS)

    def _move(self, part: str, source: str, target: str) -> None:
        script = f"mkdir -p {target}; [ ! -e {source}/{part}.yaml ] || mv {source}/{part}.yaml {target}/"
        self._inside("sh", "-c", script)

    def kill(self, part: str) -> None:
        """SIGKILL; the kubelet, or systemd in the kubelet's own case, brings it back."""
        self._signal(part, "KILL")

    def pause(self, part: str) -> None:
        """Freeze it. The kubelet kills what does not answer its probes for more than a minute."""
        self._signal(part, "STOP")

    def unpause(self, part: str) -> None:
        """Let it go on."""
        self._signal(part, "CONT")

    def _signal(self, part: str, name: str) -> None:
        pid = self._processes().get(part, ("", None, 0.0))[1]
        if pid is not None:
            self._inside("sh", "-c", f"kill -{name} {pid} 2>/dev/null || true")

    def wait_ready(self, part: str, timeout: float) -> None:
        """Wait until the API says that it is ready and the part runs."""
        deadline = time.monotonic() + timeout
        self._await_api(timeout)
        while self._processes().get(part, ("stopped", None, 0.0))[0] != "running" or not self._node_is_ready():
            if time.monotonic() > deadline:
                raise Unavailable(f"{part} in {self.node} was not ready in time; see: docker logs {self.node}")
            time.sleep(0.2)

    def log_file(self, part: str) -> Path:
        """The output of a part as the node has it now."""
        path = self._files.logs / f"{part}.log"
        script = f"journalctl --no-pager --unit {KUBELET}"
        if part != KUBELET:
            script = f"cat /var/log/pods/kube-system_{part}-*/*/*.log"
        done = self._engine.attempt("exec", self.node, "sh", "-c", script)
        if done.returncode == 0:
            path.write_text(done.stdout)
        return path

    def _await_api(self, timeout: float) -> None:
        from airbed.kubernetes.api import Api

        deadline = time.monotonic() + timeout
        while True:
            try:
                with Api(self._endpoints.kubernetes.kubeconfig, timeout=2) as api:
                    if api.ready():
                        return
                said = "it says that it is not ready"
            except AirbedError as error:
                said = str(error)
            if time.monotonic() > deadline:
                raise Unavailable(f"the API of the kind cluster {self.node} was not ready in time: {said}")
            time.sleep(0.2)

    def _node_is_ready(self) -> bool:
        from airbed.kubernetes.api import Api

        try:
            with Api(self._endpoints.kubernetes.kubeconfig, timeout=2) as api:
                found = api.call("GET", f"/api/v1/nodes/{self.node}")
        except AirbedError:
            return False
        conditions = {each["type"]: each["status"] for each in found.get("status", {}).get("conditions", [])}
        return conditions.get("Ready") == "True"

    def _inside(self, *command: str) -> str:
        return self._engine.run("exec", self.node, *command)

    def _inside_unless_there(self, *command: str) -> None:
        try:
            self._inside(*command)
        except EngineError as error:
            if "already exists" not in error.said:
                raise
