"""What SeaweedFS leaves behind is found by the bed's own ports, and nothing else is."""

from __future__ import annotations

from pathlib import Path

from airbed.substrates.embedded import object_store


def test_only_the_sockets_of_the_beds_own_ports_are_removed(tmp_path: Path) -> None:
    ports = {"s3": 15001, "s3-filer-grpc": 15002, "director": 15003}
    own = [tmp_path / "seaweedfs-s3-15001.sock", tmp_path / "seaweedfs-filer-grpc-15002.sock"]
    others = [
        tmp_path / "seaweedfs-s3-115001.sock",
        tmp_path / "seaweedfs-filer-grpc-15003.sock",
        tmp_path / "seaweedfs-s3-1500.sock",
    ]
    for path in (*own, *others):
        path.touch()

    removed = object_store.remove_sockets(ports, tmp_path)

    assert removed == 2
    assert sorted(tmp_path.iterdir()) == sorted(others)


def test_the_ports_of_a_bed_without_a_record_stand_in_the_command_line_of_its_s3() -> None:
    assigned = {purpose: 15000 + number for number, purpose in enumerate(object_store.PORTS)}
    command = " ".join(object_store._seaweedfs(assigned, Path("/data")))

    assert object_store.ports_in(command) == assigned
