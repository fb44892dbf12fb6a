"""The objects that Istio's charts make, as far as the steps, the probes and the undo look at them."""

from __future__ import annotations

import json
import re

import yaml

from wizard.clusters.kinds import Object
from wizard.mesh.model import SYSTEM_NAMESPACE
from wizard.simulated import operator as operators
from wizard.simulated import roles
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
_UNNAMED = {"install.operator.istio.io/owning-resource": "unknown", "release": "istio"}
_NEVER = {"matchLabels": {"istio.io/deactivated": "never-match"}}
_SIMPLE_ADDRESS = re.compile(r"([0-9]*\.){3}[0-9]*")


def rendered(operator: Object) -> dict[str, list[Object]]:
    """Component → its objects, in the order in which istioctl applies the components."""
    components: dict[str, list[Object]] = {}
    if operators.switched_on(operator, "base"):
        components[BASE] = _base(operator)
    if operators.switched_on(operator, "pilot"):
        components[PILOT] = _remote_pilot(operator) if operators.is_remote(operator) else _pilot(operator)
    gateways = [item for gateway in operators.gateways(operator) for item in _gateway(operator, gateway)]
    if gateways:
        components[INGRESS] = gateways
    return components


def switched_off(hooks: list[Object]) -> list[Object]:
    """An injector's hooks as `istioctl install` leaves them before it makes the default tag: they match nothing, until another
    install applies them anew.
    """
    return [{**hook, "namespaceSelector": _NEVER, "objectSelector": _NEVER} for hook in hooks]


def default_webhooks(operator: Object) -> list[Object]:
    """What `istioctl install` adds beside the manifest: the webhooks of the default revision's tag."""
    version = str(at(operator, "spec.tag"))
    tag = {"istio.io/tag": "default", "istio.io/rev": operators.revision(operator)}
    return [
        _injector(operator, "istio-revision-tag-default", {**tag, "app": "sidecar-injector"}),
        _validator(operator, "istiod-default-validator", {**tag, "app": "istiod", "istio": "istiod",
                                                          "operator.istio.io/version": version}),
    ]  # fmt: skip


def _object(
    api: str, kind: str, name: str, labels: dict[str, str], *, cluster_wide: bool = False, **rest: object
) -> Object:
    metadata: Object = {"name": name, "labels": {"release": "istio", **labels}}
    if not cluster_wide:
        metadata["namespace"] = SYSTEM_NAMESPACE
    return {"apiVersion": api, "kind": kind, "metadata": metadata, **rest}


def _base(operator: Object) -> list[Object]:
    reader = _object("v1", "ServiceAccount", "istio-reader-service-account", {"app": "istio-reader"})
    if operators.is_remote(operator):
        return [*_definitions(), reader]
    name = f"istio-validator{operators.ending(operator)}-istio-system"
    return [*_definitions(), reader, _validator(operator, name, {"app": "istiod", "istio": "istiod"})]


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


def _remote_pilot(operator: Object) -> list[Object]:
    """What stands for istiod in a remote: its injection webhook, and a Service that leads to its primary's."""
    labels = _labels(operator)
    name = f"istiod{operators.ending(operator)}"
    manifests = [
        *_readers(operator),
        _object("v1", "ConfigMap", f"values{operators.ending(operator)}", labels,
                data={"original-values": json.dumps(at(operator, "spec.values", {}), indent=2)}),
        _injector(operator, f"istio-sidecar-injector{operators.ending(operator)}", labels),
    ]  # fmt: skip
    address = at(operator, "spec.values.global.remotePilotAddress")
    if not address:
        return manifests
    ports: list[Object] = [
        {"port": 15012, "name": "tcp-istiod", "protocol": "TCP"},
        {"port": 443, "targetPort": 15017, "name": "tcp-webhook", "protocol": "TCP"},
    ]
    spec: Object = {"ports": ports}
    if _SIMPLE_ADDRESS.fullmatch(str(address)):
        manifests.append(
            _object(
                "discovery.k8s.io/v1", "EndpointSlice", name, {"kubernetes.io/service-name": name},
                addressType="IPv4", endpoints=[{"addresses": [str(address)]}],
                ports=[{"port": port.get("targetPort", port["port"]), "name": port["name"], "protocol": "TCP"}
                       for port in ports],
            )
        )  # fmt: skip
    else:
        spec |= {"type": "ExternalName", "externalName": str(address)}
    return [*manifests, _object("v1", "Service", name, {"istio.io/rev": operators.revision(operator)}, spec=spec)]


def _pilot(operator: Object) -> list[Object]:
    labels, ending = _labels(operator), operators.ending(operator)
    app, name = {"app": "istiod"}, f"istiod{ending}"
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
            "discoveryAddress": f"{name}.istio-system.svc:15012",
            "meshId": at(operator, "spec.values.global.meshID", "cluster.local"),
        },
        "enablePrometheusMerge": True,
        "rootNamespace": SYSTEM_NAMESPACE,
        "trustDomain": "cluster.local",
    }
    for key, value in at(operator, "spec.meshConfig", {}).items():
        mesh[key] = {**mesh[key], **value} if isinstance(mesh.get(key), dict) and isinstance(value, dict) else value
    selector = {"app": "istiod", "istio": "pilot"}
    if ending:
        selector = {"app": "istiod", "istio.io/rev": operators.revision(operator)}
    return [
        _object("v1", "ServiceAccount", name, app),
        *_readers(operator),
        *_roles(operator, "istiod-clusterrole", "istiod", name, roles.ISTIOD),
        *_roles(operator, "istiod-gateway-controller", "istiod", name, roles.GATEWAY_CONTROLLER),
        _object("v1", "ConfigMap", f"istio{ending}", labels,
                data={"mesh": _dumped(mesh), "meshNetworks": _dumped(networks)}),
        _object("v1", "ConfigMap", f"istio-sidecar-injector{ending}", labels,
                data={"config": "# simulated\n", "values": json.dumps(sidecars, indent=2)}),
        _object("v1", "ConfigMap", f"values{ending}", labels, data={"original-values": json.dumps(values, indent=2)}),
        _injector(operator, f"istio-sidecar-injector{ending}", labels),
        _istiod(operator, name, labels),
        _object(_RBAC, "Role", name, app, rules=clone(roles.ISTIOD_AT_HOME)),
        _object(_RBAC, "RoleBinding", name, app,
                roleRef={"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name},
                subjects=[{"kind": "ServiceAccount", "name": name, "namespace": SYSTEM_NAMESPACE}]),
        _scaler(name, labels),
        _object("v1", "Service", name, {**labels, "app": "istiod", "istio": "pilot"},
                spec={"ports": [
                    {"name": "grpc-xds", "port": 15010, "protocol": "TCP"},
                    {"name": "https-dns", "port": 15012, "protocol": "TCP"},
                    {"name": "https-webhook", "port": 443, "protocol": "TCP", "targetPort": 15017},
                    {"name": "http-monitoring", "port": 15014, "protocol": "TCP"},
                ], "selector": selector}),
    ]  # fmt: skip


def _labels(operator: Object) -> dict[str, str]:
    return {**_UNNAMED, "istio.io/rev": operators.revision(operator), "operator.istio.io/component": PILOT}


def _readers(operator: Object) -> list[Object]:
    rules = roles.READER_OF_REMOTE if operators.is_remote(operator) else roles.READER
    return _roles(operator, "istio-reader-clusterrole", "istio-reader", "istio-reader-service-account", rules)


def _roles(operator: Object, stem: str, app: str, account: str, rules: list[Object]) -> list[Object]:
    name = f"{stem}{operators.ending(operator)}-istio-system"
    return [
        _object(_RBAC, "ClusterRole", name, {"app": app}, cluster_wide=True, rules=clone(rules)),
        _object(_RBAC, "ClusterRoleBinding", name, {"app": app}, cluster_wide=True,
                roleRef={"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": name},
                subjects=[{"kind": "ServiceAccount", "name": account, "namespace": SYSTEM_NAMESPACE}]),
    ]  # fmt: skip


def _istiod(operator: Object, name: str, labels: dict[str, str]) -> Object:
    env = {
        "REVISION": operators.revision(operator),
        "CLUSTER_ID": at(operator, "spec.values.global.multiCluster.clusterName", "Kubernetes"),
        **{key: str(value) for key, value in at(operator, "spec.values.pilot.env", {}).items()},
    }
    if at(operator, "spec.values.global.externalIstiod"):
        env["EXTERNAL_ISTIOD"] = "true"
    container = {
        "name": "discovery",
        "image": f"{at(operator, 'spec.hub')}/pilot:{at(operator, 'spec.tag')}",
        "args": ["discovery", "--monitoringAddr=:15014"],
        "env": [{"name": key, "value": value} for key, value in env.items()],
        "ports": [{"containerPort": port, "protocol": "TCP"} for port in (15010, 15012, 15014, 15017)],
        "resources": {"requests": {"cpu": "500m", "memory": "2048Mi"}},
    }
    _pull(operator, container)
    matched = {"app": "istiod", "istio.io/rev": env["REVISION"]} if operators.ending(operator) else {"istio": "pilot"}
    chosen = {"app": "istiod", "istio": "pilot", "istio.io/rev": env["REVISION"], "sidecar.istio.io/inject": "false"}
    spec = {
        "selector": {"matchLabels": matched},
        "template": {
            "metadata": {"labels": {**chosen, "operator.istio.io/component": PILOT}},
            "spec": {
                "containers": [container],
                "serviceAccountName": name,
                **_tolerations(at(operator, "spec.components.pilot.k8s", {})),
            },
        },
    }
    return _object("apps/v1", "Deployment", name, {**labels, "app": "istiod", "istio": "pilot"}, spec=spec)


def _gateway(operator: Object, gateway: Object) -> list[Object]:
    name = str(gateway.get("name", "istio-ingressgateway"))
    chosen = {"app": name, "istio": name.removeprefix("istio-"), **(gateway.get("label") or {})}
    revision = operators.revision(operator)
    labels = {**_UNNAMED, **chosen, "istio.io/rev": revision, "operator.istio.io/component": INGRESS}
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
            "labels": {
                **chosen,
                "sidecar.istio.io/inject": "true",
                "istio.io/rev": revision,
                "operator.istio.io/component": INGRESS,
            },
        },
        "spec": {"containers": [container], "serviceAccountName": account, **_tolerations(k8s)},
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


def _tolerations(k8s: Object) -> Object:
    return {"tolerations": k8s["tolerations"]} if k8s.get("tolerations") else {}


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


def _injector(operator: Object, name: str, labels: dict[str, str]) -> Object:
    path = at(operator, "spec.values.istiodRemote.injectionPath", "/inject")
    service = {"name": f"istiod{operators.ending(operator)}", "namespace": SYSTEM_NAMESPACE, "path": path, "port": 443}
    return _object(
        "admissionregistration.k8s.io/v1", "MutatingWebhookConfiguration", name,
        {"istio.io/rev": operators.revision(operator), "app": "sidecar-injector", **labels}, cluster_wide=True,
        webhooks=[
            {"name": f"{hook}.sidecar-injector.istio.io", "clientConfig": {"service": dict(service)}, "failurePolicy": "Fail",
             "sideEffects": "None", "admissionReviewVersions": ["v1"], "namespaceSelector": {}, "objectSelector": {}}
            for hook in _HOOKS
        ],
    )  # fmt: skip


def _validator(operator: Object, name: str, labels: dict[str, str]) -> Object:
    service = {"name": f"istiod{operators.ending(operator)}", "namespace": SYSTEM_NAMESPACE, "path": "/validate"}
    return _object(
        "admissionregistration.k8s.io/v1", "ValidatingWebhookConfiguration", name,
        {"istio.io/rev": operators.revision(operator), **labels}, cluster_wide=True,
        webhooks=[
            {"name": "rev.validation.istio.io", "clientConfig": {"service": service}, "failurePolicy": "Ignore",
             "sideEffects": "None", "admissionReviewVersions": ["v1"]}
        ],
    )  # fmt: skip
