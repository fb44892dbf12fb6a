"""The Kubernetes kinds the wizard reads and writes, with the plural their URLs need. A kind that is not here is not touched.

Each has the version in which it is written here; read it is in whatever version the API server has (see `port.Cluster`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from wizard.messages import msg

Object = dict[str, Any]


@dataclass(frozen=True)
class Kind:
    """A kind of object: the version of its API that we write, and the name under which it is addressed (`plural`)."""

    api_version: str
    kind: str
    plural: str
    namespaced: bool = True

    @cached_property
    def group(self) -> str:
        """The API group; empty for the core group."""
        return self.api_version.rpartition("/")[0]

    @cached_property
    def resource(self) -> str:
        """`deployments.apps`, as kubectl and access reviews spell it."""
        return f"{self.plural}.{self.group}" if self.group else self.plural


@dataclass(frozen=True)
class Ref:
    """One object's address in a cluster. `namespace` is empty for cluster-scoped kinds."""

    kind: Kind
    name: str
    namespace: str = ""

    def __str__(self) -> str:
        if not self.namespace:
            return f"{self.kind.kind} {self.name}"
        return msg("{kind} {name} in {namespace}", kind=self.kind.kind, name=self.name, namespace=self.namespace)


NAMESPACE = Kind("v1", "Namespace", "namespaces", namespaced=False)
NODE = Kind("v1", "Node", "nodes", namespaced=False)
POD = Kind("v1", "Pod", "pods")
SERVICE = Kind("v1", "Service", "services")
SERVICE_ACCOUNT = Kind("v1", "ServiceAccount", "serviceaccounts")
SECRET = Kind("v1", "Secret", "secrets")
CONFIG_MAP = Kind("v1", "ConfigMap", "configmaps")
EVENT = Kind("v1", "Event", "events")
ENDPOINTS = Kind("v1", "Endpoints", "endpoints")
ENDPOINT_SLICE = Kind("discovery.k8s.io/v1", "EndpointSlice", "endpointslices")
DEPLOYMENT = Kind("apps/v1", "Deployment", "deployments")
DAEMON_SET = Kind("apps/v1", "DaemonSet", "daemonsets")
JOB = Kind("batch/v1", "Job", "jobs")
AUTOSCALER = Kind("autoscaling/v2", "HorizontalPodAutoscaler", "horizontalpodautoscalers")
DISRUPTION_BUDGET = Kind("policy/v1", "PodDisruptionBudget", "poddisruptionbudgets")
ROLE = Kind("rbac.authorization.k8s.io/v1", "Role", "roles")
ROLE_BINDING = Kind("rbac.authorization.k8s.io/v1", "RoleBinding", "rolebindings")
CLUSTER_ROLE = Kind("rbac.authorization.k8s.io/v1", "ClusterRole", "clusterroles", namespaced=False)
CLUSTER_ROLE_BINDING = Kind(
    "rbac.authorization.k8s.io/v1", "ClusterRoleBinding", "clusterrolebindings", namespaced=False
)
CRD = Kind("apiextensions.k8s.io/v1", "CustomResourceDefinition", "customresourcedefinitions", namespaced=False)
MUTATING_WEBHOOK = Kind(
    "admissionregistration.k8s.io/v1",
    "MutatingWebhookConfiguration",
    "mutatingwebhookconfigurations",
    namespaced=False,
)
VALIDATING_WEBHOOK = Kind(
    "admissionregistration.k8s.io/v1",
    "ValidatingWebhookConfiguration",
    "validatingwebhookconfigurations",
    namespaced=False,
)
NETWORK_POLICY = Kind("networking.k8s.io/v1", "NetworkPolicy", "networkpolicies")
SERVICE_CIDR = Kind("networking.k8s.io/v1", "ServiceCIDR", "servicecidrs", namespaced=False)
LEASE = Kind("coordination.k8s.io/v1", "Lease", "leases")
# Served by every Istio; `v1` only since 1.22.
ISTIO_GATEWAY = Kind("networking.istio.io/v1alpha3", "Gateway", "gateways")
VIRTUAL_SERVICE = Kind("networking.istio.io/v1alpha3", "VirtualService", "virtualservices")
DESTINATION_RULE = Kind("networking.istio.io/v1alpha3", "DestinationRule", "destinationrules")
SIDECAR = Kind("networking.istio.io/v1alpha3", "Sidecar", "sidecars")
SERVICE_ENTRY = Kind("networking.istio.io/v1alpha3", "ServiceEntry", "serviceentries")
PEER_AUTHENTICATION = Kind("security.istio.io/v1beta1", "PeerAuthentication", "peerauthentications")
AUTHORIZATION_POLICY = Kind("security.istio.io/v1beta1", "AuthorizationPolicy", "authorizationpolicies")
# Up to Istio 1.1x the charts bring these, too; no newer version of the kind was ever served.
ENVOY_FILTER = Kind("networking.istio.io/v1alpha3", "EnvoyFilter", "envoyfilters")
ISTIO_OPERATOR = Kind("install.istio.io/v1alpha1", "IstioOperator", "istiooperators")
VALIDATING_POLICY = Kind(
    "admissionregistration.k8s.io/v1",
    "ValidatingAdmissionPolicy",
    "validatingadmissionpolicies",
    namespaced=False,
)
VALIDATING_POLICY_BINDING = Kind(
    "admissionregistration.k8s.io/v1",
    "ValidatingAdmissionPolicyBinding",
    "validatingadmissionpolicybindings",
    namespaced=False,
)

KINDS: tuple[Kind, ...] = tuple(value for value in list(globals().values()) if isinstance(value, Kind))
_BY_NAME = {(kind.group, kind.kind): kind for kind in KINDS}


def kind_of(manifest: Object) -> Kind:
    """The kind of this manifest, in the manifest's own version; KeyError names one that the table lacks."""
    version = str(manifest.get("apiVersion"))
    kind = _BY_NAME[version.rpartition("/")[0], str(manifest.get("kind"))]
    return kind if kind.api_version == version else replace(kind, api_version=version)


def ref_of(manifest: Object) -> Ref:
    """The address of this manifest's object."""
    metadata = manifest["metadata"]
    kind = kind_of(manifest)
    return Ref(kind, metadata["name"], metadata.get("namespace", "") if kind.namespaced else "")
