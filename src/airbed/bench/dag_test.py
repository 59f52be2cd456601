"""The peer `dag.test()`: the whole run within one process, one instance after the other, on SQLite."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence

from airbed.bench.choice import DAG_TEST, FIRST, Size
from airbed.bench.fanout import TOO_LONG, Mapped, add
from airbed.bench.figures import Figures
from airbed.bench.owned import of_mark
from airbed.bench.peer import Peer, peer
from airbed.bench.results import Stop
from airbed.bench.usage import PeakMemory
from airbed.bench.workload import DAG_ID, FILE, MAPPED

Progress = Callable[[str], None]

MIGRATED_WITHIN = 240.0
# What a developer's own script does; of several runs the last one counts. Imports do not count at all.
SCRIPT = f"""
import importlib.util, json, os, sys, time
spec = importlib.util.spec_from_file_location("{DAG_ID}", "dags/{FILE}")
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
from airflow.dag_processing.dagbag import DagBag
dag = DagBag("dags/{FILE}").dags["{DAG_ID}"]
for conf in json.loads(sys.argv[1]):
    began, used = time.time(), os.times()
    run = dag.test(run_conf=conf)
ended, now = time.time(), os.times()
done = [each for each in run.get_task_instances() if each.task_id == "{MAPPED}" and each.start_date and each.end_date]
json.dump({{
    "state": str(getattr(run.state, "value", run.state)),
    "seconds": ended - began,
    "cpu": sum(now[:4]) - sum(used[:4]),
    "done": len(done),
    "window": (max(each.end_date for each in done) - min(each.start_date for each in done)).total_seconds(),
}}, open("result.json", "w"))
"""


def measure(sizes: Sequence[Size], limit: float, figures: Figures, progress: Progress) -> list[Stop]:
    """The run of 10 that comes first, then each size up to the one that does not end well; returns that one.

    Each size has a process of its own, in which a run of one instance has warmed what the first run warms elsewhere.
    """
    with peer(DAG_TEST) as made:
        progress("dag-test: making its database")
        if made.run([sys.executable, "-m", "airflow", "db", "migrate"], {}, MIGRATED_WITHIN, progress) != 0:
            raise made.trouble("could not migrate its database")
        for number, size in enumerate([FIRST, *sizes]):
            name = size.name if number else f"{size.name}, first run"
            progress(f"{DAG_TEST}: {name}")
            found = _run(made, [Size(1), size] if number else [size], limit, progress)
            if isinstance(found, str):
                progress(f"{DAG_TEST} stopped at {name}: {found}")
                return [Stop(DAG_TEST, name, found)]
            progress(f"{DAG_TEST}: {name} took {found.seconds:.1f} s, {found.rate:.1f} a second")
            add(figures, DAG_TEST, size, name, found)
    return []


def _run(made: Peer, runs: Sequence[Size], limit: float, progress: Progress) -> Mapped | str:
    file = made.folder / "result.json"
    file.unlink(missing_ok=True)
    size = runs[-1]
    conf = json.dumps([{"instances": each.instances, "cpu_ms": each.cpu_ms} for each in runs])
    with PeakMemory(of_mark(made.mark)) as peak:
        code = made.run([sys.executable, "-c", SCRIPT, conf], {}, limit, progress)
    if code is None:
        return f"{TOO_LONG} {limit:.0f} s"
    if code or not file.is_file():
        raise made.trouble(f"ended with {code}")
    found = json.loads(file.read_text())
    if found["state"] != "success" or found["done"] != size.instances:
        return f"it ended as {found['state']}; {found['done']} of {size.instances} instances had ended"
    return Mapped(
        found["seconds"], size.instances / max(found["window"], 0.001), {"dag.test": found["cpu"]}, peak.total
    )
