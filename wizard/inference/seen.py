"""What one cluster tells of the mesh that it belongs to; only looked at."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import yaml

from wizard import yamltext
from wizard.clusters.kinds import (
    CONFIG_MAP,
    DEPLOYMENT,
    ENDPOINT_SLICE,
    MUTATING_WEBHOOK,
    NAMESPACE,
    NODE,
    SECRET,
    SERVICE,
    Object,
    Ref,
)
from wizard.clusters.nodes import addresses_to_rely_on, all_addresses
from wizard.clusters.port import Cluster
from wizard.errors import BadInput, Unreachable
from wizard.inference.eastwest import EastWest, gateways_of
from wizard.istio.proxies import image_of
from wizard.mesh.model import NETWORK_LABEL, SYSTEM_NAMESPACE
from wizard.mesh.sample import SERVICE as HELLOWORLD
from wizard.messages import msg
from wizard.objects.installed import RECORD
from wizard.objects.ownership import annotation, is_ours, label
from wizard.registered import registered

DEFAULT = "default"  # what Istio calls having no revision
_INJECTION = re.compile(r"/inject/cluster/([^/?]+)/net/([^/?]+)")
_CONTROLLED = "topology.istio.io/controlPlaneClusters"


@dataclass(frozen=True)
class Seen:
    """One cluster. Empty where it does not tell. `trouble`: why it could not be looked at: then all the rest is empty.

    `uid`: of the cluster; `id`: as istiod calls it; `network`: with which its proxies are injected; `labelled`: the network
    that its namespace names; `remote`: another's istiod serves it, found at `discovery`; `controls`: the clusters that it says
    control it; `config`, `networks`: meshConfig and meshNetworks; `settings`: `values.global` of its injector; `values`: those
    that its installer was given; `servers`: cluster → API server, as its remote secrets have it; `nodes`: addresses that lead
    there, those to rely on first, `addresses`: all of its nodes; `samples`: namespace → helloworld's versions;
    `ours`: whether an install of ours is recorded there.
    """

    trouble: Unreachable | None = None
    uid: str = ""
    id: str = ""
    network: str = ""
    labelled: str = ""
    remote: bool = False
    discovery: str = ""
    controls: tuple[str, ...] = ()
    revision: str = ""
    revisions: tuple[str, ...] = ()
    image: str = ""  # of istiod
    settings: Mapping[str, Any] = field(default_factory=dict)
    values: Mapping[str, Any] = field(default_factory=dict)
    config: Mapping[str, Any] = field(default_factory=dict)
    networks: Mapping[str, Any] = field(default_factory=dict)
    servers: Mapping[str, str] = field(default_factory=dict)
    gateways: tuple[EastWest, ...] = ()
    nodes: tuple[str, ...] = ()
    addresses: frozenset[str] = frozenset()
    samples: Mapping[str, frozenset[str]] = field(default_factory=dict)
    cacerts: bool = False
    helm: bool = False
    ours: bool = False
    server: str = ""  # in the kubeconfig


def look(cluster: Cluster, *, lenient: bool) -> Seen:
    """What this cluster tells. Raises Unreachable where it does not answer, unless `lenient`; BadInput where no Istio stands
    there; what else keeps it from being read.
    """
    try:
        return _look(cluster)
    except Unreachable as trouble:
        if not lenient:
            raise
        return Seen(trouble=trouble, server=cluster.server)


def _look(cluster: Cluster) -> Seen:
    istiods = cluster.objects(DEPLOYMENT, SYSTEM_NAMESPACE, "app=istiod")
    injectors = [
        each
        for each in cluster.objects(MUTATING_WEBHOOK, labels="app=sidecar-injector")
        if not label(each, "istio.io/tag")
    ]
    revisions = sorted({label(each, "istio.io/rev") or DEFAULT for each in (*istiods, *injectors)})
    if not revisions:
        raise BadInput(
            msg(
                "{cluster}: no Istio stands there: neither istiod nor an injector for namespace {namespace}",
                cluster=cluster.name,
                namespace=SYSTEM_NAMESPACE,
            ),
            msg("Leave this cluster out, or install Istio there: {command}", command="meshwizard"),
        )
    revision = DEFAULT if DEFAULT in revisions else revisions[-1]
    istiod, injector = _of(revision, istiods), _of(revision, injectors)
    injection = _mapping(_json(cluster, _revised("istio-sidecar-injector", revision), "values").get("global"))
    hook = _hook(injector)
    path = _INJECTION.search(hook)
    # Before Istio 1.15 a remote has an istiod of its own, and only this address tells that another serves its proxies.
    remote = bool(path or injection.get("remotePilotAddress") or (istiod is None and not injection))
    namespace = cluster.get(Ref(NAMESPACE, SYSTEM_NAMESPACE))
    labelled = label(namespace, NETWORK_LABEL) or ""
    nodes = cluster.objects(NODE)
    return Seen(
        uid=cluster.identity(),
        id=path[1] if path else _env(istiod).get("CLUSTER_ID", ""),
        network=(path[2] if path else str(injection.get("network") or "")) or labelled,
        labelled=labelled,
        remote=remote,
        discovery=_discovery(cluster, hook, injection, revision) if remote else "",
        controls=tuple(filter(None, (annotation(namespace, _CONTROLLED) or "").split(","))),
        revision=revision,
        revisions=tuple(revisions),
        image=image_of(istiod, "discovery"),
        settings=injection,
        # What the installer was given, where its charts keep that (Istio 1.24 and later).
        values=_json(cluster, _revised("values", revision), "original-values"),
        config=_yaml(cluster, _revised("istio", revision), "mesh"),
        networks=_mapping(_yaml(cluster, _revised("istio", revision), "meshNetworks").get("networks")),
        servers={each.name: each.server for each in registered(cluster)},
        gateways=gateways_of(cluster),
        nodes=tuple(addresses_to_rely_on(nodes)),
        addresses=frozenset(all_addresses(nodes)),
        samples=_samples(cluster),
        cacerts=cluster.get(Ref(SECRET, "cacerts", SYSTEM_NAMESPACE)) is not None,
        helm=bool(annotation(istiod, "meta.helm.sh/release-name")),
        ours=is_ours(cluster.get(RECORD)),
        server=cluster.server,
    )


def _of(revision: str, items: Iterable[Object]) -> Object | None:
    return next((each for each in items if (label(each, "istio.io/rev") or DEFAULT) == revision), None)


def _revised(name: str, revision: str) -> str:
    return name if revision == DEFAULT else f"{name}-{revision}"


def _env(istiod: Object | None) -> dict[str, str]:
    spec = (((istiod or {}).get("spec") or {}).get("template") or {}).get("spec") or {}
    for container in spec.get("containers") or []:
        if container.get("name") == "discovery":
            return {each["name"]: str(each.get("value") or "") for each in container.get("env") or []}
    return {}


def _hook(injector: Object | None) -> str:
    """Where the injector is asked: a URL, or a path at a Service."""
    for hook in (injector or {}).get("webhooks") or []:
        client = hook.get("clientConfig") or {}
        return str(client.get("url") or (client.get("service") or {}).get("path") or "")
    return ""


def _json(cluster: Cluster, name: str, key: str) -> Mapping[str, Any]:
    try:
        return _mapping(json.loads(_data(cluster, name, key) or "{}"))
    except (ValueError, RecursionError):
        return {}


def _yaml(cluster: Cluster, name: str, key: str) -> Mapping[str, Any]:
    try:
        return _mapping(yamltext.load(_data(cluster, name, key)))
    except yaml.YAMLError:
        return {}


def _data(cluster: Cluster, name: str, key: str) -> str:
    found = cluster.get(Ref(CONFIG_MAP, name, SYSTEM_NAMESPACE))
    return str(((found or {}).get("data") or {}).get(key) or "")


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _discovery(cluster: Cluster, hook: str, injection: Mapping[str, Any], revision: str) -> str:
    """Where the proxies of a remote find the istiod that serves them."""
    named = injection.get("remotePilotAddress") or _host(hook)
    if named:
        return str(named)
    for name in (_revised("istiod", revision), "istiod-remote"):
        outer = (cluster.get(Ref(SERVICE, name, SYSTEM_NAMESPACE)) or {}).get("spec") or {}
        if outer.get("externalName"):
            return str(outer["externalName"])
        for piece in cluster.objects(ENDPOINT_SLICE, SYSTEM_NAMESPACE, f"kubernetes.io/service-name={name}"):
            for end in _listed(piece.get("endpoints")):
                for address in _listed(_mapping(end).get("addresses")):
                    return str(address)
    return ""


def _host(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _samples(cluster: Cluster) -> Mapping[str, frozenset[str]]:
    """The versions of helloworld, by the namespaces that have its Service."""
    found: dict[str, frozenset[str]] = {}
    for service in cluster.objects(SERVICE, labels=f"app={HELLOWORLD}"):
        namespace = str(service["metadata"]["namespace"])
        if service["metadata"]["name"] != HELLOWORLD or namespace in found:
            continue
        templates = [each["spec"]["template"] for each in cluster.objects(DEPLOYMENT, namespace)]
        labels = [(each.get("metadata") or {}).get("labels") or {} for each in templates]
        found[namespace] = frozenset(str(each.get("version")) for each in labels if each.get("app") == HELLOWORLD)
    return found
