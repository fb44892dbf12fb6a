"""What several answers of a mesh document mean together: the defaults that depend on other fields, and the rules that look at
more than one field. Documents may be wrong or half filled in: whoever fills one asks while it grows.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from wizard.mesh.addresses import address_of, canonical, is_ip, place_of, range_of
from wizard.mesh.model import GATEWAY_TLS_PORT, needs_gateway
from wizard.messages import msg

Entry = Mapping[str, Any]
Wrong = tuple[str, str]  # path, sentence
SERVING = ("external-ips", "load-balancer", "cluster-ip-route")  # exposures that keep ports 15012 and 15017 as they are
_OF_A_REMOTE = msg("only a remote has one; this cluster runs its own istiod")


def value_at(data: Mapping[str, Any], key: str) -> Any:
    """The value at a dotted key, None where any part is missing."""
    found: Any = data
    for part in key.split("."):
        if not isinstance(found, Mapping) or part not in found:
            return None
        found = found[part]
    return found


def is_remote(entry: Entry) -> bool:
    """Whether this cluster is served by another's istiod."""
    return entry.get("role") == "remote"


def primary_of(entry: Entry, clusters: Sequence[Entry]) -> str | None:
    """The name of the primary that serves this remote: the one it names, else the only one there is."""
    if not is_remote(entry):
        return None
    if entry.get("primary"):
        return str(entry["primary"])
    primaries = [other.get("name") for other in clusters if not is_remote(other)]
    return str(primaries[0]) if len(primaries) == 1 and primaries[0] else None


def exposure_of(entry: Entry, clusters: Sequence[Entry]) -> str:
    """How this cluster's gateway is reached where the document leaves it open: the way that needs least."""
    chosen = value_at(entry, "gateway.exposure")
    if chosen:
        return str(chosen)
    return "external-ips" if serves_remotes(entry, clusters) else "node-port"


def has_gateway(entry: Entry, clusters: Sequence[Entry]) -> bool:
    """Whether this cluster needs an east-west gateway, as far as the document tells by now."""
    primaries = (primary_of(other, clusters) for other in clusters if is_remote(other))
    return needs_gateway(
        entry.get("name"), entry.get("network"), (other.get("network") for other in clusters), primaries
    )


def serves_remotes(entry: Entry, clusters: Sequence[Entry]) -> bool:
    """Whether proxies of some remote reach istiod through this cluster's gateway."""
    return not is_remote(entry) and any(
        is_remote(other) and not other.get("discoveryAddress") and primary_of(other, clusters) == entry.get("name")
        for other in clusters
    )


def gateway_addresses(entry: Entry) -> list[str]:
    """Where this cluster's gateway is reached, as far as it is given."""
    listed = value_at(entry, "gateway.addresses") or [value_at(entry, "gateway.address")]
    return [each for each in listed if isinstance(each, str) and each] if isinstance(listed, list) else []


def as_held(entry: Entry, clusters: Sequence[Entry]) -> dict[str, Any]:
    """This cluster's entry as the model holds it: with what the answers decide together, and the first of all its gateway's
    addresses apart from the others.
    """
    addresses = gateway_addresses(entry)
    gateway = {
        "exposure": exposure_of(entry, clusters),
        "address": next(iter(addresses), None),
        "addresses": addresses[1:],
    }
    return {**entry, "primary": primary_of(entry, clusters), "gateway": {**(entry.get("gateway") or {}), **gateway}}


def as_written(entry: Entry) -> dict[str, Any]:
    """The way back from `as_held`, as far as a document needs it: several addresses of a gateway stand in one list."""
    gateway = dict(entry.get("gateway") or {})
    if gateway.get("addresses"):
        gateway["addresses"] = [gateway.pop("address"), *gateway["addresses"]]
    return {**entry, "gateway": gateway} if gateway else dict(entry)


def mistakes_together(data: Mapping[str, Any], clusters: Sequence[Entry]) -> Iterator[Wrong]:
    """What is wrong with the answers taken together, each with its path in the document."""
    yield from _unique(clusters)
    yield from _roles(data, clusters)
    for index, entry in enumerate(clusters):
        yield from _gateway(f"clusters[{index}]", entry, clusters)
    yield from _certificates(data)
    if value_at(data, "istio.pullSecretFile") and not value_at(data, "istio.pullSecret"):
        yield "istio.pullSecret", msg("is needed beside istio.pullSecretFile: the name of the Secret to make of it")


def _unique(clusters: Sequence[Entry]) -> Iterator[Wrong]:
    for path, name, first in _repeated(clusters, "name"):
        yield path, msg("{name} is used twice; cluster {number} has that name already", name=repr(name), number=first)
    for path, version, first in _repeated(clusters, "sample"):
        yield path, msg("{version} is the sample version of cluster {number} already", version=version, number=first)
    servers: dict[tuple[str, int], int] = {}
    for index, value in _texts(clusters, "apiServer"):
        server = place_of(value)
        other = servers.setdefault(server, index)
        if server[0] and other != index:
            text = msg("{url} is the API server of cluster {number} already", url=value, number=other + 1)
            yield f"clusters[{index}].apiServer", text
    yield from _unique_gateways(clusters)
    chosen: dict[tuple[str, str], int] = {}
    for index, context in _texts(clusters, "context"):
        named = (str(value_at(clusters[index], "kubeconfig") or ""), context)
        if named in chosen:
            first = chosen[named] + 1
            text = msg("{context} is the context of cluster {number} already", context=repr(context), number=first)
            yield f"clusters[{index}].context", text
        chosen.setdefault(named, index)


def _repeated(clusters: Sequence[Entry], key: str) -> Iterator[tuple[str, str, int]]:
    """(path, value, the number of the cluster that has it already) of each text that an earlier cluster has there."""
    first: dict[str, int] = {}
    for index, value in _texts(clusters, key):
        if value in first:
            yield f"clusters[{index}].{key}", value, first[value] + 1
        first.setdefault(value, index)


def _unique_gateways(clusters: Sequence[Entry]) -> Iterator[Wrong]:
    """One address may forward to several gateways, by port."""
    first: dict[tuple[str, object], int] = {}
    for index, entry in enumerate(clusters):
        node_port = exposure_of(entry, clusters) == "node-port"
        port = str(value_at(entry, "gateway.port")) if node_port else str(GATEWAY_TLS_PORT)
        for address in gateway_addresses(entry):
            other = first.setdefault((canonical(address), port), index)
            if other != index:
                text = msg("{address} is the gateway of cluster {number} already", address=address, number=other + 1)
                yield f"clusters[{index}].{_addresses_key(entry)}", text


def _addresses_key(entry: Entry) -> str:
    return "gateway.addresses" if value_at(entry, "gateway.addresses") else "gateway.address"


def _texts(clusters: Sequence[Entry], key: str) -> Iterable[tuple[int, str]]:
    for index, entry in enumerate(clusters):
        value = value_at(entry, key)
        if isinstance(value, str) and value:
            yield index, value


def _roles(data: Mapping[str, Any], clusters: Sequence[Entry]) -> Iterator[Wrong]:
    remotes = [index for index, entry in enumerate(clusters) if is_remote(entry)]
    primaries = [str(entry.get("name")) for entry in clusters if not is_remote(entry)]
    if data.get("topology") == "primary-remote":
        if not remotes:
            yield "topology", msg("primary-remote needs at least one cluster with role: remote")
    elif remotes:
        yield f"clusters[{remotes[0]}].role", msg("a remote needs topology: primary-remote")
    if not primaries and clusters:
        yield "clusters", msg("every cluster is a remote; at least one must be a primary")
        return
    for index, entry in enumerate(clusters):
        at = f"clusters[{index}]"
        named = entry.get("primary")
        if is_remote(entry):
            if not named and len(primaries) > 1:
                yield (
                    f"{at}.primary",
                    msg("name the primary that serves it: {primaries}", primaries=", ".join(primaries)),
                )
            elif isinstance(named, str) and named and named not in primaries:
                text = msg(
                    "{name} is no primary of this mesh; there are {primaries}",
                    name=repr(named[:80]), primaries=", ".join(primaries),
                )  # fmt: skip
                yield f"{at}.primary", text
            continue
        if named:
            yield f"{at}.primary", _OF_A_REMOTE
        if entry.get("discoveryAddress"):
            yield f"{at}.discoveryAddress", _OF_A_REMOTE


def _gateway(at: str, entry: Entry, clusters: Sequence[Entry]) -> Iterator[Wrong]:
    exposure = exposure_of(entry, clusters)
    if serves_remotes(entry, clusters) and exposure not in SERVING:
        yield (
            f"{at}.gateway.exposure",
            msg(
                "{exposure} cannot serve remotes: their proxies reach istiod on the ports 15012 and 15017 and no other. "
                "Choose {serving}, or give discoveryAddress in each of its remotes",
                exposure=exposure, serving=", ".join(SERVING),
            ),
        )  # fmt: skip
    if exposure != "node-port" and value_at(entry, "gateway.port") is not None:
        yield f"{at}.gateway.port", msg("only node-port has one; {exposure} answers on 15443", exposure=exposure)
    if exposure != "cluster-ip-route" and value_at(entry, "gateway.node"):
        yield f"{at}.gateway.node", msg("only cluster-ip-route has one")
    addresses = gateway_addresses(entry)
    if value_at(entry, "gateway.addresses") and value_at(entry, "gateway.address"):
        yield f"{at}.gateway.address", msg("stands beside gateway.addresses; give one of the two")
    if len(set(map(canonical, addresses))) < len(addresses):
        yield f"{at}.gateway.addresses", msg("names an address twice")
    for address in addresses if exposure != "load-balancer" else ():
        if not is_ip(address):
            text = msg(
                "{address} is no IP address; only a load balancer may have a host name", address=repr(address[:80])
            )
            yield f"{at}.{_addresses_key(entry)}", text
    if exposure == "cluster-ip-route":
        if len(addresses) > 1:
            yield f"{at}.gateway.addresses", msg("cluster-ip-route has one: the Service's own")
        yield from _in_service_range(at, entry, addresses[0] if addresses else None)


def _in_service_range(at: str, entry: Entry, address: object) -> Iterator[Wrong]:
    found, services = address_of(address), range_of(entry.get("serviceCidr"))
    # Where one is not given, or wrong, that is told for itself.
    if found and services and found not in services:
        text = msg("{address} is outside the Service CIDR {range}", address=address, range=entry.get("serviceCidr"))
        yield f"{at}.gateway.address", text


def _certificates(data: Mapping[str, Any]) -> Iterator[Wrong]:
    source = value_at(data, "certificates.source")
    if source in ("directory", "offline") and not value_at(data, "certificates.path"):
        yield "certificates.path", msg("is needed with certificates.source: {source}", source=source)
