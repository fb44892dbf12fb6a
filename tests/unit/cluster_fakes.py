"""A cluster that holds just these objects, as they are written here: for what a simulated one would not come to by itself."""

from __future__ import annotations

import copy
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from wizard.clusters.kinds import Kind, Object, Ref
from wizard.clusters.port import Outdated
from wizard.engine.step import Job, Shared
from wizard.simulated.selectors import selector


class Holding:
    """Answers what is read, deleted or replaced as an API server does."""

    name = "cluster1"

    def __init__(self, *objects: Object) -> None:
        self.held = [copy.deepcopy(each) for each in objects]

    def get(self, ref: Ref) -> Object | None:
        found = self.objects(ref.kind, ref.namespace)
        return next((each for each in found if each["metadata"]["name"] == ref.name), None)

    def objects(self, kind: Kind, namespace: str = "", labels: str = "") -> list[Object]:
        wanted = selector(labels) if labels else lambda _: True
        return [
            copy.deepcopy(each)
            for each in self.held
            if (each["apiVersion"].rpartition("/")[0], each["kind"]) == (kind.group, kind.kind)
            and namespace in ("", each["metadata"].get("namespace"))
            and wanted(each["metadata"].get("labels") or {})
        ]

    def replace(self, manifest: Object) -> Object:
        metadata = manifest["metadata"]
        for place, each in enumerate(self.held):
            if (each["kind"], each["metadata"]["name"]) == (manifest["kind"], metadata["name"]):
                self.held[place] = copy.deepcopy(manifest)
        return manifest

    def delete(self, ref: Ref, *, uid: str = "", version: str = "") -> bool:
        found = self.get(ref)
        if found is None:
            return False
        if uid and uid != found["metadata"]["uid"]:
            raise Outdated(f"{ref} is another by now", "")
        self.held.remove(found)
        return True


def thing(
    kind: Kind, name: str, namespace: str = "", *, managers: tuple[str, ...] = (), labels: dict[str, str] | None = None,
    annotations: dict[str, str] | None = None, **rest: Any,
) -> Object:  # fmt: skip
    """An object with what every one has; each of these managers wrote something of it, nobody knows what."""
    metadata: Object = {"name": name, "uid": f"uid-of-{name}"}
    metadata |= {"namespace": namespace} if namespace else {}
    metadata |= {"labels": labels} if labels else {}
    metadata |= {"annotations": annotations} if annotations else {}
    metadata |= {"managedFields": [{"manager": each, "fieldsV1": {}} for each in managers]} if managers else {}
    return {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": metadata, **rest}


def job(said: list[str] | None = None, *, looks: int = 50, sleep: Callable[[float], None] = lambda _: None) -> Job:
    """Does not really wait, and gives up after so many looks."""
    left = iter(range(looks))

    def emit(event: Any) -> None:
        if said is not None and hasattr(event, "text"):
            said.append(event.text)

    named = {"step": "cluster1/install", "cluster": "cluster1"}
    step: Any = SimpleNamespace(id=named["step"], cluster=named["cluster"], named=lambda: named)
    stopped = lambda: None if next(left, None) is not None else "looked too often"  # noqa: E731
    return Job(step, emit, stopped, Shared(), sleep)
