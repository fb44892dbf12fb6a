"""What the contracts apply, and how they wait. All is in the namespace `meshwizard-contract`, which is removed afterwards."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, TypeVar

from wizard.clusters.kinds import AUTOSCALER, JOB, Kind, Object, Ref

NAME = "meshwizard-contract"
NOWHERE = "meshwizard-contract-nowhere"  # a namespace that nobody makes
OTHER = "somebody-else"
UNKNOWN = Kind("contract.meshwizard.example/v1", "Nothing", "nothings")
SomebodyElse = Callable[[Object], None]
T = TypeVar("T")


def config_map(name: str, data: dict[str, str] | None = None, labels: dict[str, str] | None = None) -> Object:
    """A ConfigMap in the contract's namespace."""
    manifest: Object = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": NAME}}
    if data is not None:
        manifest["data"] = data
    if labels is not None:
        manifest["metadata"]["labels"] = labels
    return manifest


def service(name: str, *ports: dict[str, Any], **spec: Any) -> Object:
    """A Service in the contract's namespace."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": NAME},
        "spec": {"selector": {"app": name}, "ports": list(ports) or [{"port": 80, "name": "http"}], **spec},
    }


def autoscaler(name: str) -> Object:
    """A HorizontalPodAutoscaler of a Deployment that is not there."""
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": name}
    return {
        "apiVersion": AUTOSCALER.api_version,
        "kind": AUTOSCALER.kind,
        "metadata": {"name": name, "namespace": NAME},
        "spec": {"minReplicas": 1, "maxReplicas": 2, "scaleTargetRef": target},
    }


def deployment(name: str, image: str) -> Object:
    """A Deployment of one sleeping Pod."""
    labels = {"app": name}
    container = {"name": "sleeper", "image": image, "imagePullPolicy": "IfNotPresent", "command": ["sleep", "infinity"]}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": NAME, "labels": labels},
        "spec": {
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {"containers": [container], "terminationGracePeriodSeconds": 0},
            },
        },
    }


def job(name: str, image: str, *command: str, **spec: Any) -> Object:
    """A Job of one Pod."""
    container = {"name": "worker", "image": image, "imagePullPolicy": "IfNotPresent", "command": list(command)}
    pod = {"containers": [container], "restartPolicy": "Never", "terminationGracePeriodSeconds": 0}
    return {
        "apiVersion": JOB.api_version,
        "kind": JOB.kind,
        "metadata": {"name": name, "namespace": NAME},
        "spec": {"backoffLimit": 0, **spec, "template": {"metadata": {"labels": {"contract": name}}, "spec": pod}},
    }


def ref(kind: Kind, name: str, namespace: str = NAME) -> Ref:
    """An address in the contract's namespace."""
    return Ref(kind, name, namespace if kind.namespaced else "")


def soon(look: Callable[[], T | None], what: str, seconds: float = 90) -> T:
    """What `look` finds, as soon as it is there."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = look()
        if found:
            return found
        time.sleep(0.1)
    raise AssertionError(f"{what}: not within {seconds} s")


def owners(live: Object, *path: str) -> set[str]:
    """The managers that own the field at this path, as managedFields tell."""
    found = set()
    for entry in live["metadata"]["managedFields"]:
        node: Any = entry["fieldsV1"]
        for step in path:
            node = node.get(f"f:{step}") if isinstance(node, dict) else None
        if node is not None:
            found.add(entry["manager"])
    return found
