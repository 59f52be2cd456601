"""What a bed of containers may delete, and on which engine: told to a `docker` that notes how it was called."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from compose_bed import Docker, make_bed

from airbed.bed import Bed
from airbed.errors import Unavailable, UsageError
from airbed.request import Request
from airbed.settings import Settings
from airbed.substrates.compose import beds
from airbed.substrates.compose.cluster import Cluster
from airbed.substrates.compose.engine import find

OTHER = "unix:///other.sock"


@pytest.fixture
def docker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Docker:
    return Docker(tmp_path / "docker", monkeypatch)


@pytest.fixture
def bed(tmp_path: Path, docker: Docker, monkeypatch: pytest.MonkeyPatch) -> Bed:
    made = make_bed(tmp_path)
    monkeypatch.setattr(beds, "load_settings", lambda: made.settings)
    return made


def there(docker: Docker, kind: str, folder: str | None) -> None:
    """One object of a kind with the project's name; `folder` is its label, None for one that airbed did not make."""
    docker.answer("compose version", "2.30.0")
    docker.answer(f"{kind} ls", "id-1")
    docker.answer(f"{kind} inspect", json.dumps({"folder": folder, "mark": None}))


def removed(docker: Docker) -> list[str]:
    return [each for each in docker.calls if " rm " in f" {each} "]


@pytest.mark.parametrize("kind", ["container", "network", "volume"])
@pytest.mark.parametrize("folder", [None, "/somebody/else"])
def test_what_airbed_did_not_make_is_left_alone(bed: Bed, docker: Docker, kind: str, folder: str | None) -> None:
    """`docker compose up` alone, of a project that has the bed's name, or what its `down` left: volumes."""
    there(docker, kind, folder)
    bed.files.spec.unlink()
    beds.remove(bed.files, [], {}, lambda line: None)
    assert removed(docker) == []
    with pytest.raises(UsageError, match="give this bed another --name"):
        beds.ensure_possible(bed.settings, Request("mine"))


def test_what_is_of_the_bed_s_folder_goes(bed: Bed, docker: Docker) -> None:
    there(docker, "volume", str(bed.files.folder))
    bed.files.spec.unlink()
    # The docker of this test deletes nothing, and what is left is told.
    with pytest.raises(Unavailable, match="kept volume id-1"):
        beds.remove(bed.files, [], {}, lambda line: None)
    assert removed(docker) == ["volume rm id-1"]


def on_another_engine(bed: Bed, docker: Docker, socket: str) -> None:
    bed.spec.engine = {"socket": socket, "id": "ABCD"}
    bed.files.write_spec(bed.spec)
    docker.answer("info --format", "EFGH\n")
    docker.answer("compose version", "2.30.0")


def test_a_bed_on_another_engine_is_neither_removed_nor_made_anew(bed: Bed, docker: Docker, tmp_path: Path) -> None:
    socket = tmp_path / "other.sock"
    socket.touch()
    on_another_engine(bed, docker, f"unix://{socket}")
    for verb in (
        lambda: beds.remove(bed.files, [], {}, lambda line: None),
        lambda: beds.ensure_possible(bed.settings, Request("mine")),
    ):
        with pytest.raises(Unavailable, match=rf"on the Docker engine at unix://{socket}.*export DOCKER_HOST="):
            verb()
    assert bed.files.exists()


def test_an_engine_that_is_gone_holds_nothing_up(bed: Bed, docker: Docker, tmp_path: Path) -> None:
    on_another_engine(bed, docker, f"unix://{tmp_path}/gone.sock")
    assert beds.remove(bed.files, [], {}, lambda line: None).ended == 0


@pytest.mark.parametrize("noted", [{}, {"socket": "unix:///nowhere.sock", "id": "old"}, {"socket": "x", "id": "EFGH"}])
def test_the_same_engine_is_known_by_its_id_or_its_socket(bed: Bed, docker: Docker, noted: dict[str, str]) -> None:
    bed.spec.engine = noted
    bed.files.write_spec(bed.spec)
    docker.answer("info --format", "EFGH\n")
    assert beds.remove(bed.files, [], {}, lambda line: None).ended == 0


def cluster(bed: Bed, settings: Settings) -> Cluster:
    return Cluster(find(settings), settings, bed.files, bed.spec, bed.endpoints)


@pytest.mark.parametrize(
    ("node", "administrator", "begins_anew", "creates"),
    [(True, True, False, False), (True, False, True, True), (False, True, False, True), (False, False, False, True)],
)
def test_a_cluster_is_made_anew_unless_it_was_finished(
    bed: Bed,
    docker: Docker,
    monkeypatch: pytest.MonkeyPatch,
    node: bool,
    administrator: bool,
    begins_anew: bool,
    creates: bool,
) -> None:
    """A node without the administrator's kubeconfig was interrupted; a kubeconfig without a node is of another one."""
    done: list[str] = []
    kubeconfig = bed.endpoints.kubernetes.kubeconfig
    if administrator:
        kubeconfig.write_text("")
    if node:
        docker.answer("container inspect", '{"running": true}')
        docker.answer("container ls", "node-id")

    def create(self: Cluster) -> None:
        assert not kubeconfig.exists()
        done.append("create")

    monkeypatch.setattr(Cluster, "_create", create)
    for step in ("_write_administrator", "_make_regions"):
        monkeypatch.setattr(Cluster, step, lambda self: None)
    monkeypatch.setattr(Cluster, "_await_api", lambda self, timeout: None)
    cluster(bed, bed.settings).up(lambda line: None)
    assert bool(removed(docker)) is begins_anew
    assert bool(done) is creates
