"""What to ask of a cluster, what to propose, and why: a person who is told the reason can judge it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from wizard.clusters.contexts import ContextFacts
from wizard.mesh.rules import exposure_of, has_gateway, is_remote, value_at
from wizard.messages import msg

DEPENDENT = ("gateway.address", "gateway.addresses", "gateway.port", "gateway.node")  # on the exposure


def propose_exposure(facts: ContextFacts | None, serves_remotes: bool) -> tuple[str, str]:
    """How to expose a cluster's gateway, from what a look at it found, and the reason as half a sentence."""
    if facts and facts.load_balancer:
        return "load-balancer", msg("a load balancer works there: {what}", what=facts.load_balancer)
    if serves_remotes:
        return "external-ips", msg("remotes need the ports 15012 and 15017 as they are, and no load balancer was seen")
    return "node-port", msg("it needs nothing, and no load balancer was seen")


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
            return bool(value_at(entry, key)) and has_gateway(entry, clusters)
        case "gateway.address":
            return not value_at(entry, "gateway.addresses") and has_gateway(entry, clusters)
        case "gateway.exposure" | "gateway.annotations":
            return has_gateway(entry, clusters)
        case _:
            return True
    return has_gateway(entry, clusters) and exposure_of(entry, clusters) == exposure
