"""Names of Istio's own objects that depend on the revision of the control plane."""

from __future__ import annotations

from wizard.mesh.model import Cluster, Mesh


def istiod_name(mesh: Mesh) -> str:
    """The Deployment and Service of istiod."""
    return _revised("istiod", mesh)


def mesh_config_name(mesh: Mesh) -> str:
    """The ConfigMap with mesh configuration and meshNetworks."""
    return _revised("istio", mesh)


def injector_name(mesh: Mesh, cluster: Cluster) -> str:
    """The webhook that injects sidecars; the same in a primary and in a remote."""
    return _revised("istio-sidecar-injector", mesh)


def injection_labels(mesh: Mesh) -> dict[str, str]:
    """The labels with which a namespace asks for this control plane's sidecars."""
    return {"istio.io/rev": mesh.istio.revision} if mesh.istio.revision else {"istio-injection": "enabled"}


def _revised(name: str, mesh: Mesh) -> str:
    return f"{name}-{mesh.istio.revision}" if mesh.istio.revision else name
