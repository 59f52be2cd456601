"""How embedded beds are made and removed; see `airbed.substrates.base.Beds`."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path

from airbed.endpoints import Endpoints
from airbed.errors import Unavailable, UsageError
from airbed.request import Request
from airbed.settings import Settings
from airbed.spec import BedFiles, BedSpec
from airbed.substrates.base import Progress, Removed
from airbed.substrates.embedded import processes
from airbed.substrates.embedded.ports import still_taken
from airbed.substrates.embedded.substrate import EmbeddedSubstrate


def ensure_possible(settings: Settings, request: Request) -> None:
    """Kubernetes, where it was asked for, must be built or buildable; the S3 service must be one of the lock."""
    if request.s3 == "minio":
        raise UsageError("--s3 minio needs --on compose: no package index has MinIO; choose seaweedfs or moto")
    if not request.kubernetes:
        return
    possible, why_not = can_have_kubernetes(settings)
    if not possible and not has_kubernetes(settings):
        raise Unavailable(f"{why_not}; without --with kubernetes everything but multi_region_deploy runs")


def prepare(settings: Settings, request: Request, progress: Progress) -> None:
    """The overlay of a project's requirements."""
    from airbed.substrates.embedded import overlay

    if request.project:
        overlay.ensure_overlay(settings, Path(request.project) / "requirements.txt", progress)


def has_kubernetes(settings: Settings) -> bool:
    """Whether the Kubernetes tools are built."""
    from airbed.kubernetes import build

    return build.tools(settings) is not None


def can_have_kubernetes(settings: Settings) -> tuple[bool, str]:
    """Whether they can be built here."""
    from airbed.kubernetes import build

    return build.can_build(settings)


def build_kubernetes(settings: Settings, progress: Progress) -> None:
    """Build the tools where they are missing."""
    from airbed.kubernetes import build

    build.build(settings, progress)


def can_break_tcp(settings: Settings, progress: Progress) -> bool:
    """Whether the bed gets Toxiproxy, which is built when it is missing. All but TCP faults works without."""
    from airbed.toxiproxy import build

    try:
        build.build(settings, progress)
    except Unavailable as error:
        progress(f"tasks reach services directly, and tcp.* faults are refused on this bed: {error}")
        return False
    return True


def make_folders(files: BedFiles) -> None:
    """The bed's folders: closed, but for those that Postgres' own user must pass through."""
    from airbed.substrates.embedded import layout

    layout.make_folders(files)


def allocate_ports(settings: Settings, spec: BedSpec) -> dict[str, int]:
    """A loopback port for each purpose."""
    from airbed.substrates.embedded import layout

    return layout.allocate_ports(settings, spec)


def make_endpoints(spec: BedSpec, files: BedFiles) -> Endpoints:
    """Addresses on loopback."""
    from airbed.substrates.embedded import layout

    return layout.make_endpoints(spec, files)


def open_bed(settings: Settings, files: BedFiles, spec: BedSpec, endpoints: Endpoints) -> EmbeddedSubstrate:
    """The verbs on one bed's processes."""
    return EmbeddedSubstrate(settings, files, spec, endpoints)


def marks_of(files: BedFiles) -> set[str]:
    """The marks of living processes of the bed's folder."""
    return processes.marks_by_folder().get(str(files.folder), set())


def strays(settings: Settings) -> set[str]:
    """The names of beds whose processes live."""
    folders = [Path(each) for each in processes.marks_by_folder()]
    return {each.name for each in folders if each.parent == settings.beds}


def remove(files: BedFiles, marks: Collection[str], ports: Mapping[str, int], progress: Progress) -> Removed:
    """Sweep the processes, then look at each port."""
    from airbed.substrates.embedded import object_store

    sockets = dict(ports)
    if not ports:
        # The bed's own record is lost; its S3, while it lives, knows the ports of its sockets.
        for pid in (pid for mark in marks for pid in processes.of_bed(mark, "s3")):
            sockets |= object_store.ports_in(processes.command_of(pid))
    ended = sum(EmbeddedSubstrate.sweep_mark(mark, files.name) for mark in marks)
    object_store.remove_sockets(sockets)
    # None of the bed's processes is left: a port that stays taken went to another program while the bed was stopped.
    wanted = set(ports.values())
    taken = still_taken(wanted)
    if taken:
        progress(f"ports {taken} of bed '{files.name}' are used by a program that is not of the bed")
    return Removed(ended, len(wanted) - len(taken), taken)
