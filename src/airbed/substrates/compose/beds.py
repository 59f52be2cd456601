"""How beds of containers are made and removed; see `airbed.substrates.base.Beds`."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path

from airbed.endpoints import Endpoints
from airbed.errors import Unavailable, UsageError
from airbed.request import Request
from airbed.settings import Settings, load_settings
from airbed.spec import BedFiles, BedSpec
from airbed.substrates.base import Progress, Removed
from airbed.substrates.compose import layout
from airbed.substrates.compose.engine import Engine, ensure_has, ensure_usable, find
from airbed.substrates.compose.substrate import ComposeSubstrate
from airbed.substrates.registry import COMPOSE

_PROJECT = "com.docker.compose.project"
_FOLDER = "airbed.folder"
_MARK = "airbed.mark"
_WANTED = {"folder": _FOLDER, "mark": _MARK}
_KINDS = ("container", "network", "volume")


def ensure_possible(settings: Settings, request: Request) -> None:
    """An engine that will do, the compose file, every image, and no project of that name of somebody else."""
    from airbed.substrates.compose.project import compose_file

    engine = find(settings)
    ensure_usable(engine)
    compose_file(settings.resources)
    files = BedFiles(settings, request.name)
    noted = _noted(files)
    if noted is not None:
        ensure_has(engine, noted)
    folders = _folders_of(engine, request.name)
    for folder in folders:
        if str(files.folder) not in folders:
            whose = f"of the bed in {folder}" if folder else "that airbed did not make"
            raise UsageError(
                f"the engine at {engine.socket} has containers or volumes named {layout.project(request.name)} {whose};"
                " give this bed another --name"
            )
    if not files.exists() and _cluster_of(engine, request.name) and not _folders_of(engine, request.name):
        raise UsageError(
            f"there is a kind cluster named {layout.project(request.name)} already; give this bed another --name, or"
            f" delete it: kind delete cluster --name {layout.project(request.name)}"
        )
    if request.kubernetes:
        possible, why_not = can_have_kubernetes(settings)
        if not possible:
            raise Unavailable(f"{why_not}; without --with kubernetes everything but multi_region_deploy runs")
    if request.s3 == "minio":
        _ensure_minio(engine, settings)
    for image in missing_images(engine, settings):
        engine.run("pull", "--quiet", image, timeout=900)


def _ensure_minio(engine: Engine, settings: Settings) -> None:
    """MinIO has no stand-in: its image is there, or can be pulled."""
    from airbed.substrates.compose.project import image

    name = image(settings, "MINIO_IMAGE", settings.resources.infra / "s3/minio.yaml")
    if not engine.inspect("image", name, form="{{json .Id}}") and engine.attempt("pull", "-q", name).returncode:
        raise Unavailable(f"{name} is not here and cannot be pulled, and it has no stand-in: take --s3 seaweedfs")


def missing_images(engine: Engine, settings: Settings) -> list[str]:
    """The images of a bed that the engine does not have."""
    from airbed.substrates.compose.project import images

    wanted = [image for name, image in images(settings).items() if name != "KIND_NODE_IMAGE"]
    there = engine.attempt("image", "ls", "--format", "{{.Repository}}:{{.Tag}}").stdout.split()
    return [image for image in wanted if image not in there and not engine.inspect("image", image, form="{{json .Id}}")]


def prepare(settings: Settings, request: Request, progress: Progress) -> None:
    """The overlay of a project's requirements, for the image's Python."""
    from airbed.substrates.compose import imagebase
    from airbed.substrates.embedded import overlay

    if request.project:
        base = imagebase.base_of(find(settings), settings)
        overlay.ensure_overlay(settings, Path(request.project) / "requirements.txt", progress, base)


def has_kubernetes(settings: Settings) -> bool:
    """Whether kind is here: the node's image can be pulled or was built."""
    return can_have_kubernetes(settings)[0]


def can_have_kubernetes(settings: Settings) -> tuple[bool, str]:
    """Whether there is the program `kind`."""
    from airbed.substrates.compose.kind import binary

    try:
        return True, binary(settings)
    except Unavailable as error:
        return False, str(error)


def build_kubernetes(settings: Settings, progress: Progress) -> None:
    """Nothing is built here: `make images` does that."""
    possible, why_not = can_have_kubernetes(settings)
    if not possible:
        raise Unavailable(why_not)


def can_break_tcp(settings: Settings, progress: Progress) -> bool:
    """Toxiproxy is one of the containers."""
    return True


def make_folders(files: BedFiles) -> None:
    """The bed's folders."""
    layout.make_folders(files)


def allocate_ports(settings: Settings, spec: BedSpec) -> dict[str, int]:
    """Ports of this machine that are published, the bed's own network addresses, and the engine that it is on."""
    spec.engine = find(settings).identity()
    return layout.allocate_ports(settings, spec)


def make_endpoints(spec: BedSpec, files: BedFiles) -> Endpoints:
    """Published ports for the host, Toxiproxy's address in the bed's network for tasks."""
    return layout.make_endpoints(spec, files)


def open_bed(settings: Settings, files: BedFiles, spec: BedSpec, endpoints: Endpoints) -> ComposeSubstrate:
    """The verbs on one bed's containers."""
    return ComposeSubstrate(settings, files, spec, endpoints)


def marks_of(files: BedFiles) -> set[str]:
    """The marks of what the engine has of the bed's folder."""
    return {mark for _, mark in _quietly(load_settings(), f"{_FOLDER}={files.folder}") if mark}


def strays(settings: Settings) -> set[str]:
    """The names of beds of this state folder that the engine has something of."""
    folders = [Path(folder) for folder, _ in _quietly(settings, _FOLDER) if folder]
    return {each.name for each in folders if each.parent == settings.beds}


def _quietly(settings: Settings, label: str) -> set[tuple[str, str]]:
    """Folder and mark of everything with that label; nothing where no engine answers: every machine is asked this."""
    try:
        return _labels(find(settings), label)
    except Unavailable:
        return set()


def remove(files: BedFiles, marks: Collection[str], ports: Mapping[str, int], progress: Progress) -> Removed:
    """Remove containers, cluster, network and volumes, then look again; then end what holds faults on this machine.

    An engine that does not answer is left out, and said. Raises Unavailable when the bed is on another one that may
    still be there.
    """
    from airbed.substrates.compose import kind
    from airbed.substrates.embedded import processes
    from airbed.substrates.embedded.ports import still_taken

    settings = load_settings()
    ended = 0
    try:
        engine = find(settings)
        engine.run("version", "--format", "{{.Server.Version}}", timeout=15)
    except Unavailable as error:
        # An engine that does not run, runs no container; what it keeps on its disk is found by its next `down`.
        if not files.exists():
            return Removed(0, 0, [])
        progress(f"{error}. Containers that are left there go with: airbed down --name {files.name}, once it runs")
    else:
        noted = _noted(files)
        if noted is not None:
            ensure_has(engine, noted)
        # The node has no label of the bed's: the bed was made, or what is in the engine is of its folder.
        if noted is not None or str(files.folder) in _folders_of(engine, files.name):
            ended += kind.remove(engine, files.name)
        ended += _remove_all(engine, files)
    for mark in marks:
        ended += processes.sweep(mark)
    wanted = set(ports.values())
    taken = still_taken(wanted)
    if taken:
        progress(f"ports {taken} of bed '{files.name}' are used by a program that is not of the bed")
    return Removed(ended, len(wanted) - len(taken), taken)


def _noted(files: BedFiles) -> BedSpec | None:
    """The spec of a bed of containers; None when there is none that can be read."""
    try:
        spec = files.read_spec()
    except Unavailable:
        return None
    return spec if spec.substrate == COMPOSE else None


def _remove_all(engine: Engine, files: BedFiles) -> int:
    """Remove by label, and prove it; returns how many containers there were."""
    folders = _folders_of(engine, files.name)
    # Others' beds, and what somebody brought up with docker compose alone: neither has this bed's label.
    if str(files.folder) not in folders:
        return 0
    label = f"label={_PROJECT}={layout.project(files.name)}"
    ended = 0
    for kind in _KINDS:
        found = engine.ids(kind, label)
        if kind == "container":
            ended = len(found)
        if found:
            options = ["--force", "--volumes"] if kind == "container" else []
            engine.attempt(kind, "rm", *options, *found, timeout=120)
    left = {kind: ids for kind in _KINDS if (ids := engine.ids(kind, label))}
    if left:
        said = "; ".join(f"{kind} {' '.join(ids)}" for kind, ids in left.items())
        raise Unavailable(f"bed '{files.name}': the engine at {engine.socket} kept {said}; try again: airbed down")
    return ended


def _labels(engine: Engine, label: str) -> set[tuple[str, str]]:
    """Folder and mark of everything with that label."""
    rows = []
    for kind, labels in (("container", ".Config.Labels"), ("network", ".Labels"), ("volume", ".Labels")):
        parts = (f'"{key}":{{{{json (index {labels} "{name}")}}}}' for key, name in _WANTED.items())
        form = "{" + ",".join(parts) + "}"
        rows += engine.inspect(kind, *engine.ids(kind, f"label={label}"), form=form)
    return {(str(row["folder"] or ""), str(row["mark"] or "")) for row in rows}


def _folders_of(engine: Engine, name: str) -> set[str]:
    """The folders of the beds to which what has the project's name belongs; empty text for what belongs to none."""
    return {folder for folder, _ in _labels(engine, f"{_PROJECT}={layout.project(name)}")}


def _cluster_of(engine: Engine, name: str) -> list[str]:
    from airbed.substrates.compose.kind import LABEL

    return engine.ids("container", f"label={LABEL}={layout.project(name)}")
