"""What to ask of a cluster, what to propose, and why: a person who is told the reason can judge it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from wizard.clusters.contexts import ContextFacts
from wizard.mesh.rules import exposure_of, is_remote, primary_of, value_at

DEPENDENT = ("gateway.address", "gateway.addresses", "gateway.port", "gateway.node")  # on the exposure


def propose_exposure(facts: ContextFacts | None, serves_remotes: bool) -> tuple[str, str]:
    """How to expose a cluster's gateway, from what a look at it found, and the reason as half a sentence."""
    if facts and facts.load_balancer:
        return "load-balancer", f"a load balancer works there: {facts.load_balancer}"
    if serves_remotes:
        return "external-ips", "remotes need the ports 15012 and 15017 as they are, and no load balancer was seen"
    return "node-port", "it needs nothing, and no load balancer was seen"


def worth_asking(key: str, entry: Mapping[str, Any], document: Mapping[str, Any]) -> bool:
    """Whether this question makes sense for this cluster of this (possibly unfinished) mesh document: a primary for a remote
    where there are several, a NodePort for node-port, and so on.
    """
    clusters: Sequence[Mapping[str, Any]] = document.get("clusters") or ()
    match key:
        case "role":
            return document.get("topology") == "primary-remote"
        case "primary":
            return is_remote(entry) and sum(not is_remote(other) for other in clusters) > 1
        case "discoveryAddress":
            return is_remote(entry)
        case "gateway.port":
            exposure = "node-port"
        case "gateway.node" | "serviceCidr":
            exposure = "cluster-ip-route"
        case "gateway.addresses":  # few have several: who gave them in a mesh file may change them
            return bool(value_at(entry, key)) and _has_gateway(entry, clusters)
        case "gateway.address":
            return not value_at(entry, "gateway.addresses") and _has_gateway(entry, clusters)
        case "gateway.exposure" | "gateway.annotations":
            return _has_gateway(entry, clusters)
        case _:
            return True
    return _has_gateway(entry, clusters) and exposure_of(entry, clusters) == exposure


def serves_remotes(entry: Mapping[str, Any], clusters: Sequence[Mapping[str, Any]]) -> bool:
    """Whether proxies of some remote reach istiod through this cluster's gateway."""
    return not is_remote(entry) and any(
        not other.get("discoveryAddress") and primary_of(other, clusters) == entry.get("name")
        for other in clusters
        if is_remote(other)
    )


def _has_gateway(entry: Mapping[str, Any], clusters: Sequence[Mapping[str, Any]]) -> bool:
    return any(other.get("network") != entry.get("network") for other in clusters) or any(
        primary_of(other, clusters) == entry.get("name") for other in clusters if is_remote(other)
    )
