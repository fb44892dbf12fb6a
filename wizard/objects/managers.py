"""Field managers that are known to be machinery: what they write on our objects follows from the platform or from the install
itself, nobody decided it, and no overlay could say it. So it is no conflict where an install writes it anew.

Whoever is not here is taken for a person, or for a tool that does what a person said. (The certificate of a webhook is never a
conflict, whoever wrote it: cert-manager's injector and OpenShift's service CA do.)
"""

from __future__ import annotations

from wizard.clusters.kinds import Object
from wizard.clusters.port import MANAGER
from wizard.objects.ownership import ISTIOD_MANAGER

# As istioctl calls itself: where it applies on the server's side, and (before Istio 1.12) where it did not.
ISTIOCTL = frozenset({"istio-operator", "istioctl"})

# manager → what it is, and what it writes
MACHINERY: dict[str, str] = {
    MANAGER: "the wizard itself",
    "istio-operator": "istioctl: what an install applies",
    "istioctl": "istioctl: tags, and installs of old releases",
    ISTIOD_MANAGER: "istiod: certificates and failurePolicy of webhooks",
    "kube-controller-manager": "Kubernetes: replicas for an autoscaler, Endpoints, annotations of a rollout",
    "cloud-controller-manager": "Kubernetes: load balancers of Services",
    "kube-apiserver": "Kubernetes",
    "kube-scheduler": "Kubernetes",
    "kubelet": "Kubernetes",
    "k3s": "K3s: all of Kubernetes in one program, its controller manager too",
    "kubelite": "MicroK8s: all of Kubernetes in one program, its controller manager too",
    # github.com/Azure/AKS/issues/4002: it cannot be switched off for a cluster.
    "admissionsenforcer": "AKS: keeps every webhook's namespaceSelector away from the platform's own namespaces",
}


def others(live: Object) -> list[str]:
    """The managers of an object that are no machinery, in the order of its managed fields."""
    entries = live["metadata"].get("managedFields") or []
    return list(dict.fromkeys(str(each.get("manager", "")) for each in entries if not is_machinery(each)))


def is_machinery(entry: Object) -> bool:
    """Whether an entry of the managed fields is of machinery; what is written into the status always is."""
    return entry.get("subresource") == "status" or str(entry.get("manager")) in MACHINERY
