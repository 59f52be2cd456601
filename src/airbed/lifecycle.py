"""Bring a bed up, stop and start it; each safe to repeat and to interrupt."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from filelock import FileLock

from airbed import levers
from airbed.bed import Bed
from airbed.disk import ensure_disk_has_room, ensure_writable
from airbed.errors import Unavailable, UsageError
from airbed.faults.ledger import Ledger
from airbed.faults.recovery import recover, recover_what_can_be
from airbed.locks import locked
from airbed.removal import remove_half_made
from airbed.request import Request
from airbed.settings import Settings
from airbed.spec import BedFiles, BedSpec, bed_names
from airbed.substrates.base import Beds
from airbed.substrates.registry import EMBEDDED, beds_on
from airbed.substrates.shared import prepare_roots
from airbed.topology import POOLS
from airbed.userdags import ensure_input_is_valid, notices, of_bed, wants_kubernetes

Progress = Callable[[str], None]


@dataclass
class Came:
    """How `up` went: `outcome` is created, started, unchanged, mended, extended or restored (made of a snapshot).

    `services` has the seconds to ready of each.
    """

    outcome: str
    seconds: float
    services: dict[str, float] = field(default_factory=dict)


def up(settings: Settings, request: Request, progress: Progress) -> tuple[Bed, Came]:
    """Bring a bed to healthy, whatever is there already, and return it.

    Raises UsageError before anything is started when the request is wrong, Unavailable when a part does not start.
    """
    files = BedFiles(settings, request.name)
    request = ensure_input_is_valid(request)
    for folder in (settings.state, settings.cache):
        ensure_writable(folder)
    ensure_disk_has_room(settings)
    substrate = _substrate(files, request)
    beds = beds_on(substrate)
    beds.ensure_possible(settings, request)
    prepare_roots(settings)
    start = time.monotonic()
    for line in notices(request):
        progress(line)
    beds.prepare(settings, request, progress)
    with locked(files, progress):
        spec = _existing(settings, files, request, progress)
        if spec is not None:
            came = _again(settings, files, spec, progress)
        else:
            progress(f"creating bed '{request.name}'")
            _create(substrate, settings, files, request, progress)
            came = Came("created", 0, bring_up(settings, files, progress))
        bed = Bed(settings, files)
        if not bed.spec.kubernetes and _wants_kubernetes(bed, request):
            _add_kubernetes(bed, progress)
            came.outcome = "extended" if came.outcome == "unchanged" else came.outcome
            bed = Bed(settings, files)
        came.seconds = time.monotonic() - start
        return bed, came


def _again(settings: Settings, files: BedFiles, spec: BedSpec, progress: Progress) -> Came:
    """Make a bed that was healthy once healthy again, with as little as that takes."""
    bed = Bed(settings, files)
    broken_on_purpose = bool(Ledger(bed.folder).entries())
    came = None
    if spec.state == "up" and bed.substrate.alive():
        # Before: a database without a free connection cannot be mended. After: what a dead service kept.
        recover_what_can_be(bed, progress)
        try:
            came = Came("mended" if bed.substrate.mend(progress) or broken_on_purpose else "unchanged", 0)
        except Unavailable as error:
            progress(f"{error}: starting every service anew")
    if came is None:
        progress(f"starting bed '{spec.name}' again with its data")
        came = Came("started", 0, bring_up(settings, files, progress))
    recover(bed, by_hand=True)
    return came


def _existing(settings: Settings, files: BedFiles, request: Request, progress: Progress) -> BedSpec | None:
    """The spec of a bed to go on with; what a killed `up` left half-made is removed."""
    remove_half_made(files, progress)
    if not files.exists():
        return None
    spec = files.read_spec()
    if not files.endpoints.is_file():
        raise Unavailable(
            f"bed '{spec.name}' cannot be used: {files.endpoints} is gone;"
            f" delete the bed: airbed down --name {spec.name}"
        )
    other = {key: value for key, value in request.said().items() if getattr(spec, key) != value}
    if other:
        have = ", ".join(f"{key}={getattr(spec, key)!r}" for key in other)
        raise UsageError(
            f"bed '{spec.name}' exists with other options ({have}); take it down first (airbed down --name {spec.name})"
            " or give the new one another --name"
        )
    return spec


def _substrate(files: BedFiles, request: Request) -> str:
    """What the bed is on: as asked for, else what it is on already, else the embedded substrate."""
    if request.substrate is not None:
        return request.substrate
    with contextlib.suppress(Unavailable):
        return files.read_spec().substrate
    return EMBEDDED


def _create(substrate: str, settings: Settings, files: BedFiles, request: Request, progress: Progress) -> None:
    beds = beds_on(substrate)
    spec = BedSpec(name=request.name, **request.said())  # type: ignore[arg-type]
    # Not said by who only brings a half-made bed up: then it is on what that one was on.
    spec.substrate = substrate
    if request.levers_off is None:
        spec.levers_off = levers.off_by_default()
    if request.time_scale is None and not (request.dags or request.project):
        spec.time_scale = 100
    spec.kubernetes = _wants(request, spec) and beds.has_kubernetes(settings)
    spec.tcp_faults = beds.can_break_tcp(settings, progress)
    lay_out(beds, settings, files, spec)
    files.write_endpoints(beds.make_endpoints(spec, files))


def lay_out(beds: Beds, settings: Settings, files: BedFiles, spec: BedSpec) -> None:
    """Make a new bed's folders, give it its ports and write its spec: from now on `up` and `down` know of it."""
    beds.make_folders(files)
    # Two beds that start at once must not be given the same ports.
    with FileLock(settings.beds / ".ports.lock", timeout=30):
        spec.ports = beds.allocate_ports(settings, spec)
        files.write_spec(spec)


def bring_up(settings: Settings, files: BedFiles, progress: Progress) -> dict[str, float]:
    """Start a bed that does not run, wait until all its services work, and note that it is up.

    Returns seconds to ready by service. Whatever stops it ends all of the bed's processes; folder and logs stay.
    """
    bed = Bed(settings, files)
    try:
        seconds = bed.substrate.up(progress)
        furnish(bed)
    except BaseException:
        # The logs stay, for whoever asks why.
        bed.substrate.sweep()
        raise
    bed.spec.state = "up"
    files.write_spec(bed.spec)
    return seconds


def furnish(bed: Bed) -> None:
    """What a healthy Airflow still lacks: pools."""
    for pool in (*POOLS, *of_bed(bed.spec).pools):
        bed.airflow.set_pool(pool.name, pool.slots, pool.description)


def _wants(request: Request, spec: BedSpec) -> bool:
    if request.kubernetes is not None:
        return request.kubernetes
    if spec.dags or spec.project:
        return wants_kubernetes(spec)
    return True


def _wants_kubernetes(bed: Bed, request: Request) -> bool:
    if not _wants(request, bed.spec):
        return False
    beds = beds_on(bed.spec.substrate)
    return beds.has_kubernetes(bed.settings) or beds.can_have_kubernetes(bed.settings)[0]


def _add_kubernetes(bed: Bed, progress: Progress) -> None:
    beds_on(bed.spec.substrate).build_kubernetes(bed.settings, progress)
    before = set(bed.substrate.services)
    bed.spec.kubernetes = True
    bed.substrate.add([each for each in bed.substrate.services if each not in before], progress)
    bed.files.write_spec(bed.spec)


def stop(bed: Bed, progress: Progress = lambda line: None) -> int:
    """End all processes of a bed and keep its data; returns how many there were. Faults are put back first."""
    with locked(bed.files, progress):
        # Another command may have changed it while this one waited.
        bed.spec = bed.files.read_spec()
        if bed.substrate.alive():
            recover_what_can_be(bed, progress)
        ended = bed.substrate.halt()
        bed.spec.state = "stopped"
        bed.files.write_spec(bed.spec)
        return ended


def start(settings: Settings, name: str, progress: Progress) -> tuple[Bed, Came]:
    """Start a stopped bed with its data."""
    BedFiles(settings, name).read_spec()
    return up(settings, Request(name=name, kubernetes=False), progress)


def beds(settings: Settings) -> list[BedSpec]:
    """The specs of all beds of this user; one that cannot be read stands as an empty one in the state `unreadable`."""
    found = []
    for name in bed_names(settings):
        try:
            found.append(BedFiles(settings, name).read_spec())
        except Unavailable:
            found.append(BedSpec(name=name, created="", state="unreadable"))
    return found
