"""What stands in the clusters, without what differs from run to run: two pictures are equal where two meshes are."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from functools import lru_cache
from typing import Any

from wizard import yamltext
from wizard.clusters.kinds import CONFIG_MAP, EVENT, KINDS, LEASE, POD, SECRET, SERVICE, Object, Ref
from wizard.mesh.model import Mesh
from wizard.objects.removal import READER_TOKEN
from wizard.simulated.machine import Machine
from wizard.simulated.outside import SimulatedOutside

Picture = dict[str, Any]
_DRAWN = ("uid", "resourceVersion", "creationTimestamp", "managedFields", "generation", "selfLink")
_GIVEN = re.compile(r"198\.18\.(\d+)\.\d+")  # by a load balancer, another one each time


def picture_of(outside: SimulatedOutside, mesh: Mesh) -> Picture:
    """Every object of every machine, by `machine: ref`."""
    drawn: Picture = {}
    for machine in outside.machines:
        for kind in KINDS:
            if kind == EVENT:
                continue
            for live in machine.listed(kind):
                metadata = live["metadata"]
                ref = Ref(kind, metadata["name"], metadata.get("namespace", ""))
                name, told = (_pod(live), {}) if kind == POD else (str(ref), _drawn(machine, ref, live, mesh))
                if kind == LEASE and ref.namespace == "kube-system":
                    continue  # looked at after each run, see `Place.run`
                key = f"{machine.context}: {name}"
                while key in drawn:
                    key += " (another)"
                drawn[key] = told
    return drawn


def difference(found: Picture, wanted: Picture, *, tokens: bool = False) -> list[str]:
    """Where two pictures differ, one line each. `tokens`: those of readers may be left of peers that went."""
    if tokens:
        found = {key: told for key, told in found.items() if key in wanted or not key.endswith(str(READER_TOKEN))}
    told = [f"lacks {key}" for key in wanted.keys() - found.keys()]
    told += [f"has also {key}" for key in found.keys() - wanted.keys()]
    for key in wanted.keys() & found.keys():
        told += [f"{key}{line}" for line in _differing(found[key], wanted[key])]
    return sorted(told)


def contents(machine: Machine) -> set[str]:
    """What stands in a cluster, by address; Pods by what made them. Events tell what was, and go by themselves."""
    told = set()
    for kind in KINDS:
        if kind == EVENT:
            continue
        for live in machine.listed(kind):
            place = live["metadata"].get("namespace", "")
            told.add(_pod(live) if kind == POD else str(Ref(kind, live["metadata"]["name"], place)))
    return told


def root_in(machine: Machine) -> str | None:
    """The fingerprint of the root in this cluster's cacerts; None where it has none."""
    record = machine.store.find(Ref(SECRET, "cacerts", "istio-system"))
    content = ((record.manifest.get("data") or {}) if record else {}).get("root-cert.pem")
    return hashlib.sha256(content.encode()).hexdigest()[:16] if content else None


def _pod(live: Object) -> str:
    metadata = live["metadata"]
    labels = metadata.get("labels") or {}
    images = sorted(each["image"] for each in live["spec"]["containers"])
    running = (live.get("status") or {}).get("phase")
    version = f" {labels['version']}" if "version" in labels else ""
    app = labels.get("app") or labels.get("k8s-app") or "?"
    return f"Pod of {app}{version} in {metadata['namespace']}, {running}: {', '.join(images)}"


def _drawn(machine: Machine, ref: Ref, live: Object, mesh: Mesh) -> Any:
    told = {key: value for key, value in live.items() if key != "status"}
    told["metadata"] = {key: value for key, value in live["metadata"].items() if key not in _DRAWN}
    annotations = {
        key: value
        for key, value in (live["metadata"].get("annotations") or {}).items()
        if key != "kubernetes.io/service-account.uid"
    }
    told["metadata"]["annotations"] = annotations
    if ref.kind == SECRET:
        told["data"] = _secret(live)
    elif ref.kind == SERVICE:
        told["spec"] = _service(live["spec"], planned=_planned(machine, mesh))
    elif ref.kind == CONFIG_MAP:
        told["data"] = {name: _text(name, text) for name, text in (live.get("data") or {}).items()}
    return _plain(told)


def _secret(live: Object) -> dict[str, str]:
    """Only which keys there are: what is in them is another each time."""
    return dict.fromkeys(live.get("data") or {}, "…")


def _planned(machine: Machine, mesh: Mesh) -> int | None:
    """The NodePort that the mesh plans for this machine's gateway; all others are allocated by chance."""
    ports = [cluster.gateway.port for cluster in mesh.clusters if cluster.context == machine.context]
    return next(iter(ports), None)


def _service(spec: Object, planned: int | None) -> Object:
    ports = [
        {key: value for key, value in port.items() if key != "nodePort" or value == planned}
        for port in spec.get("ports") or []
    ]
    return {**spec, "ports": ports, "clusterIP": "…", "clusterIPs": ["…"]}


@lru_cache(maxsize=512)
def _text(name: str, text: str) -> Any:
    if name == "meshNetworks":
        return yamltext.load(text)
    if name == "operator.yaml":  # meshNetworks are those of the last install, which says nothing
        operator = yamltext.load(text)
        operator["spec"]["values"]["global"].pop("meshNetworks", None)
        return operator
    if text.startswith("{") and '"meshNetworks"' in text:
        values = json.loads(text)
        values["global"].pop("meshNetworks", None)  # as of the last install, too
        return values
    if name == "before" or "BEGIN CERTIFICATE" in text:
        return "…"
    return text


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            key: "…" if key in ("caBundle", "uid") else _plain(item)
            for key, item in value.items()
            if item or not (item is None or isinstance(item, dict | list))
        }
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return _GIVEN.sub(r"given to \1", value) if isinstance(value, str) and "198.18." in value else value


def _differing(found: Any, wanted: Any, path: str = "") -> list[str]:
    if found == wanted:
        return []
    if isinstance(found, dict) and isinstance(wanted, dict):
        return [
            line
            for key in sorted(found.keys() | wanted.keys())
            for line in _differing(found.get(key), wanted.get(key), f"{path}.{key}")
        ]
    return [f"{path}: {found!r}, not {wanted!r}"]


def decoded(live: Object) -> list[bytes]:
    """The contents of a Secret."""
    return [base64.b64decode(text) for text in (live.get("data") or {}).values()]
