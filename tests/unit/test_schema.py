"""The JSON Schema of the mesh file: the one that is checked in, what it takes and what it refuses."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from tests.unit.test_meshfile import GOOD, _document, _mesh, _plain
from wizard.mesh import schema
from wizard.mesh.document import document_of, mesh_from, mistakes_in
from wizard.mesh.field import is_empty
from wizard.mesh.fields import CLUSTER_FIELDS, MESH_FIELDS
from wizard.mesh.model import Mesh
from wizard.mesh.rules import value_at

MESH_FILE = (Path(__file__).parents[2] / "docs/mesh-file.md").read_text()
VALID = Draft202012Validator(schema.schema())


def test_the_file_that_is_installed_is_the_schema_of_the_declarations() -> None:
    Draft202012Validator.check_schema(schema.schema())
    assert schema.FILE.read_text() == schema.text(), "run: make schema"


@given(_mesh)
@settings(max_examples=100, deadline=None)
def test_it_takes_every_mesh(mesh: Mesh) -> None:
    assert [error.message for error in VALID.iter_errors(document_of(mesh))] == []


def test_it_takes_the_examples() -> None:
    blocks = [yaml.safe_load(each) for each in re.findall(r"```yaml\n(.*?)```", MESH_FILE, re.S)]
    meshes = [each for each in [*blocks, yaml.safe_load(GOOD)] if each and "kind" in each]
    assert len(meshes) > 1
    for mesh in meshes:
        assert [error.message for error in VALID.iter_errors(mesh)] == []


def _with(data: Any, key: str, value: object, *, cluster: bool) -> Any:
    at = data["clusters"][0] if cluster else data
    *sections, name = key.split(".")
    for section in sections:
        at = at.setdefault(section, {})
    at[name] = value
    return data


_cases = st.sampled_from([(field, field.scope == "cluster") for field in MESH_FIELDS + CLUSTER_FIELDS])
_values = (
    _plain
    | st.sampled_from(
        ["10.0.0.1", "10.96.0.0/16", "a.example.com", "https://10.0.0.1:6443/", "v2", "reg:5000/a", "1.29.1"]
    )
    | st.lists(st.sampled_from(["10.0.0.1", "b.example.com", "", 1]), max_size=2)
    | st.lists(st.fixed_dictionaries({"operator": st.sampled_from(["Exists", "Equal", "", 1])}), max_size=2)
    | st.dictionaries(st.sampled_from(["a.b/c", "d"]), st.sampled_from(["", "x", 1]), max_size=2)
)


@given(_cases, _values)
@settings(max_examples=300, deadline=None)
def test_what_it_refuses_the_reader_refuses(case: tuple[Any, bool], value: object) -> None:
    field, cluster = case
    data = _with(yaml.safe_load(GOOD), field.key, value, cluster=cluster)
    if not VALID.is_valid(data) and not (is_empty(value) and not field.required):
        assert mistakes_in(data)


@given(_plain | _document)
@settings(max_examples=100, deadline=None)
def test_what_it_refuses_of_any_document_the_reader_refuses(data: Any) -> None:
    if not mistakes_in(data):
        assert VALID.is_valid(document_of(mesh_from(data)))


@pytest.mark.parametrize(
    ("key", "value", "cluster"),
    [
        ("kind", "Mess", False),
        ("apiVersion", "v1", False),
        ("nmae", "mesh1", False),
        ("name", 1, False),
        ("name", True, False),
        ("name", "Mesh_1", False),
        ("topology", "star", False),
        ("topology", "", False),
        ("clusters", [], False),
        ("clusters", {"name": "a"}, False),
        ("istio", "1.29.1", False),
        ("istio.version", "latest", False),
        ("istio.tag", "1.29.1", False),
        ("istio.revision", "default", False),
        ("istio.revision", "a" * 41, False),
        ("istio.hub", "https://reg", False),
        ("istio.overlays", "a.yaml", False),
        ("istio.overlays", [""], False),
        ("tolerations", {"key": "a"}, False),
        ("tolerations", [{"kye": "a"}], False),
        ("tolerations", [{"operator": "In"}], False),
        ("tolerations", [{"operator": "Exists", "effect": "NoExecute", "tolerationSeconds": -1}], False),
        ("verify.namespace", "istio-system", False),
        ("certificates.source", "folder", False),
        ("name", None, True),
        ("context", "", True),
        ("network", "-n", True),
        ("role", "config", True),
        ("gateway", [], True),
        ("gateway.prot", 31443, True),
        ("gateway.port", "31443", True),
        ("gateway.port", 0, True),
        ("gateway.port", 65536, True),
        ("gateway.exposure", "host", True),
        ("gateway.address", "a b", True),
        ("gateway.addresses", "10.0.0.1", True),
        ("gateway.annotations", {"a": True}, True),
        ("apiServer", "http://10.0.0.1", True),
        ("apiServer", "https://10.0.0.1/k8s/clusters/c", True),
        ("serviceCidr", "all", True),
        ("sample", "v0", True),
    ],
)
def test_what_the_reader_refuses_for_its_shape_it_refuses(key: str, value: object, cluster: bool) -> None:
    data = _with(yaml.safe_load(GOOD), key, value, cluster=cluster)
    assert mistakes_in(data)
    assert not VALID.is_valid(data)


@pytest.mark.parametrize("key", ["apiVersion", "kind", "clusters"])
def test_what_must_be_there_is_asked_for(key: str) -> None:
    data = yaml.safe_load(GOOD)
    del data[key]
    assert not VALID.is_valid(data)


@pytest.mark.parametrize("field", [field for field in MESH_FIELDS + CLUSTER_FIELDS if not field.required])
def test_a_key_without_an_answer_is_no_mistake(field: Any) -> None:
    data = _with(yaml.safe_load(GOOD), field.key, None, cluster=field.scope == "cluster")
    assert value_at(data["clusters"][0] if field.scope == "cluster" else data, field.key) is None
    assert VALID.is_valid(data)
