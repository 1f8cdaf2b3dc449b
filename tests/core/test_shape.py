"""The shape of a DAG, from serialized DAGs as Airflow writes them."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_agentfix.core.shape import shape_diff, shape_of

Json = dict[str, Any]


def task(task_id: str, *downstream: str, **fields: Any) -> Json:
    edges = {"downstream_task_ids": list(downstream)} if downstream else {}
    return {"__type": "operator", "__var": {"task_id": task_id, "task_type": "PythonOperator", **edges, **fields}}


def group(group_id: str | None, children: Json, **fields: Any) -> Json:
    return {"_group_id": group_id, "children": children, **fields}


def serialized(*tasks: Json, root: Json | None = None, **more: Any) -> Json:
    children = {entry["__var"]["task_id"]: ["operator", entry["__var"]["task_id"]] for entry in tasks}
    return {"__version": 3, "dag": {"dag_id": "d", "tasks": list(tasks), "task_group": root or group(None, children)}, **more}


def mapped(task_id: str, value: Any, **fields: Any) -> Json:
    expand = {"type": "dict-of-lists", "value": {"__type": "dict", "__var": value}}
    return task(task_id, _is_mapped=True, _expand_input_attr="op_kwargs_expand_input", op_kwargs_expand_input=expand, **fields)


XCOM = {"__type": "xcomref", "__var": {"task_id": "a", "key": "return_value"}}


def changes(before: Json, after: Json) -> tuple[str, ...]:
    return shape_diff(shape_of(before), shape_of(after))


def test_other_code_under_the_same_tasks_has_the_same_shape() -> None:
    before = serialized(task("a", "b", python_callable_name="old", ui_color="#fff"), task("b"))
    after = serialized(task("b"), task("a", "b", python_callable_name="new", doc_md="x"))
    assert changes(before, after) == ()


def test_a_default_written_out_equals_a_default_left_out() -> None:
    spelled = task("a", pool="default_pool", queue="default", retries=0, trigger_rule="all_success", executor_config={})
    assert changes(serialized(task("a")), serialized(spelled)) == ()


def test_a_default_may_stand_in_the_client_defaults() -> None:
    left_out = serialized(task("a"), client_defaults={"tasks": {"retries": 2}})
    assert changes(left_out, serialized(task("a", retries=2))) == ()
    assert changes(left_out, serialized(task("a"))) == ("Task 'a': retries was 2, now 0.",)


def test_tasks_added_and_removed_are_named() -> None:
    assert changes(serialized(task("a"), task("b")), serialized(task("a"), task("c"))) == (
        "Task 'b' was removed.",
        "Task 'c' was added.",
    )


def test_a_moved_edge_is_named() -> None:
    before, after = serialized(task("a", "b"), task("b"), task("c")), serialized(task("a", "c"), task("b"), task("c"))
    assert changes(before, after) == ("Task 'a': downstream was ['b'], now ['c'].",)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("pool", "big"),
        ("queue", "gpu"),
        ("retries", 3),
        ("trigger_rule", "all_done"),
        ("executor_config", {"__type": "dict", "__var": {"cpu": 4}}),
        ("priority_weight", 9),
        ("pool_slots", 2),
        ("is_setup", True),
        ("is_teardown", True),
        ("_is_empty", True),
    ],
)
def test_an_attribute_the_scheduler_acts_on_is_part_of_the_shape(field: str, value: Any) -> None:
    (sentence,) = changes(serialized(task("a")), serialized(task("a", **{field: value})))
    assert sentence.startswith("Task 'a': ")


def test_attributes_of_a_mapped_task_are_found_in_its_partial_arguments() -> None:
    before, after = serialized(mapped("m", {"x": [1]})), serialized(mapped("m", {"x": [1]}, partial_kwargs={"retries": 4}))
    assert changes(before, after) == ("Task 'm': retries was 0, now 4.",)


def test_mapping_over_as_many_other_values_keeps_the_shape() -> None:
    assert changes(serialized(mapped("m", {"x": [1, 2]})), serialized(mapped("m", {"x": [8, 9]}))) == ()


@pytest.mark.parametrize("value", [{"x": [1, 2, 3]}, {"y": [1, 2]}, {"x": XCOM}])
def test_mapping_over_something_else_changes_the_shape(value: Json) -> None:
    (sentence,) = changes(serialized(mapped("m", {"x": [1, 2]})), serialized(mapped("m", value)))
    assert sentence.startswith("Task 'm': mapped was ")


def test_a_task_that_became_mapped_changed() -> None:
    assert len(changes(serialized(task("m")), serialized(mapped("m", {"x": XCOM})))) == 1


def test_a_task_in_another_group_changed() -> None:
    inner = group(None, {"g": ["taskgroup", group("g", {"a": ["operator", "a"]})]})
    assert changes(serialized(task("a")), serialized(task("a"), root=inner)) == (
        "Task 'a': group was None, now 'g'.",
        "Task group 'g' was added.",
    )


def test_a_group_over_more_values_changed() -> None:
    def over(values: list[int]) -> Json:
        expand = {"type": "dict-of-lists", "value": {"__type": "dict", "__var": {"x": values}}}
        child = group("g", {"a": ["operator", "a"]}, is_mapped=True, expand_input=expand)
        return serialized(task("a"), root=group(None, {"g": ["taskgroup", child]}))

    (sentence,) = changes(over([1]), over([1, 2]))
    assert sentence.startswith("Task group 'g': mapped was ")
