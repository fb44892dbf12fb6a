"""Reads an IstioOperator as istioctl does: files merged in order, unknown names refused."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from wizard import yamltext
from wizard.clusters.kinds import Object
from wizard.errors import Failed

# The names that Istio 1.29's own types have (operator/pkg/apis). None: what stands below is taken as it is.
_SPEC = (
    "compatibilityVersion", "hub", "installPackagePath", "meshConfig", "namespace", "profile", "revision",
    "tag", "unvalidatedValues",
)  # fmt: skip
_K8S = (
    "affinity", "env", "hpaSpec", "imagePullPolicy", "nodeSelector", "overlays", "podAnnotations",
    "podDisruptionBudget", "priorityClassName", "readinessProbe", "replicaCount", "resources",
    "securityContext", "service", "serviceAnnotations", "strategy", "tolerations", "volumeMounts", "volumes",
)  # fmt: skip
_VALUES = (
    "base", "cni", "compatibilityVersion", "defaultRevision", "experimental", "gatewayClasses", "gateways",
    "istio_cni", "istiodRemote", "meshConfig", "ownerName", "pilot", "profile", "revision", "revisionTags",
    "sidecarInjectorWebhook", "telemetry", "ztunnel",
)  # fmt: skip
_GLOBAL = (
    "agentgateway", "arch", "caAddress", "caName", "certSigners", "configCluster", "configValidation",
    "defaultNodeSelector", "defaultPodDisruptionBudget", "defaultResources", "defaultTolerations",
    "externalIstiod", "hub", "imagePullPolicy", "imagePullSecrets", "ipFamilies", "ipFamilyPolicy",
    "istioNamespace", "istiod", "jwtPolicy", "logAsJson", "logging", "meshID", "meshNetworks", "mountMtlsCerts",
    "multiCluster", "nativeNftables", "network", "networkPolicy", "omitSidecarInjectorConfigMap",
    "operatorManageWebhooks", "pilotCertProvider", "platform", "podDNSSearchNamespaces", "priorityClassName",
    "proxy", "proxy_init", "remotePilotAddress", "resourceScope", "revision", "sds", "sts", "tag", "tracer",
    "trustBundleName", "variant", "waypoint",
)  # fmt: skip
_COMPONENT: Any = {"enabled": None, "namespace": None, "hub": None, "tag": None, "k8s": dict.fromkeys(_K8S)}
_GATEWAY: Any = {**_COMPONENT, "name": None, "label": None}
_SCHEMA: Any = {
    "apiVersion": None,
    "kind": None,
    "metadata": None,
    "spec": {
        **dict.fromkeys(_SPEC),
        "components": {
            **dict.fromkeys(("base", "pilot", "cni", "ztunnel", "istiodRemote"), _COMPONENT),
            "ingressGateways": [_GATEWAY],
            "egressGateways": [_GATEWAY],
        },
        "values": {**dict.fromkeys(_VALUES), "global": dict.fromkeys(_GLOBAL)},
    },
}
PROFILES = ("default", "demo", "minimal", "empty", "remote", "preview", "stable", "ambient")


def read(operator: str, overlays: Sequence[Path], version: str) -> Object:
    """The IstioOperator of all files together, with the profile's hub and tag. Failed where istioctl would refuse it."""
    merged: Object = {}
    for text in [*(_file(path) for path in overlays), operator]:
        try:
            document = yamltext.load(text)
        except yaml.YAMLError as error:
            raise Failed(f"istioctl: Error: could not unmarshal: {error}", "") from error
        if not isinstance(document, dict):
            raise Failed("istioctl: Error: could not unmarshal: not an IstioOperator", "")
        _strict(document, _SCHEMA)
        merged = _merge(merged, document)
    spec = merged.setdefault("spec", {})
    spec.setdefault("hub", "docker.io/istio")
    spec.setdefault("tag", version)
    profile = spec.setdefault("profile", "default")
    if profile not in PROFILES:
        raise Failed(f"istioctl: Error: profile {profile!r} not found", "")
    return merged


def at(operator: Object, path: str, default: Any = None) -> Any:
    """The value at a dotted path, or the default."""
    here: Any = operator
    for name in path.split("."):
        here = here.get(name) if isinstance(here, dict) else None
    return default if here is None else here


def gateways(operator: Object) -> list[Object]:
    """The ingress gateways that are switched on, with the one that the profile brings."""
    found = {
        str(gateway.get("name", "istio-ingressgateway")): gateway
        for gateway in at(operator, "spec.components.ingressGateways", [])
    }
    if at(operator, "spec.profile") in ("default", "demo", "preview", "stable"):
        found.setdefault("istio-ingressgateway", {"name": "istio-ingressgateway", "enabled": True})
    return [gateway for gateway in found.values() if gateway.get("enabled", False)]


def switched_on(operator: Object, component: str) -> bool:
    """Whether `base` or `pilot` is to be installed."""
    told = at(operator, f"spec.components.{component}.enabled")
    return bool(told) if told is not None else at(operator, "spec.profile") != "empty"


def revision(operator: Object) -> str:
    """The revision that is installed, `default` where none is named."""
    return str(at(operator, "spec.revision") or at(operator, "spec.values.revision") or "default")


def ending(operator: Object) -> str:
    """What the revision adds to the names of its objects."""
    name = revision(operator)
    return "" if name == "default" else f"-{name}"


def is_remote(operator: Object) -> bool:
    """Whether the control plane stands in another cluster."""
    return "remote" in (at(operator, "spec.profile"), at(operator, "spec.values.profile"))


def _file(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise Failed(f"istioctl: Error: could not read {path}: {error.strerror}", "") from error


def _strict(value: Any, schema: Any) -> None:
    if isinstance(schema, list):
        for item in value or []:
            _strict(item, schema[0])
    elif isinstance(schema, dict) and isinstance(value, dict):
        for name, below in value.items():
            if name not in schema:
                raise Failed(f'istioctl: Error: could not unmarshal: json: unknown field "{name}"', "")
            _strict(below, schema[name])


def _merge(base: Any, over: Any) -> Any:
    if isinstance(base, dict) and isinstance(over, dict):
        return {**base, **{name: _merge(base.get(name), value) for name, value in over.items()}}
    if (
        isinstance(base, list)
        and isinstance(over, list)
        and all(isinstance(i, dict) and "name" in i for i in base + over)
    ):
        named = {item["name"]: item for item in base}
        for item in over:
            named[item["name"]] = _merge(named.get(item["name"]), item)
        return list(named.values())
    return base if over is None else over
