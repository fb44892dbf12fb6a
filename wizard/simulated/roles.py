"""What the roles of Istio's charts allow, as far as anybody here asks for it: of Istio 1.29."""

from __future__ import annotations

from wizard.clusters.kinds import Object

_READ = ("get", "list", "watch")
_WRITE = (*_READ, "create", "update", "patch", "delete")
_ISTIO = tuple(
    f"{group}.istio.io" for group in ("authentication", "config", "extensions", "networking", "rbac", "security", "telemetry")
)  # fmt: skip
_GATEWAYS = ("gateway.networking.k8s.io", "gateway.networking.x-k8s.io")


def _rule(groups: tuple[str, ...], resources: tuple[str, ...], verbs: tuple[str, ...]) -> Object:
    return {"apiGroups": list(groups), "resources": list(resources), "verbs": list(verbs)}


_REVIEWS = [
    _rule(("authentication.k8s.io",), ("tokenreviews",), ("create",)),
    _rule(("authorization.k8s.io",), ("subjectaccessreviews",), ("create",)),
]
_WEBHOOKS = _rule(
    ("admissionregistration.k8s.io",),
    ("mutatingwebhookconfigurations", "validatingwebhookconfigurations"),
    (*_READ, "update", "patch"),
)
_DEFINITIONS = _rule(("apiextensions.k8s.io",), ("customresourcedefinitions",), _READ)
_SLICES = _rule(("discovery.k8s.io",), ("endpointslices",), _READ)
_CONFIG = _rule(("",), ("configmaps",), ("create", *_READ, "update"))

# Of the account with whose token other clusters' istiods read this one.
READER = [
    _rule(_ISTIO, ("*",), _READ),
    _rule(("",), ("endpoints", "pods", "services", "nodes", "replicationcontrollers", "namespaces", "secrets"), _READ),
    _rule(("networking.x-k8s.io", "gateway.networking.k8s.io"), ("gateways",), _READ),
    _DEFINITIONS,
    _SLICES,
    _rule(("apps",), ("replicasets",), _READ),
    *_REVIEWS,
]
# And of a remote, in which its primary's istiod writes.
READER_OF_REMOTE = [*READER, _CONFIG, _WEBHOOKS]
ISTIOD = [
    _WEBHOOKS,
    _rule(_ISTIO, ("*",), _READ),
    _rule(("networking.istio.io",), ("workloadentries", "workloadentries/status"), _WRITE),
    _DEFINITIONS,
    _rule(("",), ("pods", "nodes", "services", "namespaces", "endpoints"), _READ),
    _SLICES,
    _rule(("networking.k8s.io",), ("ingresses", "ingressclasses"), _READ),
    _CONFIG,
    *_REVIEWS,
    _rule(_GATEWAYS, ("*",), (*_READ, "update", "patch")),
    _rule(("",), ("secrets",), _READ),
]
# In its own namespace.
ISTIOD_AT_HOME = [_rule(("",), ("secrets",), (*_READ, "create", "update", "delete"))]
# By it istiod runs the gateways that are asked for by the Gateway API.
GATEWAY_CONTROLLER = [
    _rule(("apps",), ("deployments",), _WRITE),
    _rule(("autoscaling",), ("horizontalpodautoscalers",), _WRITE),
    _rule(("policy",), ("poddisruptionbudgets",), _WRITE),
    _rule(("",), ("services", "serviceaccounts"), _WRITE),
]
