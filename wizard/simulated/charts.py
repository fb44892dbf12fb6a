"""The objects that Istio's charts make, as far as the steps, the probes and the undo look at them."""

from __future__ import annotations

import json

import yaml

from wizard.clusters.kinds import Object
from wizard.mesh.model import SYSTEM_NAMESPACE
from wizard.simulated import operator as operators
from wizard.simulated.fields import clone
from wizard.simulated.operator import at

BASE, PILOT, INGRESS = "Base", "Pilot", "IngressGateways"
_CRDS = {
    "extensions": {"WasmPlugin": "wasmplugins"},
    "networking": {
        "DestinationRule": "destinationrules",
        "EnvoyFilter": "envoyfilters",
        "Gateway": "gateways",
        "ProxyConfig": "proxyconfigs",
        "ServiceEntry": "serviceentries",
        "Sidecar": "sidecars",
        "VirtualService": "virtualservices",
        "WorkloadEntry": "workloadentries",
        "WorkloadGroup": "workloadgroups",
    },
    "security": {
        "AuthorizationPolicy": "authorizationpolicies",
        "PeerAuthentication": "peerauthentications",
        "RequestAuthentication": "requestauthentications",
    },
    "telemetry": {"Telemetry": "telemetries"},
}
_RBAC = "rbac.authorization.k8s.io/v1"
_HOOKS = ("rev.namespace", "rev.object", "namespace", "object")
_UNNAMED = {"install.operator.istio.io/owning-resource": "unknown", "istio.io/rev": "default", "release": "istio"}


def rendered(operator: Object) -> dict[str, list[Object]]:
    """Component → its objects, in the order in which istioctl applies the components."""
    components: dict[str, list[Object]] = {}
    if operators.switched_on(operator, "base"):
        components[BASE] = _base()
    if operators.switched_on(operator, "pilot"):
        components[PILOT] = _pilot(operator)
    gateways = [item for gateway in operators.gateways(operator) for item in _gateway(operator, gateway)]
    if gateways:
        components[INGRESS] = gateways
    return components


def default_webhooks(operator: Object) -> list[Object]:
    """What `istioctl install` adds beside the manifest: the webhooks of the default revision."""
    version = str(at(operator, "spec.tag"))
    return [
        _injector("istio-revision-tag-default", {"istio.io/tag": "default", "app": "sidecar-injector"}),
        _validator("istiod-default-validator", {"istio.io/tag": "default", "app": "istiod", "istio": "istiod",
                                                "operator.istio.io/version": version}),
    ]  # fmt: skip


def _object(
    api: str, kind: str, name: str, labels: dict[str, str], *, cluster_wide: bool = False, **rest: object
) -> Object:
    metadata: Object = {"name": name, "labels": {"release": "istio", **labels}}
    if not cluster_wide:
        metadata["namespace"] = SYSTEM_NAMESPACE
    return {"apiVersion": api, "kind": kind, "metadata": metadata, **rest}


def _base() -> list[Object]:
    reader = _object("v1", "ServiceAccount", "istio-reader-service-account", {"app": "istio-reader"})
    return [*_definitions(), reader, _validator("istio-validator-istio-system", {"app": "istiod", "istio": "istiod"})]


def _definitions() -> list[Object]:
    return [
        _object(
            "apiextensions.k8s.io/v1", "CustomResourceDefinition", f"{plural}.{group}.istio.io",
            {"app": "istio-pilot", "chart": "istio"}, cluster_wide=True,
            spec={
                "group": f"{group}.istio.io",
                "names": {"kind": kind, "listKind": f"{kind}List", "plural": plural, "singular": kind.lower()},
                "scope": "Namespaced",
                "versions": [{"name": "v1", "served": True, "storage": True,
                              "schema": {"openAPIV3Schema": {"type": "object"}}}],
            },
        )
        for group, kinds in _CRDS.items()
        for kind, plural in kinds.items()
    ]  # fmt: skip


def _pilot(operator: Object) -> list[Object]:
    labels = {**_UNNAMED, "operator.istio.io/component": PILOT}
    app = {"app": "istiod"}
    roles = [
        _object(_RBAC, "ClusterRole", f"{name}-istio-system", {"app": app_name}, cluster_wide=True,
                rules=[{"apiGroups": [""], "resources": ["pods", "services", "nodes"], "verbs": ["get", "list", "watch"]}])
        for name, app_name in _ROLES.items()
    ]  # fmt: skip
    bindings = [
        _object(_RBAC, "ClusterRoleBinding", f"{name}-istio-system", {"app": app_name}, cluster_wide=True,
                roleRef={"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": f"{name}-istio-system"},
                subjects=[{"kind": "ServiceAccount", "name": _SUBJECTS[app_name], "namespace": SYSTEM_NAMESPACE}])
        for name, app_name in _ROLES.items()
    ]  # fmt: skip
    values = at(operator, "spec.values", {})
    sidecars = {
        "global": {
            "hub": at(operator, "spec.hub"),
            "tag": str(at(operator, "spec.tag")),
            **(values.get("global") or {}),
        }
    }
    networks = {"networks": at(operator, "spec.values.global.meshNetworks", {})}
    mesh: Object = {
        "defaultConfig": {
            "discoveryAddress": "istiod.istio-system.svc:15012",
            "meshId": at(operator, "spec.values.global.meshID", "cluster.local"),
        },
        "enablePrometheusMerge": True,
        "rootNamespace": SYSTEM_NAMESPACE,
        "trustDomain": "cluster.local",
    }
    for name, value in at(operator, "spec.meshConfig", {}).items():
        mesh[name] = {**mesh[name], **value} if isinstance(mesh.get(name), dict) and isinstance(value, dict) else value
    return [
        _object("v1", "ServiceAccount", "istiod", app),
        *roles,
        *bindings,
        _object("v1", "ConfigMap", "istio", labels,
                data={"mesh": _dumped(mesh), "meshNetworks": _dumped(networks)}),
        _object("v1", "ConfigMap", "istio-sidecar-injector", labels,
                data={"config": "# simulated\n", "values": json.dumps(sidecars, indent=2)}),
        _object("v1", "ConfigMap", "values", labels, data={"original-values": json.dumps(values, indent=2)}),
        _injector("istio-sidecar-injector", labels),
        _istiod(operator, labels),
        _object(_RBAC, "Role", "istiod", app, rules=[]),
        _object(_RBAC, "RoleBinding", "istiod", app,
                roleRef={"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "istiod"},
                subjects=[{"kind": "ServiceAccount", "name": "istiod", "namespace": SYSTEM_NAMESPACE}]),
        _scaler("istiod", labels),
        _object("v1", "Service", "istiod", {**labels, "app": "istiod", "istio": "pilot"},
                spec={"ports": [
                    {"name": "grpc-xds", "port": 15010, "protocol": "TCP"},
                    {"name": "https-dns", "port": 15012, "protocol": "TCP"},
                    {"name": "https-webhook", "port": 443, "protocol": "TCP", "targetPort": 15017},
                    {"name": "http-monitoring", "port": 15014, "protocol": "TCP"},
                ], "selector": {"app": "istiod", "istio": "pilot"}}),
    ]  # fmt: skip


_ROLES = {
    "istio-reader-clusterrole": "istio-reader",
    "istiod-clusterrole": "istiod",
    "istiod-gateway-controller": "istiod",
}
_SUBJECTS = {"istio-reader": "istio-reader-service-account", "istiod": "istiod"}


def _istiod(operator: Object, labels: dict[str, str]) -> Object:
    env = {
        "REVISION": "default",
        "CLUSTER_ID": at(operator, "spec.values.global.multiCluster.clusterName", "Kubernetes"),
    }
    container = {
        "name": "discovery",
        "image": f"{at(operator, 'spec.hub')}/pilot:{at(operator, 'spec.tag')}",
        "args": ["discovery", "--monitoringAddr=:15014"],
        "env": [{"name": name, "value": value} for name, value in env.items()],
        "ports": [{"containerPort": 15012, "name": "tls-xds", "protocol": "TCP"}],
        "resources": {"requests": {"cpu": "500m", "memory": "2048Mi"}},
    }
    _pull(operator, container)
    chosen = {"app": "istiod", "istio": "pilot", "istio.io/rev": "default", "sidecar.istio.io/inject": "false"}
    spec = {
        "selector": {"matchLabels": {"istio": "pilot"}},
        "template": {
            "metadata": {"labels": {**chosen, "operator.istio.io/component": PILOT}},
            "spec": {"containers": [container], "serviceAccountName": "istiod"},
        },
    }
    return _object("apps/v1", "Deployment", "istiod", {**labels, "app": "istiod", "istio": "pilot"}, spec=spec)


def _gateway(operator: Object, gateway: Object) -> list[Object]:
    name = str(gateway.get("name", "istio-ingressgateway"))
    chosen = {"app": name, "istio": name.removeprefix("istio-"), **(gateway.get("label") or {})}
    labels = {**_UNNAMED, **chosen, "operator.istio.io/component": INGRESS}
    k8s = gateway.get("k8s") or {}
    service = k8s.get("service") or {}
    ports = service.get("ports") or [{"name": "https", "port": 443, "targetPort": 8443}]
    container = {
        "name": "istio-proxy",
        "image": "auto",
        "env": [{"name": "ISTIO_META_UNPRIVILEGED_POD", "value": "true"}, *(k8s.get("env") or [])],
        "ports": [{"containerPort": port["targetPort"], "protocol": "TCP"} for port in ports],
        "resources": {"requests": {"cpu": "100m", "memory": "128Mi"}},
    }
    _pull(operator, container)
    account = f"{name}-service-account"
    template = {
        "metadata": {
            "annotations": {"inject.istio.io/templates": "gateway", "sidecar.istio.io/inject": "true"},
            "labels": {**chosen, "sidecar.istio.io/inject": "true", "operator.istio.io/component": INGRESS},
        },
        "spec": {"containers": [container], "serviceAccountName": account},
    }
    more = {key: value for key, value in service.items() if key not in ("ports", "type")}
    annotations = {"annotations": k8s["serviceAnnotations"]} if k8s.get("serviceAnnotations") else {}
    exposed = _object(
        "v1", "Service", name, labels,
        spec={"type": service.get("type", "LoadBalancer"), "ports": ports, "selector": chosen, **more},
    )  # fmt: skip
    exposed["metadata"] |= annotations
    return [
        _object("v1", "ServiceAccount", account, labels),
        _object("apps/v1", "Deployment", name, labels,
                spec={"selector": {"matchLabels": chosen}, "template": template}),
        _object(_RBAC, "Role", f"{name}-sds", labels,
                rules=[{"apiGroups": [""], "resources": ["secrets"], "verbs": ["get", "watch", "list"]}]),
        _object(_RBAC, "RoleBinding", f"{name}-sds", labels,
                roleRef={"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": f"{name}-sds"},
                subjects=[{"kind": "ServiceAccount", "name": account}]),
        _scaler(name, labels),
        exposed,
    ]  # fmt: skip


def _pull(operator: Object, container: Object) -> None:
    policy = at(operator, "spec.values.global.imagePullPolicy")
    if policy:
        container["imagePullPolicy"] = policy


def _dumped(content: Object) -> str:
    # The aliases that equal parts would become are nothing that the real charts write.
    return str(yaml.dump(clone(content), Dumper=getattr(yaml, "CSafeDumper", yaml.SafeDumper)))


def _scaler(name: str, labels: dict[str, str]) -> Object:
    return _object(
        "autoscaling/v2", "HorizontalPodAutoscaler", name, labels,
        spec={"minReplicas": 1, "maxReplicas": 5,
              "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": name}},
    )  # fmt: skip


def _injector(name: str, labels: dict[str, str]) -> Object:
    service = {"name": "istiod", "namespace": SYSTEM_NAMESPACE, "path": "/inject", "port": 443}
    return _object(
        "admissionregistration.k8s.io/v1", "MutatingWebhookConfiguration", name,
        {"istio.io/rev": "default", "app": "sidecar-injector", **labels}, cluster_wide=True,
        webhooks=[
            {"name": f"{hook}.sidecar-injector.istio.io", "clientConfig": {"service": dict(service)}, "failurePolicy": "Fail",
             "sideEffects": "None", "admissionReviewVersions": ["v1"]}
            for hook in _HOOKS
        ],
    )  # fmt: skip


def _validator(name: str, labels: dict[str, str]) -> Object:
    service = {"name": "istiod", "namespace": SYSTEM_NAMESPACE, "path": "/validate"}
    return _object(
        "admissionregistration.k8s.io/v1", "ValidatingWebhookConfiguration", name,
        {"istio.io/rev": "default", **labels}, cluster_wide=True,
        webhooks=[
            {"name": "rev.validation.istio.io", "clientConfig": {"service": service}, "failurePolicy": "Ignore",
             "sideEffects": "None", "admissionReviewVersions": ["v1"]}
        ],
    )  # fmt: skip
