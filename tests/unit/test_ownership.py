"""Whose an object is, what of it is not as wanted, and who set that."""

from __future__ import annotations

from typing import Any

import pytest

from wizard.clusters.kinds import Object
from wizard.engine.step import Difference
from wizard.objects.ownership import (
    CREATED,
    LABELS,
    MESH,
    annotation,
    differences,
    differing,
    is_of,
    is_ours,
    label,
    of_another,
    owned_by,
    owner_of,
    same,
    show,
)


def marked(mesh: str | None) -> Object:
    return {"kind": "ConfigMap", "metadata": {"name": "one", "annotations": {MESH: mesh} if mesh else None}}


# -- whose


@pytest.mark.parametrize("live", [None, {}, {"metadata": {}}, {"metadata": {"annotations": None, "labels": None}}])
def test_where_nothing_stands_no_mark_does(live: Object | None) -> None:
    assert annotation(live, "a") is None
    assert label(live, "a") is None


def test_marks_are_read() -> None:
    live = {"metadata": {"annotations": {"a": "1"}, "labels": {"a": "2"}}}
    assert (annotation(live, "a"), label(live, "a")) == ("1", "2")


def test_a_mark_tells_whose_an_object_is() -> None:
    assert is_ours(marked("mesh1"))
    assert not is_ours(marked(None))
    assert is_of(marked("mesh1"), "mesh1")
    assert not is_of(marked("mesh2"), "mesh1")


@pytest.mark.parametrize("live", [None, marked(None), marked("mesh1")])
def test_what_no_other_mesh_marked_is_no_conflict(live: Object | None) -> None:
    assert of_another("cluster1", live, "mesh1") is None


@pytest.mark.parametrize(
    ("other", "way"),
    [("mesh2", "first run: meshwizard uninstall mesh2"), ("Not A Name", "No mesh can have that name")],
)
def test_another_mesh_is_named_with_a_way_out(other: str, way: str) -> None:
    conflict = of_another("cluster1", marked(other), "mesh1")
    assert conflict is not None
    assert conflict.what == f"cluster1: ConfigMap one belongs to mesh {other} already"
    assert way in conflict.remedy


# -- what differs


@pytest.mark.parametrize(
    ("wanted", "live"),
    [
        ({"a": 1}, {"a": 1, "b": 2}),  # what others want beside is theirs
        ({"a": {}, "b": [], "c": ""}, {}),  # an API server keeps nothing of an empty value
        ([{"name": "x", "a": 1}], [{"name": "w", "a": 2}, {"name": "x", "a": 1}]),
        ([{"name": "x", "a": 1}], ["w", {"name": "x", "a": 1}]),
        ([{"a": 1}], [{"a": 1}]),
        (["a", "b"], ["a", "b"]),
        ("1000m", "1"),
    ],
)
def test_what_is_there_differs_in_nothing(wanted: Any, live: Any) -> None:
    assert list(differing(wanted, live)) == []


@pytest.mark.parametrize(
    ("wanted", "live", "told"),
    [
        ({"a": {"b": 1}}, {"a": {"b": 2}}, (("a", "b"), 2, 1)),
        ({"a": {"b": 1}}, {"a": "text"}, (("a", "b"), None, 1)),
        ({"a": 1}, None, (("a",), None, 1)),
        ({"a": ""}, {"a": "x"}, (("a",), "x", "")),
        ({"a": ["x", "y"]}, {"a": ["x"]}, (("a",), ["x"], ["x", "y"])),  # a list of plain values is one value
        ({"a": [{"name": "x", "b": 1}]}, {"a": [{"name": "w", "b": 1}]}, (("a", "x", "name"), None, "x")),
        ({"a": [{"name": "x"}]}, {"a": "text"}, (("a", "x", "name"), None, "x")),
        ({"a": [{"b": 1}, {"b": 2}]}, {"a": [{"b": 1}]}, (("a", "1", "b"), None, 2)),
        ({"a": [{"b": 1}, {"b": 2}]}, {"a": [{"b": 1}, {"b": 3}]}, (("a", "1", "b"), 3, 2)),
        ({"a": ["x", {"b": 1}]}, {"a": ["x", {"b": 2}]}, (("a", "1", "b"), 2, 1)),
    ],
)
def test_what_is_not_so_is_told_with_its_place(wanted: Any, live: Any, told: tuple[Any, ...]) -> None:
    assert next(differing(wanted, live)) == told


@pytest.mark.parametrize(
    ("wanted", "live"),
    [
        ("1000m", "2"),
        ("m", "0"),
        ("10cm", "10"),  # ends like an amount
        ("2000m", "two"),
        ("20000", "2"),
        (2000, "2"),
        ("2000m", 2),
    ],
)
def test_only_equal_amounts_are_the_same(wanted: Any, live: Any) -> None:
    assert not same(wanted, live)


def test_a_value_is_shown_on_a_line_and_bounded() -> None:
    assert show(None) is None
    assert show("a\nb") == "a b"
    assert len(show("x" * 1000) or "") < 200


# -- who set it


def entry(manager: str, fields: Object | None, operation: str = "Apply") -> Object:
    return {"manager": manager, "operation": operation, "fieldsV1": fields}


A_B: Object = {"f:a": {"f:b": {}}}


@pytest.mark.parametrize(
    ("entries", "owner"),
    [
        ([], ""),
        ([entry("kubectl", {"f:a": {"f:c": {}}}), entry("helm", A_B)], "helm"),
        ([entry("meshwizard", A_B), entry("helm", A_B)], "helm"),
        ([entry("meshwizard", A_B), entry("helm", None), entry("kubectl", {"f:a": None})], ""),
    ],
)
def test_who_set_a_field_beside_us_is_named(entries: list[Object], owner: str) -> None:
    assert owner_of({"metadata": {"managedFields": entries}}, ("a", "b")) == owner
    assert owner_of({}, ("a", "b")) == ""


@pytest.mark.parametrize(
    ("entries", "owned"),
    [
        ([entry("helm", A_B)], True),
        ([entry("helm", {"f:a": {}})], False),
        ([entry("kubectl", A_B)], False),
        ([entry("kubectl", A_B), entry("argocd", A_B)], True),
        (None, True),  # a server that does not tell
    ],
)
def test_a_field_is_owned_by_whoever_of_them_set_it(entries: list[Object] | None, owned: bool) -> None:
    assert owned_by({"metadata": {"managedFields": entries}}, ("a", "b"), {"helm", "argocd"}) is owned


# -- the differences of an object


def test_what_is_missing_is_to_be_made() -> None:
    assert differences("one", {"metadata": {}}, None) == [Difference("one", "", None, "to be made")]


def test_a_difference_names_field_values_and_who_set_it() -> None:
    live = {"metadata": {"managedFields": [entry("helm", A_B)]}, "a": {"b": 2}}
    assert differences("one", {"metadata": {}, "a": {"b": 1}}, live) == [Difference("one", "a.b", "2", "1", "helm")]


def test_of_a_secret_no_content_is_shown() -> None:
    wanted = {"metadata": {}, "data": {"a": "ours"}, "stringData": {"b": "ours"}, "type": "x"}
    live = {"metadata": {}, "data": {"a": "theirs"}, "stringData": {"b": "theirs"}, "type": "y"}
    hidden = ("other content", "ours")
    assert [(each.field, each.found, each.wanted) for each in differences("one", wanted, live, secret=True)] == [
        ("data.a", *hidden), ("stringData.b", *hidden), ("type", "y", "x"),
    ]  # fmt: skip
    assert differences("one", wanted, live)[0].found == "theirs"


def test_what_we_set_and_want_no_more_is_to_go_and_nothing_else() -> None:
    marks: Object = {f"f:{name}": {} for name in LABELS}
    live = {
        "metadata": {
            "labels": {**LABELS, "kept": "1", "old": "2", "theirs": "3", "edited": "4"},
            "annotations": {MESH: "mesh1", CREATED: "yes", "gone": "5"},
            "managedFields": [
                entry("meshwizard", {"f:metadata": {
                    "f:labels": {**marks, "f:kept": {}, "f:old": {}},
                    "f:annotations": {f"f:{MESH}": {}, f"f:{CREATED}": {}, "f:gone": {}},
                }}),
                entry("meshwizard", {"f:metadata": {"f:labels": {"f:edited": {}}}}, "Update"),
                entry("helm", {"f:metadata": {"f:labels": {"f:theirs": {}}}}),
            ],
        }
    }  # fmt: skip
    assert differences("one", {"metadata": {"labels": {"kept": "1"}}}, live) == [
        Difference("one", "metadata.labels.old", "2", None),
        Difference("one", "metadata.annotations.gone", "5", None),
    ]
    assert differences("one", {"metadata": {}}, {"metadata": {"labels": {"a": "b"}}}) == []
