"""What a benchmark is asked for: which parts, how many instances, against whom; checked before anything starts."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from airbed import levers
from airbed.errors import UsageError

# In the order in which they are measured and shown.
PARTS = {
    "up": "from nothing to healthy, by service: who waited for whom; and down again",
    "memory": "memory and CPU of a bed that does nothing",
    "cli": "`airbed status` and `airbed --help` against a bare interpreter",
    "fanout": "mapped instances from the trigger to the end of their run",
    "xcom": "4 x 50 MB through object storage",
    "shards": "rows a second from three shards to the warehouse, against plain COPY and pandas",
    "s3-proxy": "the way to S3 without a fault, against the direct one",
    "task-rule": "a task's question to the director without a fault",
    "kubernetes": "a second bed, with Kubernetes: start and memory",
}
DEFAULT = ("up", "memory", "cli", "fanout", "s3-proxy", "task-rule", "kubernetes")
STANDALONE, DAG_TEST = "standalone", "dag-test"
# A bed without any lever, and one without one of them, as peers of a bed with all.
PRODUCTION_LIKE, WITHOUT = "production-like", "without-"
LESSER_BEDS = {PRODUCTION_LIKE: levers.NAMES, **{f"{WITHOUT}{name}": (name,) for name in levers.NAMES}}
# Each peer and the parts that it can be measured in.
PEERS = {
    STANDALONE: ("up", "fanout"),
    DAG_TEST: ("fanout",),
    **dict.fromkeys(LESSER_BEDS, ("up", "memory", "fanout")),
}

CPU = "cpu"
MOST_INSTANCES = 1024  # Airflow's [core] max_map_length


@dataclass(frozen=True)
class Size:
    """One fan-out: so many mapped instances, each with so many milliseconds of CPU."""

    instances: int
    cpu_ms: int = 0

    @property
    def name(self) -> str:
        """`100 no-ops`, `100 x 100 ms of CPU`."""
        return f"{self.instances} x {self.cpu_ms} ms of CPU" if self.cpu_ms else f"{self.instances} no-ops"


FIRST = Size(10)
HARD_WORK = Size(100, 100)
DEFAULT_SIZES = (Size(100),)
ALL_SIZES = (Size(10), HARD_WORK, Size(100), Size(500), Size(1000))


@dataclass(frozen=True)
class Choice:
    """One benchmark: `limit` is the most seconds that a peer gets for one run, `substrate` what beds are on."""

    parts: tuple[str, ...]
    peers: tuple[str, ...] = ()
    rounds: int = 1
    sizes: tuple[Size, ...] = DEFAULT_SIZES
    limit: float = 180
    substrate: str | None = None

    @property
    def on_a_bed(self) -> tuple[str, ...]:
        """The parts that share the one bed without Kubernetes."""
        return tuple(each for each in self.parts if each != "kubernetes")


def choose(
    names: Sequence[str], peers: Sequence[str], rounds: int = 1, sizes: str | None = None, limit: float = 180
) -> Choice:
    """What to measure; no names: a set that takes some three minutes. UsageError for whatever there is not."""
    parts = [_known(each, PARTS, "part") for each in names] or list(DEFAULT)
    against = [_known(each, PEERS, "peer") for each in peers]
    for peer in against:
        if not set(PEERS[peer]) & set(parts):
            raise UsageError(f"--against {peer} is for {' and '.join(PEERS[peer])}: name one of them too")
    if sizes is not None and "fanout" not in parts:
        raise UsageError("--sizes is for the part fanout: name it too")
    chosen = parse_sizes(sizes) if sizes else ALL_SIZES if "fanout" in names else DEFAULT_SIZES
    return Choice(
        tuple(each for each in PARTS if each in parts),
        tuple(each for each in PEERS if each in against),
        rounds,
        chosen,
        limit,
    )


def parse_sizes(text: str) -> tuple[Size, ...]:
    """`10,100,cpu`: numbers of no-ops, and `cpu` for 100 instances of 100 ms; ascending, the CPU before the large."""
    found = set()
    for word in text.split(","):
        each = word.strip()
        if each == CPU:
            found.add(HARD_WORK)
            continue
        if not each.isdecimal() or not 1 <= int(each) <= MOST_INSTANCES:
            raise UsageError(f"--sizes: '{each}' is neither a number from 1 to {MOST_INSTANCES} nor '{CPU}'")
        found.add(Size(int(each)))
    return tuple(sorted(found, key=lambda size: (size.instances, -size.cpu_ms)))


def _known(name: str, known: Collection[str], kind: str) -> str:
    if name in known:
        return name
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.4)
    hint = f"did you mean '{near[0]}'? There are" if near else "there are"
    raise UsageError(f"there is no {kind} '{name}': {hint}: {', '.join(known)}")
