"""On which lines of a kubeconfig's text its entries and their fields stand."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import yaml

Path = tuple[str | int, ...]
Lines = Mapping[str, int]  # field → line, 1-based; "" is the entry itself
TABLES = {"contexts": "context", "clusters": "cluster", "users": "user"}


def line_of(node: yaml.Node, path: Path) -> int:
    """The line of what has this path, or of what it would stand in."""
    line = node.start_mark.line + 1
    for part in path:
        if isinstance(node, yaml.SequenceNode) and isinstance(part, int):
            node = node.value[part]
            line = node.start_mark.line + 1
        elif isinstance(node, yaml.MappingNode):
            found = next(((key, below) for key, below in node.value if key.value == part), None)
            if found is None:
                break
            line, node = found[0].start_mark.line + 1, found[1]
    return line


def lines_in(root: yaml.Node) -> dict[tuple[str, str], Lines]:
    """Where the fields of each entry stand."""
    found: dict[tuple[str, str], Lines] = {}
    for table, entry in _entries(root):
        parts = {key.value: value for key, value in entry.value}
        body = parts.get(TABLES[table])
        fields = {"": entry.start_mark.line + 1}
        for key, value in body.value if isinstance(body, yaml.MappingNode) else ():
            fields[key.value] = key.start_mark.line + 1
            if key.value == "exec" and isinstance(value, yaml.MappingNode):
                fields |= {f"exec.{below.value}": below.start_mark.line + 1 for below, _ in value.value}
        if isinstance(parts.get("name"), yaml.ScalarNode):
            found[table, parts["name"].value] = fields
    return found


def _entries(root: yaml.Node) -> Iterator[tuple[str, yaml.MappingNode]]:
    for key, value in root.value if isinstance(root, yaml.MappingNode) else ():
        if key.value in TABLES and isinstance(value, yaml.SequenceNode):
            for entry in value.value:
                if isinstance(entry, yaml.MappingNode):
                    yield key.value, entry
