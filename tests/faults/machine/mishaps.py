"""What happens between two runs: to objects, to certificates, to the state folder, to the clusters as such."""

from __future__ import annotations

import base64
import os
import shutil
from collections.abc import Callable

from tests.faults.machine.picture import root_in
from tests.faults.machine.shapes import NAME
from tests.faults.machine.strangers import ELSEWHERE
from tests.faults.machine.tally import count
from tests.faults.machine.world import CACERTS, Place
from wizard.certificates import authority
from wizard.clusters.kinds import (
    CONFIG_MAP,
    CRD,
    DEPLOYMENT,
    ISTIO_GATEWAY,
    KINDS,
    NAMESPACE,
    POD,
    SECRET,
    SERVICE,
    Object,
    Ref,
)
from wizard.mesh.model import GATEWAY_NAME, NETWORK_LABEL, SYSTEM_NAMESPACE
from wizard.objects.ownership import ISTIO_OWNER, is_ours, label
from wizard.simulated.machine import Machine

STATE = "state.json"


def managed(machine: Machine) -> list[Ref]:
    """What the wizard answers for here: its own objects, and what istioctl made for it."""
    found = []
    for kind in KINDS:
        for live in machine.listed(kind):
            metadata = live["metadata"]
            ref = Ref(kind, metadata["name"], metadata.get("namespace", ""))
            installed = label(live, ISTIO_OWNER) is not None and kind != CRD
            if ref != CACERTS and (is_ours(live) or installed) and not metadata.get("deletionTimestamp"):
                found.append(ref)
    return sorted(found, key=str)


def delete(place: Place, number: int, which: int) -> str:
    """Somebody deletes an object. A namespace that was there before the wizard is not deleted: that would be a disaster."""
    machine = place.machine(number)
    candidates = [ref for ref in managed(machine) if not (place.shape.settled_in and ref.kind == NAMESPACE)]
    if not candidates:
        return ""
    ref = candidates[which % len(candidates)]
    _remove(machine, ref)
    if ref.name in (SYSTEM_NAMESPACE, "meshwizard"):
        place.lost_records.add(machine.index)
    if (ref.kind, ref.name) == (NAMESPACE, SYSTEM_NAMESPACE):
        place.lost_namespaces.add(machine)
    return f"deleted {ref}"


def _remove(machine: Machine, ref: Ref) -> None:
    with machine.settled():
        machine.store.remove(ref)
        machine.settle()


# -- one field changed by somebody else: the object, and what is done to it

Change = Callable[[Object], object]


def _label(name: str, value: str | None) -> Change:
    def change(live: Object) -> None:
        labels = live["metadata"].setdefault("labels", {})
        if value is None:
            labels.pop(name, None)
        else:
            labels[name] = value

    return change


def _data(name: str, text: str) -> Change:
    return lambda live: live.setdefault("data", {}).__setitem__(name, text)


def _garbage(live: Object) -> None:
    live["data"] = dict.fromkeys(live["data"], base64.b64encode(b"garbage").decode())


def _peers(live: Object) -> bool:
    return "istio/multiCluster" in (live["metadata"].get("labels") or {})


def _one(kind: object, name: str, namespace: str = "") -> list[Ref]:
    return [Ref(kind, name, namespace)]  # type: ignore[arg-type]


def _remote_secrets(machine: Machine) -> list[Ref]:
    return [
        Ref(SECRET, live["metadata"]["name"], SYSTEM_NAMESPACE)
        for live in machine.listed(SECRET, SYSTEM_NAMESPACE)
        if _peers(live)
    ]


def _scaled(live: Object) -> None:
    live["spec"]["replicas"] = 0


def _no_injection(live: Object) -> None:
    for name in ("istio-injection", "istio.io/rev"):
        live["metadata"]["labels"].pop(name, None)


FIELDS: dict[str, tuple[Callable[[Machine], list[Ref]], Change]] = {
    "network label": (lambda m: _one(NAMESPACE, SYSTEM_NAMESPACE), _label(NETWORK_LABEL, ELSEWHERE)),
    "network label stripped": (lambda m: _one(NAMESPACE, SYSTEM_NAMESPACE), _label(NETWORK_LABEL, None)),
    "remote secret garbage": (_remote_secrets, _garbage),
    "remote secret label stripped": (_remote_secrets, _label("istio/multiCluster", None)),
    "gateway type": (
        lambda m: _one(SERVICE, GATEWAY_NAME, SYSTEM_NAMESPACE),
        lambda live: live["spec"].__setitem__("type", "NodePort" if live["spec"]["type"] == "ClusterIP" else "ClusterIP"),
    ),
    "meshNetworks": (
        lambda m: [
            Ref(CONFIG_MAP, each["metadata"]["name"], SYSTEM_NAMESPACE)
            for each in m.listed(CONFIG_MAP, SYSTEM_NAMESPACE)
            if "meshNetworks" in (each.get("data") or {})
        ],
        _data("meshNetworks", "networks: {}\n"),
    ),
    "record garbage": (lambda m: _one(CONFIG_MAP, "meshwizard", SYSTEM_NAMESPACE), _data("operator.yaml", "{}")),
    "sample scaled to none": (
        lambda m: [ref for ref in managed(m) if ref.kind == DEPLOYMENT and ref.namespace == "sample"],
        _scaled,
    ),
    "sample version": (
        lambda m: [ref for ref in managed(m) if ref.kind == DEPLOYMENT and ref.name.startswith("helloworld")],
        lambda live: live["spec"]["template"]["spec"]["containers"][0]["env"][0].__setitem__("value", "v9"),
    ),
    "injection label stripped": (lambda m: _one(NAMESPACE, "sample"), _no_injection),
    "expose": (
        lambda m: [ref for ref in managed(m) if ref.kind == ISTIO_GATEWAY],
        lambda live: live["spec"].__setitem__("selector", {"istio": "other"}),
    ),
    "pull secret garbage": (lambda m: [ref for ref in managed(m) if ref.kind == SECRET and ref.name == "registry"], _garbage),
}  # fmt: skip


def change(place: Place, number: int, what: str, which: int) -> str:
    """Somebody else changes a field of what is ours."""
    machine = place.machine(number)
    found, how = FIELDS[what]
    standing = [
        ref for ref in found(machine) if (live := machine.found(ref)) is not None and is_ours_or_installed(live)
    ]
    if not standing:
        return ""
    ref = standing[which % len(standing)]
    machine.change(ref, how)
    return f"changed {what} of {ref}"


def is_ours_or_installed(live: Object) -> bool:
    """Whether the wizard answers for it."""
    return is_ours(live) or "operator.istio.io/managed" in (live["metadata"].get("labels") or {})


# -- certificates


def other_root(place: Place, number: int) -> str:
    """Somebody puts certificates of another root into a cluster: a conflict, until a person puts it right."""
    machine = place.machine(number)
    if machine.store.find(Ref(NAMESPACE, SYSTEM_NAMESPACE)) is None:
        return ""
    _remember(place, machine)
    place.planted_root = True
    files = authority.make_intermediate(authority.make_root("other"), f"cluster{number}", "cluster.local")
    data = {name: base64.b64encode(content).decode() for name, content in files.items()}
    metadata = {"name": CACERTS.name, "namespace": SYSTEM_NAMESPACE}
    with machine.settled():
        machine.store.update({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": data}, "somebody")
    place.others_roots.add(root_in(machine))
    return f"put another root into {machine.context}"


def lose_cacerts(place: Place, number: int) -> str:
    """Somebody deletes a cluster's certificates. A running istiod then makes a root of its own."""
    machine = place.machine(number)
    if root_in(machine) is None:
        return ""
    _remember(place, machine)
    _remove(machine, CACERTS)
    return f"deleted cacerts of {machine.context}"


def _remember(place: Place, machine: Machine) -> None:
    if machine not in place.lost_roots:
        record = machine.store.find(CACERTS)
        place.lost_roots[machine] = record.manifest if record else None


# -- a cluster as such


def ail(place: Place, number: int, what: str) -> str:
    """Something is wrong with a cluster, or with istioctl, until it is healed."""
    machine, istioctl = place.machine(number), place.outside.istioctl
    match what:
        case "unreachable":
            machine.unreachable = True
        case "clock ahead":
            machine.clock_skew = 3600.0
        case "clock behind":
            machine.clock_skew = -3600.0
        case "may not create secrets":
            machine.missing_rights.add("create secrets")
            machine.missing_rights.add("patch secrets")
        case "may not list deployments":
            machine.missing_rights.add("list deployments.apps")
        case "no images":
            machine.missing_images.add("docker.io/")
        case "istioctl fails at the gateway":
            istioctl.fail_at["IngressGateways"] = "planted"
        case "istioctl hangs at istiod":
            istioctl.hang_at.add("Pilot")
        case "firewall":
            machine.blocked_ports.update({15443, 15012, 6443})
    return f"{what}: {machine.context}"


AILMENTS = (
    "unreachable", "clock ahead", "clock behind", "may not create secrets", "may not list deployments", "no images",
    "istioctl fails at the gateway", "istioctl hangs at istiod", "firewall",
)  # fmt: skip


# -- the state folder


def meddle(place: Place, how: str, where: int) -> str:
    """Something befalls the state folder; `where`: at which thousandth of the file."""
    folder = place.folder.folder / NAME
    file = folder / STATE
    content = file.read_bytes() if file.exists() else None
    if content is None or (how == "flipped" and not content) or (how == "older restored" and not place.copies):
        return ""
    place.lost_lock = place.lost_lock or how == "folder lost"
    place.damaged = True
    spot = len(content) * where // 1000
    match how:
        case "folder lost":
            shutil.rmtree(folder)
        case "files lost":
            for path in folder.glob(f"{STATE}*"):
                path.unlink()
        case "newest lost":
            file.unlink()
        case "truncated":
            _write(file, content[:spot])
        case "flipped":
            spot = min(spot, len(content) - 1)
            _write(file, content[:spot] + bytes([content[spot] ^ 0x20]) + content[spot + 1 :])
        case "zeros":
            _write(file, bytes(len(content)))
        case "all damaged":
            for path in folder.glob(f"{STATE}*"):
                _write(path, path.read_bytes()[: where % 200])
        case "older restored":
            _write(file, place.copies[where % len(place.copies)])
    return f"state {how}"


def _write(file: object, content: bytes) -> None:
    """As an editor or a backup does: a new file under the old name."""
    beside = f"{file}.beside"
    fd = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(fd, "wb") as out:
        out.write(content)
    os.replace(beside, str(file))  # noqa: PTH105


MEDDLINGS = (
    "folder lost", "files lost", "newest lost", "truncated", "flipped", "zeros", "all damaged", "older restored",
)  # fmt: skip

__all__ = [
    "AILMENTS",
    "FIELDS",
    "MEDDLINGS",
    "POD",
    "ail",
    "change",
    "count",
    "delete",
    "lose_cacerts",
    "meddle",
    "other_root",
]
