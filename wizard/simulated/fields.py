"""Which fields an object has and who owns them: the rules of server-side apply, as the API server keeps them.

A path is a tuple of steps in the notation of `fieldsV1`: `f:NAME` a field, `k:{"name":"x"}` an item of a list that is
keyed. Lists and maps that Kubernetes treats as one value ("atomic") end the path.
"""

from __future__ import annotations

import json
import marshal
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from wizard.clusters.kinds import Object

Path = tuple[str, ...]
MISSING: Any = object()

_KEYS: dict[str, tuple[str, ...]] = {
    "conditions": ("type",),
    "containerStatuses": ("name",),
    "containers": ("name",),
    "env": ("name",),
    "imagePullSecrets": ("name",),
    "initContainers": ("name",),
    "ownerReferences": ("uid",),
    "secrets": ("name",),
    "volumeMounts": ("mountPath",),
    "volumes": ("name",),
    "webhooks": ("name",),
}
_ATOMIC = frozenset(
    {
        "configMapKeyRef", "fieldRef", "involvedObject", "labelSelector", "namespaceSelector", "nodeSelector",
        "objectSelector", "podSelector", "resourceFieldRef", "roleRef", "scaleTargetRef", "secretKeyRef", "selector",
    }
)  # fmt: skip
# What names the object belongs to no manager.
_UNOWNED = frozenset({("f:apiVersion",), ("f:kind",)} | {
    ("f:metadata", f"f:{name}")
    for name in ("name", "namespace", "uid", "resourceVersion", "creationTimestamp", "generation", "managedFields",
                 "deletionTimestamp", "selfLink")
})  # fmt: skip


def clone(value: Any) -> Any:
    """A deep copy of plain data."""
    # Many times as quick as a walk in Python, and every read of a simulated cluster needs one. Format 2 is the last that
    # copies an object twice where it stands in two places.
    return thawed(frozen(value))


def frozen(value: Any) -> bytes:
    """Plain data, ready to be copied many times by `thawed`."""
    return marshal.dumps(value, 2)


def thawed(data: bytes) -> Any:
    """A copy of what was frozen."""
    return marshal.loads(data)  # noqa: S302 - what was dumped here


def _custom(manifest: Object) -> bool:
    return str(manifest.get("apiVersion", "")).partition("/")[0].endswith("istio.io")


def _keys(path: Path, custom: bool) -> tuple[str, ...]:
    """The fields that key the list at this path; empty: the list is atomic. Custom resources declare no keys."""
    if custom and path[:1] != ("f:metadata",):
        return ()
    name = path[-1][2:]
    if name == "ports" and len(path) == 1:
        return ()  # of an EndpointSlice
    if name == "ports":
        return ("port", "protocol") if len(path) == 2 else ("containerPort", "protocol")
    return _KEYS.get(name, ())


def _key(item: Any, keys: tuple[str, ...]) -> str:
    return "k:" + json.dumps({key: item.get(key) for key in keys}, separators=(",", ":"), sort_keys=True)


def owned(manifest: Object) -> frozenset[Path]:
    """The paths that whoever writes this manifest owns."""
    return _owned(frozen(manifest))


@lru_cache(maxsize=1024)  # the same manifests are written again and again
def _owned(manifest: bytes) -> frozenset[Path]:
    return differing(thawed(manifest), MISSING)


def differing(manifest: Object, live: Any) -> frozenset[Path]:
    """Those of the manifest's paths whose value `live` has not."""
    found: list[Path] = []
    _walk(manifest, live, (), _custom(manifest), found)
    return frozenset(found)


def _walk(value: Any, live: Any, at: Path, custom: bool, found: list[Path]) -> None:
    # Most writes change little: what is the same is left out with all that is below it.
    if at in _UNOWNED or value == live:
        return
    if isinstance(value, dict) and value and not (at and at[-1][2:] in _ATOMIC):
        others = live if isinstance(live, dict) else {}
        for name, item in value.items():
            _walk(item, others.get(name, MISSING), (*at, f"f:{name}"), custom, found)
    elif isinstance(value, list) and at and (keys := _keys(at, custom)):
        for item in value:
            place = (*at, _key(item, keys))
            old = _item(live, place[-1])
            if item != old:
                found.append(place)
                _walk(item, old, place, custom, found)
    elif at:
        found.append(at)


def value_at(manifest: Object, path: Path) -> Any:
    """The value at this path, or MISSING."""
    here: Any = manifest
    for step in path:
        if step.startswith("f:"):
            if not isinstance(here, dict) or step[2:] not in here:
                return MISSING
            here = here[step[2:]]
        else:
            here = _item(here, step)
            if here is MISSING:
                return MISSING
    return here


def _item(items: Any, step: str) -> Any:
    if isinstance(items, list):
        wanted = _keyed(step)
        for item in items:
            if isinstance(item, dict) and all(item.get(key) == value for key, value in wanted):
                return item
    return MISSING


@lru_cache(maxsize=1024)
def _keyed(step: str) -> tuple[tuple[str, Any], ...]:
    """The fields that key an item, with their values."""
    return tuple(json.loads(step[2:]).items())


def merged(live: Object, applied: Object) -> Object:
    """The live object with every applied field set."""
    result: Object = _merge(live, applied, (), _custom(applied))
    return result


def _merge(live: Any, applied: Any, at: Path, custom: bool) -> Any:
    if isinstance(applied, dict) and isinstance(live, dict) and not (at and at[-1][2:] in _ATOMIC):
        result = dict(live)
        for name, item in applied.items():
            result[name] = _merge(live.get(name), item, (*at, f"f:{name}"), custom)
        return result
    if isinstance(applied, list) and isinstance(live, list) and at and (keys := _keys(at, custom)):
        items = list(live)
        for item in applied:
            step = _key(item, keys)
            old = _item(items, step)
            new = _merge(None if old is MISSING else old, item, (*at, step), custom)
            if old is MISSING:
                items.append(new)
            else:
                items[next(index for index, one in enumerate(items) if one is old)] = new
        return items
    return clone(applied)


def without(manifest: Object, paths: Iterable[Path]) -> Object:
    """A copy with the values at these paths taken away."""
    result: Object = clone(manifest)
    # The deepest first: an item of a list can be found only while its key fields are there.
    for path in sorted(paths, key=len, reverse=True):
        _drop(result, path)
    return result


def _drop(manifest: Object, path: Path) -> None:
    parent = value_at(manifest, path[:-1])
    if path[-1].startswith("k:"):
        item = _item(parent, path[-1])
        if item is not MISSING:
            parent.remove(item)
    elif isinstance(parent, dict):
        if len(path) > 1 and path[-2].startswith("k:") and path[-1][2:] in dict(_keyed(path[-2])):
            return  # what keys an item goes only with the item
        if parent.pop(path[-1][2:], MISSING) is not MISSING and not parent and len(path) > 1:
            _drop(manifest, path[:-1])  # the API server does not keep empty maps


@lru_cache(maxsize=1024)
def as_fields_v1(paths: frozenset[Path]) -> Object:
    """The paths in the shape of `managedFields[].fieldsV1`; not to be changed."""
    root: Object = {}
    for path in sorted(paths, key=len):
        here = root
        for step in path:
            here = here.setdefault(step, {})
        here.setdefault(".", {})
    return _plain(root)


def _plain(node: Object) -> Object:
    if set(node) == {"."}:
        return {}
    return {name: child if name == "." else _plain(child) for name, child in node.items()}


def spelled(path: Path) -> str:
    """The path as the API server's messages spell it: `.spec.ports[port=15443,protocol="TCP"].nodePort`."""
    words = []
    for step in path:
        if step.startswith("f:"):
            words.append(f".{step[2:]}")
        else:
            pairs = ",".join(f"{key}={json.dumps(value)}" for key, value in json.loads(step[2:]).items())
            words.append(f"[{pairs}]")
    return "".join(words)
