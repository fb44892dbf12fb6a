"""What stands in clusters of others and no mesh file can say."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from wizard.inference.exposed import entries_of, serving
from wizard.inference.seen import Seen
from wizard.mesh.model import Cluster, Mesh
from wizard.messages import counted, msg
from wizard.text import listing, one_line

_SHOWN = 6
# What every install writes there, and what follows from the mesh file.
_CONFIG = {
    "defaultConfig",
    "defaultProviders",
    "enablePrometheusMerge",
    "extensionProviders",
    "rootNamespace",
    "trustDomain",
}
_PROXY = {"discoveryAddress", "image", "meshId", "proxyMetadata", "tracing"}
_VALUES = {
    "defaultRevision", "gateways.istio-ingressgateway.injectionTemplate", "global.configValidation", "global.externalIstiod",
    "global.hub", "global.imagePullPolicy", "global.imagePullSecrets", "global.istioNamespace", "global.meshID",
    "global.meshNetworks", "global.multiCluster.clusterName", "global.network", "global.remotePilotAddress", "global.tag",
    "istiodRemote.injectionPath", "meshConfig", "pilot.env.EXTERNAL_ISTIOD", "pilot.hub", "pilot.tag", "profile", "revision",
}  # fmt: skip


def unexpressed(mesh: Mesh, named: Mapping[str, Seen]) -> tuple[str, ...]:
    """Each thing in a sentence, by cluster."""
    told = []
    for cluster in mesh.clusters:
        seen = named[cluster.name]
        if not seen.trouble:
            told += [*_identity(cluster, seen), *_control_plane(mesh, cluster, seen), *_gateways(mesh, cluster, seen)]
            told += _extras(cluster, seen)
    return tuple(told)


def _identity(cluster: Cluster, seen: Seen) -> Iterator[str]:
    name = cluster.name
    if seen.id != name:
        found = one_line(seen.id) or msg("none")
        yield msg("{cluster}: istiod calls it {id}, which cannot be its name in this mesh", cluster=name, id=found)
    if not seen.network:
        yield msg(
            "{cluster}: no network is named there; the mesh file says {network}", cluster=name, network=cluster.network
        )
    elif seen.labelled != seen.network:
        yield msg(
            "{cluster}: its proxies are injected with network {network}, and namespace istio-system is labelled {label}",
            cluster=name,
            network=one_line(seen.network),
            label=one_line(seen.labelled) or msg("none"),
        )


def _control_plane(mesh: Mesh, cluster: Cluster, seen: Seen) -> Iterator[str]:
    name = cluster.name
    if len(seen.revisions) > 1:
        others = [one_line(each) for each in seen.revisions if each != seen.revision]
        yield msg(
            "{cluster}: there is also the control plane of revision {revisions}",
            cluster=name,
            revisions=listing(others),
        )
    if seen.revision != (mesh.istio.revision or "default"):
        yield msg("{cluster}: its revision is another one, {revision}", cluster=name, revision=one_line(seen.revision))
    if seen.helm:
        yield msg("{cluster}: Istio was installed by Helm", cluster=name)
    image = f"{mesh.istio.hub}/pilot:{mesh.istio.version}"
    if seen.image and seen.image != image:
        yield msg("{cluster}: istiod's image is {image}", cluster=name, image=one_line(seen.image))
    if not seen.remote and not seen.cacerts:
        yield msg("{cluster}: there is no Secret cacerts: istiod signs with a root of its own", cluster=name)
    if not seen.remote and seen.settings.get("meshID") != mesh.name:
        told = seen.settings.get("meshID")
        yield msg("{cluster}: its meshID is {id}", cluster=name, id=one_line(told) if told else msg("none"))
    domain = seen.config.get("trustDomain")
    if domain and domain != mesh.trust_domain:
        yield msg("{cluster}: its trust domain is {domain}", cluster=name, domain=one_line(domain))


def _gateways(mesh: Mesh, cluster: Cluster, seen: Seen) -> Iterator[str]:
    name, service = cluster.name, serving(seen, cluster.network)
    if service is None:
        if mesh.has_gateway(name):
            yield msg("{cluster}: no east-west gateway was found", cluster=name)
        return
    others = [str(each.ref) for each in seen.gateways if each is not service]
    if others:
        yield msg("{cluster}: there are more gateways: {services}", cluster=name, services=listing(others))
    if not service.usual:
        yield msg("{cluster}: its gateway is {service}", cluster=name, service=str(service.ref))
    if service.kind == "LoadBalancer" and cluster.gateway.exposure == "node-port":
        yield msg(
            "{cluster}: {service} is of type LoadBalancer, and reached by its NodePort", cluster=name, service=str(service.ref)
        )  # fmt: skip
    if service.network and entries_of(seen.networks, cluster.network):
        yield msg(
            "{cluster}: {service} carries the network's label, and meshNetworks name the gateway as well: istiod uses both",
            cluster=name,
            service=str(service.ref),
        )
    elif service.network and not cluster.gateway.labelled:
        yield msg(
            "{cluster}: {service} carries the network's label, and is no load balancer's", cluster=name, service=str(service.ref)
        )  # fmt: skip


def _extras(cluster: Cluster, seen: Seen) -> Iterator[str]:
    config = {str(key): value for key, value in seen.config.items() if key not in _CONFIG}
    proxy = seen.config.get("defaultConfig")
    more = [f"defaultConfig.{key}" for key in proxy if key not in _PROXY] if isinstance(proxy, dict) else []
    if config or more:
        yield msg("{cluster}: meshConfig says more: {keys}", cluster=cluster.name, keys=_some([*config, *more]))
    values = [path for path in _leaves(seen.values) if not _is_known(path)]
    if values:
        yield msg("{cluster}: its installer was given more values: {keys}", cluster=cluster.name, keys=_some(values))


def _leaves(value: Any, at: str = "") -> Iterator[str]:
    if isinstance(value, dict) and value:
        for key, below in value.items():
            yield from _leaves(below, f"{at}.{key}" if at else str(key))
    elif value not in (None, "", {}, []):
        yield at


def _is_known(path: str) -> bool:
    return any(path == known or path.startswith(f"{known}.") for known in _VALUES)


def _some(keys: list[str]) -> str:
    shown, more = ", ".join(one_line(key, 80) for key in sorted(keys)[:_SHOWN]), len(keys) - _SHOWN
    return counted("{names} and {count} more", "{names} and {count} more", more, names=shown) if more > 0 else shown
