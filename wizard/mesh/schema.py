"""The JSON Schema of the mesh file, made of the declared fields, for editors and checkers: `python -m wizard.mesh.schema`.

It says what can be said of a value alone. What several answers mean together is told by `meshwizard plan`.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from wizard.mesh.document import MAX_CLUSTERS, MIN_CLUSTERS
from wizard.mesh.field import Field
from wizard.mesh.fields import CLUSTER_FIELDS, MESH_FIELDS
from wizard.mesh.model import API_VERSION

FILE = Path(__file__).with_name("mesh.schema.json")  # beside this module, so that it is installed with it
Schema = dict[str, Any]


def schema() -> Schema:
    """The schema (draft 2020-12). It refuses nothing that the reader of mesh files takes, but for an empty value of another
    kind (`port: []`).
    """
    cluster = _mapping(CLUSTER_FIELDS)
    mesh = _mapping(MESH_FIELDS)
    fixed: Schema = {"apiVersion": {"const": API_VERSION}, "kind": {"const": "Mesh"}}
    clusters = {
        "type": "array",
        "minItems": MIN_CLUSTERS,
        "maxItems": MAX_CLUSTERS,
        "items": {"$ref": "#/$defs/cluster"},
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"A mesh for meshwizard ({API_VERSION})",
        **mesh,
        "properties": {**fixed, **mesh["properties"], "clusters": clusters},
        "required": ["apiVersion", "kind", "clusters"],
        "$defs": {"cluster": cluster},
    }


def text() -> str:
    """The schema as the file that is checked in and installed."""
    return json.dumps(schema(), indent=2, ensure_ascii=False) + "\n"


def _mapping(fields: tuple[Field, ...]) -> Schema:
    properties: Schema = {}
    required = []
    for field in fields:
        section, _, name = field.key.rpartition(".")
        if section:
            inside = properties.setdefault(section, {"type": "object", "properties": {}, "additionalProperties": False})
            inside["properties"][name] = _value(field)
        else:
            properties[name] = _value(field)
            if field.required and field.default is None:
                required.append(name)
    found: Schema = {"type": "object", "properties": properties, "additionalProperties": False}
    return {**found, "required": required} if required else found


def _value(field: Field) -> Schema:
    told: Schema = {"title": field.title, "description": field.help}
    if field.default is not None:
        told["default"] = field.default
    rule = dict(field.rule.schema) if field.rule else {}
    if field.kind == "choice":
        kind: Schema = {"enum": [choice.value for choice in field.choices]}
    elif field.kind == "integer":
        kind = {"type": "integer", **rule}
    elif field.kind in ("texts", "paths"):
        kind = {"type": "array", "items": {"type": "string", "minLength": 1, **rule}}
    elif field.kind == "yaml":
        kind = rule
    else:
        kind = {"type": "string", "minLength": 1, **rule}
    return {**told, **_or_empty(field, kind)}


def _or_empty(field: Field, kind: Schema) -> Schema:
    """Where no answer is required, none may also be written as an empty one; where there is a default, by a key alone."""
    if field.required and field.default is None:
        return kind
    empty: Schema = {"type": "null"}
    if not field.required and field.kind in ("text", "path", "choice"):
        empty = {"enum": ["", None]}
    return {"anyOf": [kind, empty]}


if __name__ == "__main__":
    sys.stdout.write(text())
