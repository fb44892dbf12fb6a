"""Which version of Istio runs in a cluster: that of its control plane, and those of proxies, each as long as its Pod lives."""

from __future__ import annotations

import json

from wizard.clusters.kinds import CONFIG_MAP, DEPLOYMENT, Object, Ref
from wizard.clusters.port import Reads
from wizard.istio import names
from wizard.istio.versions import minor_of
from wizard.mesh.model import SYSTEM_NAMESPACE, Mesh

PROXY = "istio-proxy"
INJECTED = "security.istio.io/tlsMode=istio"  # a label that istiod gives to every Pod that it injects
_STATUS = "sidecar.istio.io/status"


def control_plane_version(cluster: Reads, mesh: Mesh) -> str:
    """The version of this mesh's Istio that stands in the cluster: that of istiod's image, in a remote that of the last install
    of ours. Empty where none does, or where neither tells.
    """
    istiod = cluster.get(Ref(DEPLOYMENT, names.istiod_name(mesh), SYSTEM_NAMESPACE))
    for container in _containers(((istiod or {}).get("spec") or {}).get("template") or {}):
        if container.get("name") == "discovery" and minor_of(_tag(container)):
            return _tag(container)
    record = cluster.get(Ref(CONFIG_MAP, "meshwizard", SYSTEM_NAMESPACE))
    told = str(((record or {}).get("data") or {}).get("version", ""))
    return told if minor_of(told) else ""


def outdated(pod: Object, mesh: Mesh) -> str:
    """The minor version of the proxy in this Pod, where it is another than the mesh's; empty where it is the same, where its
    image does not tell, or where another control plane injected it.
    """
    wanted = minor_of(str(mesh.istio.version))
    try:
        status = json.loads((pod["metadata"].get("annotations") or {}).get(_STATUS) or "{}")
    except (ValueError, TypeError):
        status = {}
    revision = status.get("revision") if isinstance(status, dict) else None
    if revision not in (None, mesh.istio.revision or "default"):
        return ""
    for container in _containers(pod):
        found = minor_of(_tag(container)) if container.get("name") == PROXY else None
        if found and wanted and found != wanted:
            return f"{found[0]}.{found[1]}"
    return ""


def image_of(workload: Object | None, container: str) -> str:
    """The image of a container in a Deployment's Pods; empty where there is none."""
    for each in _containers(((workload or {}).get("spec") or {}).get("template") or {}):
        if each.get("name") == container:
            return str(each.get("image") or "")
    return ""


def has_sidecar(pod: Object) -> bool:
    """Whether istiod injected this Pod: as a container, or as an init container that keeps running."""
    return any(container.get("name") == PROXY for container in _containers(pod))


def _containers(pod: Object) -> list[Object]:
    spec = pod.get("spec") or {}
    return [*(spec.get("initContainers") or []), *(spec.get("containers") or [])]


def _tag(container: Object) -> str:
    return str(container.get("image", "")).partition("@")[0].rpartition(":")[2]
