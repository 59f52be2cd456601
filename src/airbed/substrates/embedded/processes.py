"""Find and end the processes of a bed, by the marks in their environment.

Every process of a bed carries AIRBED_MARK=<mark of the bed>, AIRBED_SERVICE=<name> and AIRBED_FOLDER=<folder of the
bed>. Some processes show none: Postgres' children overwrite their environment and open sessions of their own (so each
server carries mark and service in its `cluster_name`, which every process of it has in its title), a task may start
`env -i`, and the workers of Airflow's LocalExecutor forbid their own user to read theirs (PR_SET_DUMPABLE 0, in
`supervise_task` of 3.3.2; root may). So descendants and sessions of marked processes count too, and every search is
repeated until it finds nothing new.

Few and light imports: `guard.py` runs this before each start of a service.
"""

from __future__ import annotations

import os
import signal
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

MARK = "AIRBED_MARK"
SERVICE = "AIRBED_SERVICE"
FOLDER = "AIRBED_FOLDER"
KEEPER = "keeper"
SCHEDULER = "scheduler"
_TITLE = "airbed-"


class Process:
    """A row of /proc.

    `state` is the kernel's letter, `start` in clock ticks since boot; `mark`, `service` and `folder` are None where
    they could not be read.
    """

    __slots__ = ("folder", "group", "mark", "parent", "pid", "service", "session", "start", "state")

    def __init__(self, pid: int, fields: list[str], mark: str | None, service: str | None, folder: str | None) -> None:
        self.pid = pid
        self.state = fields[0]
        self.parent = int(fields[1])
        self.group = int(fields[2])
        self.session = int(fields[3])
        self.start = int(fields[19])
        self.mark = mark
        self.service = service
        self.folder = folder


def server_title(mark: str, service: str) -> str:
    """The `cluster_name` of a Postgres server, by which all its processes are found."""
    return f"{_TITLE}{mark}-{service}"


def processes() -> dict[int, Process]:
    """All processes that exist now, zombies left out, by pid."""
    found = {}
    for entry in os.listdir("/proc"):  # noqa: PTH208
        if entry.isdigit() and (process := _read(int(entry))) is not None:
            found[process.pid] = process
    return found


def _read(pid: int) -> Process | None:
    stat = _content(pid, "stat").decode(errors="replace")
    if ")" not in stat:
        return None
    fields = stat[stat.rindex(")") + 2 :].split()
    if fields[0] in "ZX":
        return None
    environ = _content(pid, "environ")
    if f"{MARK}=".encode() in environ:
        values = environ.split(b"\0")
        return Process(pid, fields, *(_value(values, name) for name in (MARK, SERVICE, FOLDER)))
    return Process(pid, fields, *_from_title(_content(pid, "cmdline")), None)


def command_of(pid: int) -> str:
    """The command line of a process, its words separated by blanks; empty when it is gone or may not be read."""
    return _content(pid, "cmdline").replace(b"\0", b" ").decode(errors="replace")


def _content(pid: int, name: str) -> bytes:
    """A file of a process; empty when it is gone or may not be read."""
    try:
        file = os.open(f"/proc/{pid}/{name}", os.O_RDONLY)
    except OSError:
        return b""
    try:
        content = part = os.read(file, 65536)
        while part:
            part = os.read(file, 65536)
            content += part
        return content
    except OSError:
        return b""
    finally:
        os.close(file)


def _value(environ: list[bytes], name: str) -> str | None:
    key = name.encode() + b"="
    return next((each[len(key) :].decode(errors="replace") for each in environ if each.startswith(key)), None)


def _from_title(command: bytes) -> tuple[str | None, str | None]:
    """Mark and service of a Postgres process: the server's own option, or the title of its children."""
    if _TITLE.encode() not in command:
        return None, None
    for start in (b"postgres: ", b"--cluster_name="):
        for word in command.split(b"\0"):
            if word.startswith(start + _TITLE.encode()):
                title = word[len(start) + len(_TITLE) :].split(b" ")[0].decode(errors="replace").rstrip(":")
                mark, _, service = title.partition("-")
                return mark, service
    return None, None


def of_bed(mark: str, service: str | None = None, without: Collection[str] = ()) -> dict[int, Process]:
    """The processes of a bed, or of one of its services, by pid: marked ones, their sessions, all descendants.

    Services named in `without` are left out, with their descendants. The caller and its ancestors are never among them.
    """
    everything = processes()
    owners = _owners(mark, everything)
    spared = _self_and_ancestors(everything)
    spared |= with_descendants({pid for pid, owner in owners.items() if owner in without}, everything)
    hit = {pid for pid, owner in owners.items() if service in (None, owner)} - spared
    # All services share the keeper's session: it belongs to the bed, but to none of its services. A session whose
    # leader lives and is not of the bed is a user's terminal.
    foreign = {os.getsid(0)} | {each.session for pid, each in everything.items() if pid in spared}
    if service is not None:
        foreign |= {everything[pid].session for pid in owners if pid not in hit}
    sessions = {everything[pid].session for pid in hit} - foreign
    sessions = {leader for leader in sessions if leader in hit or leader not in everything}
    hit |= {pid for pid, each in everything.items() if each.session in sessions}
    return {pid: everything[pid] for pid in with_descendants(hit, everything) - spared}


def _owners(mark: str, everything: dict[int, Process]) -> dict[int, str | None]:
    """The service of each process with the mark, and of those in the keeper's session that show none.

    The keeper gives each service a process group of its own, which its orphans keep. A group of which nobody shows the
    mark any more is what a scheduler left: only its workers hide theirs.
    """
    marked = {pid: each for pid, each in everything.items() if each.mark == mark}
    keepers = {pid for pid, each in marked.items() if each.service == KEEPER}
    groups = {each.group: each.service for each in marked.values()}
    hidden = {pid: each for pid, each in everything.items() if each.mark is None and each.session in keepers}
    return {
        **{pid: each.service for pid, each in marked.items()},
        **{pid: groups.get(each.group, SCHEDULER) for pid, each in hidden.items()},
    }


def with_descendants(roots: Iterable[int], everything: dict[int, Process]) -> set[int]:
    """These pids and all that descends from them."""
    found = set(roots)
    size = -1
    while size != len(found):
        size = len(found)
        found |= {pid for pid, each in everything.items() if each.parent in found}
    return found


def _self_and_ancestors(everything: dict[int, Process]) -> set[int]:
    spared: set[int] = set()
    pid = os.getpid()
    while pid in everything and pid not in spared:
        spared.add(pid)
        pid = everything[pid].parent
    return spared | {os.getpid(), 0, 1}


def marks_by_folder() -> dict[str, set[str]]:
    """The marks of all beds that have processes, by the folder of the bed, whether the folder exists or not."""
    found: dict[str, set[str]] = {}
    for each in processes().values():
        if each.mark and each.folder:
            found.setdefault(each.folder, set()).add(each.mark)
    return found


def signal_all(pids: Iterable[int], number: int) -> None:
    """Send a signal to each; those that are gone, or belong to someone else, are passed over."""
    for pid in pids:
        try:
            os.kill(pid, number)
        except (ProcessLookupError, PermissionError):
            continue


def sweep(mark: str, service: str | None = None, without: Collection[str] = (), timeout: float = 30) -> int:
    """SIGKILL every process of a bed or service until none is left; returns how many were ended.

    Raises TimeoutError when some are still there after `timeout` seconds.
    """
    ended: set[int] = set()
    deadline = time.monotonic() + timeout
    while found := of_bed(mark, service, without):
        ended |= set(found)
        # The keeper goes first: it would count the others as crashed, and start them again.
        signal_all(sorted(found, key=lambda pid: found[pid].service != KEEPER), signal.SIGKILL)
        if time.monotonic() > deadline:
            raise TimeoutError(f"{len(found)} processes are still there: {sorted(found)}")
        time.sleep(0.01)
    return len(ended)
