"""What the benchmark works out from what it measured, and what it is asked for. No bed, no peer."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airbed.bench import compare, dag_test, owned, results, shards, shards_work, timeline, usage, workload
from airbed.bench.choice import ALL_SIZES, DEFAULT, DEFAULT_SIZES, HARD_WORK, PARTS, Choice, Size, choose, parse_sizes
from airbed.bench.figures import Figures, line_through, written
from airbed.bench.owned import of_mark
from airbed.bench.peer import peer
from airbed.bench.plots import fanout_plot, up_plot
from airbed.bench.svg import Drawing, ticks
from airbed.bench.table import GOALS, change_rows, rows
from airbed.bench.timeline import Moment
from airbed.bench.usage import SCHEDULER, TASK, WORKER, PeakMemory, Used
from airbed.errors import UsageError
from airbed.substrates.embedded import processes
from airbed.topology import SHARDS


@pytest.fixture
def figures() -> Figures:
    """Three rounds of ours, one of a peer."""
    found = Figures()
    for seconds in (12.0, 10.0, 11.0):
        found.add("fanout", "100 no-ops, to done", seconds, "s", size=100)
    found.add("fanout", "1000 no-ops, to done", 101.0, "s", size=1000)
    found.add("fanout", "100 no-ops, CPU of each", 275.0, "ms")
    found.add_shares("fanout", "100 no-ops, CPU of each", {"task": 71.0, "api-server": 94.0}, "ms")
    found.add("fanout", "100 no-ops, to done", 22.0, "s", subject="standalone", size=100)
    return found


# -- choice


def test_without_names_the_default_set_and_100_instances() -> None:
    chosen = choose([], [])
    assert set(chosen.parts) == set(DEFAULT)
    assert chosen.sizes == DEFAULT_SIZES
    assert "xcom" not in chosen.parts


def test_named_parts_come_in_the_order_of_measuring() -> None:
    chosen = choose(["shards", "fanout", "up"], ["dag-test", "standalone"], rounds=3)
    assert chosen.parts == ("up", "fanout", "shards")
    assert chosen.peers == ("standalone", "dag-test")
    assert (chosen.rounds, chosen.sizes) == (3, ALL_SIZES)


@pytest.mark.parametrize(
    ("names", "peers", "sizes", "said"),
    [
        (["fanuot"], [], None, "did you mean 'fanout'"),
        (["s3"], [], None, "s3-proxy"),
        (["zzz"], [], None, "there are: up, memory"),
        (["fanout"], ["standalon"], None, "did you mean 'standalone'"),
        (["cli"], ["standalone"], None, "for up and fanout"),
        (["up"], ["dag-test"], None, "for fanout"),
        (["up"], [], "10", "--sizes is for the part fanout"),
        (["fanout"], [], "10,many", "'many'"),
        (["fanout"], [], "0", "'0'"),
        (["fanout"], [], "1025", "'1025'"),
    ],
)
def test_what_there_is_not_is_a_usage_error(names: list[str], peers: list[str], sizes: str | None, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        choose(names, peers, sizes=sizes)


def test_sizes_are_sorted_with_the_work_before_as_many_no_ops() -> None:
    assert parse_sizes("500, 10,cpu,100,10") == (Size(10), HARD_WORK, Size(100), Size(500))
    assert [each.name for each in parse_sizes("cpu,10")] == ["10 no-ops", "100 x 100 ms of CPU"]


def test_the_kubernetes_bed_is_another_one() -> None:
    assert choose(["kubernetes"], []).on_a_bed == ()
    assert choose(["kubernetes", "up"], []).on_a_bed == ("up",)


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["fanuot"], 2, "did you mean 'fanout'"),
        (["cli", "--compare", "nowhere.json"], 2, "nowhere.json cannot be read"),
        (["cli", "--name", "No Name"], 2, "No Name"),
        (["kubernetes"], 3, "make kubernetes"),
    ],
)
def test_what_cannot_be_is_said_before_anything_starts(
    tmp_path: Path, arguments: list[str], code: int, said: str
) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "airbed", "bench", *arguments, "--out", str(tmp_path / "out")],
        env={"AIRBED_STATE_DIR": str(tmp_path / "state"), "AIRBED_CACHE_DIR": str(tmp_path / "cache")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == code
    assert said in " ".join(done.stderr.split())
    assert list(tmp_path.iterdir()) == []


# -- figures


def test_median_range_and_ratio(figures: Figures) -> None:
    ours = figures.find("fanout", "100 no-ops, to done")
    assert ours is not None
    assert (ours.median, ours.low, ours.high) == (11.0, 10.0, 12.0)
    (ratio,) = figures.ratios()
    assert (ratio.peer, ratio.ratio) == ("standalone", 0.5)


def test_a_peer_alone_or_at_zero_has_no_ratio() -> None:
    figures = Figures()
    figures.add("up", "seconds", 5.0, "s", subject="standalone")
    figures.add("cli", "seconds", 5.0, "s")
    figures.add("cli", "seconds", 0.0, "s", subject="bare python")
    assert figures.ratios() == []


@given(st.floats(0.001, 10), st.floats(-5, 5), st.lists(st.integers(1, 1000), min_size=2, unique=True))
def test_the_line_through_points_of_a_line_is_that_line(slope: float, start: float, places: list[int]) -> None:
    line = line_through([(x, start + slope * x) for x in places])
    assert line is not None
    assert line[0] == pytest.approx(slope, rel=1e-3, abs=1e-6)


def test_one_place_has_no_line() -> None:
    assert line_through([(100, 5.0), (100, 6.0)]) is None
    assert line_through([]) is None


@pytest.mark.parametrize(
    ("value", "unit", "said"),
    [
        (1234.5, "/s", "1,234 /s"),
        (12.34, "s", "12.3 s"),
        (1.234, "s", "1.23 s"),
        (0.2812, "s", "0.281 s"),
        (0, "", "0.000"),
    ],
)
def test_values_have_the_digits_that_mean_something(value: float, unit: str, said: str) -> None:
    assert written(value, unit) == said


# -- table and comparison


def test_the_table_has_peers_and_shares_below_ours(figures: Figures) -> None:
    found = rows(figures)
    assert [each.what.strip() for each in found] == [
        "fanout",
        "100 no-ops, to done",
        "standalone",
        "1000 no-ops, to done",
        "100 no-ops, CPU of each",
        "api-server 94.0, task 71.0",
    ]
    assert (found[1].measured, found[1].spread) == ("11.0 s", "10.0 - 12.0")
    assert (found[2].measured, found[2].ratio) == ("22.0 s", "0.50")
    assert found[4].goal == "130 ms"


def test_goals_are_of_parts_that_there_are() -> None:
    assert {part for part, _ in GOALS} <= set(PARTS)


def results_of(figures: Figures, **machine: object) -> dict[str, object]:
    found = results.Results(Choice(("fanout",)), {"cores": 2, "load": 0.5, **machine}, figures)
    return found.to_json()


def test_then_and_now_and_their_ratio(figures: Figures) -> None:
    now = Figures()
    now.add("fanout", "100 no-ops, to done", 5.5, "s", size=100)
    now.add("fanout", "500 no-ops, to done", 50.0, "s", size=500)
    (change,) = compare.changes(results_of(figures), results_of(now))
    assert (change.then, change.now, change.ratio) == (11.0, 5.5, 0.5)
    assert change_rows([change]) == [("fanout: 100 no-ops, to done", "11.0 s", "5.50 s", "0.50")]


def test_another_machine_or_load_is_said(figures: Figures) -> None:
    then, now = results_of(figures), results_of(figures, cores=4, load=3.0)
    assert compare.differences(then, now) == ["cores: was 2, is 4", "load: was 0.5, is 3.0"]
    assert compare.differences(then, results_of(figures, load=0.9, load_after=9.0)) == []


def test_a_results_file_is_read_as_it_was_written(figures: Figures, tmp_path: Path) -> None:
    found = results.Results(Choice(("fanout",)), results.machine(), figures)
    file = found.write(tmp_path)
    assert file.name == f"bench-{found.began:%Y%m%dT%H%M%SZ}.json"
    again = results.read(file)
    assert again == json.loads(json.dumps(found.to_json()))
    assert again["ratios"][0]["ratio"] == 0.5
    assert {"cores", "load", "cpu", "python", "versions"} <= set(again["machine"])
    assert again["machine"]["versions"]["apache-airflow"]


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"format": 99}', '{"format": 1, "figures": 3}', None])
def test_what_is_no_results_file_is_a_usage_error(tmp_path: Path, content: str | None) -> None:
    file = tmp_path / "file.json"
    if content is not None:
        file.write_text(content)
    with pytest.raises(UsageError, match=r"file\.json"):
        results.read(file)


# -- timeline


def test_who_waited_for_whom() -> None:
    after = {"metadata": [], "scheduler": ["metadata", "director"], "director": [], "shard-0": []}
    ready = {"director": 1.0, "metadata": 2.0, "scheduler": 6.0}
    found = {each.service: each for each in timeline.timeline(after, {"metadata": 0.8, "scheduler": 1.99}, ready)}
    assert found["metadata"] == Moment("metadata", None, 0.0, 0.8, 2.0)
    # Its process cannot have begun before it was asked for.
    assert found["scheduler"] == Moment("scheduler", "metadata", 2.0, 2.0, 6.0)
    assert found["director"].started == 0.0
    assert timeline.critical_path(list(found.values())) == ["metadata", "scheduler"]
    assert timeline.critical_path([]) == []


def test_the_start_is_found_from_the_lines_about_services() -> None:
    lines = [
        (100.0, "creating bed 'bench'"),
        (103.1, "metadata ready after 2.0 s"),
        (107.0, "scheduler ready after 6.0 s"),
    ]
    assert timeline.origin(lines, {"metadata": 2.0, "scheduler": 6.0}) == 101.0
    assert timeline.origin([(100.0, "creating")], {"metadata": 2.0}) is None


def test_a_process_began_before_now() -> None:
    before = time.monotonic()
    child = subprocess.Popen(["sleep", "30"])
    try:
        began = timeline.process_start(child.pid)
    finally:
        child.kill()
        child.wait()
    assert began is not None
    assert began == pytest.approx(before, abs=5)
    assert timeline.process_start(child.pid) is None


# -- CPU


def test_the_scheduler_is_itself_its_workers_and_their_tasks() -> None:
    used = {
        1: Used(0, "keeper", 0.1, 0.0),
        2: Used(1, SCHEDULER, 10.0, 0.5),
        3: Used(2, SCHEDULER, 4.0, 7.0),
        4: Used(3, SCHEDULER, 1.0, 0.2),
        5: Used(1, "api-server", 9.0, 1.0),
        6: Used(1, "metadata", 2.0, 1.0),
        7: Used(6, "metadata", 3.0, 0.0),
    }
    found = usage.attributed(used)
    assert found == pytest.approx(
        {"keeper": 0.1, SCHEDULER: 10.0, WORKER: 4.5, TASK: 8.2, "api-server": 10.0, "metadata": 6.0}
    )
    assert sum(found.values()) == pytest.approx(sum(each.own + each.reaped for each in used.values()))


def test_the_difference_of_two_readings_is_sorted_and_never_negative() -> None:
    found = usage.difference({"a": 1.0, "b": 5.0}, {"a": 2.0, "b": 4.0, "c": 3.0})
    assert list(found.items()) == [("c", 3.0), ("a", 1.0), ("b", 0.0)]


# -- plots


@given(st.floats(0.001, 1e6))
def test_ticks_reach_the_highest_value_in_few_round_steps(highest: float) -> None:
    found = ticks(highest)
    assert found[0] == 0
    assert found[-1] >= highest * 0.999
    assert 2 <= len(found) <= 7


def test_a_drawing_is_well_formed_whatever_the_text() -> None:
    drawing = Drawing(100, 50, 'a < b & "c"')
    drawing.bar(0, 0, -5, 3, "#000000")
    root = ElementTree.fromstring(str(drawing))
    assert root.find("{http://www.w3.org/2000/svg}title").text == 'a < b & "c"'  # type: ignore[union-attr]


def test_the_plot_of_fanout_has_a_slope_where_there_are_two_sizes(figures: Figures) -> None:
    plot = fanout_plot(figures)
    assert plot is not None
    texts = [each.text for each in ElementTree.fromstring(plot).iter() if each.text]
    assert "airbed: 100 ms for each more, 10.0 a second" in texts
    assert "standalone" in texts
    assert fanout_plot(Figures()) is None


def test_the_plot_of_a_start_names_every_service() -> None:
    plot = up_plot([Moment("metadata", None, 0, 0.8, 2.0), Moment("scheduler", "metadata", 2.0, 2.1, 6.0)])
    assert plot is not None
    texts = [each.text for each in ElementTree.fromstring(plot).iter() if each.text]
    assert {"metadata", "scheduler", "6.0 s after metadata"} <= set(texts)
    assert up_plot([]) is None


# -- peers


def test_a_peer_has_its_own_environment_and_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__CORE__LOAD_EXAMPLES", "True")
    monkeypatch.setenv("AWS_PROFILE", "mine")
    with peer("standalone") as made:
        code = made.run(["sh", "-c", "env; ls dags; (sleep 60 & sleep 60) & sleep 0.5"], {"MORE": "1"}, 20, print)
        assert code == 0
        said = made.log.read_text().splitlines()
        assert "AIRFLOW__CORE__LOAD_EXAMPLES=False" in said
        assert f"AIRFLOW_HOME={made.folder}/airflow" in said
        assert {"MORE=1", "bench_fanout.py"} <= set(said)
        assert not [line for line in said if line.startswith("AWS_")]
        assert processes.of_bed(made.mark) == {}
        made.start(["sh", "-c", "sleep 60 & sleep 60"], {})
    assert processes.of_bed(made.mark) == {}
    assert not made.folder.exists()


def test_a_peer_is_ended_when_its_time_is_up() -> None:
    with peer("dag-test") as made:
        assert made.run(["sleep", "60"], {}, 0.5, print) is None
        assert processes.of_bed(made.mark) == {}


def test_memory_is_looked_at_while_it_is_used() -> None:
    with peer("dag-test") as made, PeakMemory(of_mark(made.mark)) as peak:
        made.run([sys.executable, "-c", "x = b'x' * 50_000_000; import time; time.sleep(1.5)"], {}, 20, print)
    assert 50 < peak.total < 200
    assert peak.services == {"dag-test": peak.total}


def test_processes_of_a_container_are_known_by_their_cgroup(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = "a" * 64, "b" * 64
    there = {
        "1": ("0::/init.scope", "systemd"),
        "20": (f"0::/docker/{one}", "docker-init"),
        "21": (f"0::/docker/{one}", "python"),
        "22": (f"0::/system.slice/docker-{other}.scope/kubelet/pod1", "kubelet"),
        "23": (f"0::/docker/{'c' * 64}", "stranger"),
        "24": ("", ""),
        "self": (f"0::/docker/{one}", "python"),
    }
    for pid, (group, name) in there.items():
        (tmp_path / pid).mkdir()
        if name:
            (tmp_path / pid / "cgroup").write_text(f"{group}\n")
            (tmp_path / pid / "comm").write_text(f"{name}\n")
    monkeypatch.setattr(owned, "PROC", tmp_path)
    assert owned.of_containers({one: "scheduler", other: "node"})() == {21: "scheduler", 22: "node"}


def test_the_dag_of_the_benchmark_is_python_that_names_what_is_measured() -> None:
    compile(workload.SOURCE, workload.FILE, "exec")
    assert f"def {workload.DAG_ID}(" in workload.SOURCE
    assert f"def {workload.MAPPED}(" in workload.SOURCE
    compile(dag_test.SCRIPT, "script", "exec")


def test_every_way_of_the_shards_has_a_name() -> None:
    assert set(shards.NAMES) == {*shards_work.WAYS, "taught"}
    assert len(shards_work.SHARDS) == len(SHARDS)
    assert [(each.conn_id, each.namespace) for each in SHARDS] == shards_work.SHARDS
