"""Expected instances, from the shapes that Airflow 3.3.2 really serialises."""

from __future__ import annotations

from airbed.runs.structure import caps, expansions, expected_lengths

LS = {"task_id": "ls", "key": "return_value"}
ONE = {"task_id": "one", "key": "return_value"}


def ref(reference):
    return {"__var": reference, "__type": "xcomref"}


def expand(**arguments):
    return {"type": "dict-of-lists", "value": {"__var": arguments, "__type": "dict"}}


def task(task_id, expand_input=None, attribute="op_kwargs_expand_input"):
    inner = {"task_id": task_id}
    if expand_input:
        inner |= {"_is_mapped": True, "_expand_input_attr": attribute, attribute: expand_input}
    return {"__var": inner, "__type": "operator"}


STRUCTURE = {
    "dag": {
        "tasks": [
            task("ls"),
            task("one", expand(x=ref(LS), y=[1, 2, 3])),
            task("kwargs", {"type": "list-of-dicts", "value": ref({"type": "map", "arg": LS, "callables": []})}),
            task("zip", expand(x=ref({"type": "zip", "args": [LS, ONE]}))),
            task("zip_fill", expand(x=ref({"type": "zip", "args": [LS, ONE], "fillvalue": None}))),
            task("concat", expand(x=ref({"type": "concat", "args": [LS, ONE]}))),
            task("literal", {"type": "list-of-dicts", "value": [{"__var": {"x": 1}, "__type": "dict"}]}),
            task("over_mapped", expand(x=ref(ONE))),
            task("bash", expand(bash_command=["a", "b"]), "expand_input"),
            task("group.inner"),
        ],
        "task_group": {
            "children": {
                "ls": ["operator", "ls"],
                "group": [
                    "taskgroup",
                    {"children": {"group.inner": ["operator", "group.inner"]}, "expand_input": expand(z=ref(LS))},
                ],
            }
        },
    }
}


def test_lengths_of_every_kind_of_expansion():
    assert expected_lengths(STRUCTURE, {"ls": 2}, {"one": 5}) == {
        "one": 6,
        "kwargs": 2,
        "zip": 2,
        "zip_fill": 5,
        "concat": 7,
        "literal": 1,
        "over_mapped": 5,
        "bash": 2,
        "group.inner": 2,
    }


def test_an_upstream_without_a_result_leaves_the_length_unknown():
    lengths = expected_lengths(STRUCTURE, {}, {})
    assert lengths["one"] is None and lengths["group.inner"] is None and lengths["zip"] is None
    assert lengths["over_mapped"] == 0
    assert lengths["bash"] == 2


def test_an_empty_list():
    assert expected_lengths(STRUCTURE, {"ls": 0}, {})["one"] == 0


def test_caps_of_mapped_tasks_and_of_tasks_in_a_mapped_group():
    tasks = [
        {"__var": {"task_id": "a", "partial_kwargs": {"max_active_tis_per_dag": 8, "max_active_tis_per_dagrun": 3}}},
        {"__var": {"task_id": "b", "max_active_tis_per_dag": 2}},
        {"__var": {"task_id": "c"}},
    ]
    assert caps({"dag": {"tasks": tasks}}) == {"a": 3, "b": 2}


def test_tasks_that_are_not_mapped_have_no_expansion():
    assert expansions(STRUCTURE)["ls"] == []
