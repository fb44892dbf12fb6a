"""Settles what a mesh file leaves open, by looking at the clusters: gateway addresses, NodePorts, API server addresses, the
Istio version. Afterwards nothing is left to chance: plan, state and re-runs all use the same values.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TypeVar

import yaml

from wizard import yamltext
from wizard.engine.step import World
from wizard.errors import BadInput, Failed, Mistake, NeedsPerson, NotAllowed, Unreachable
from wizard.istio.versions import unsupported
from wizard.mesh.fields import cluster_field
from wizard.mesh.model import DEFAULT_NODE_PORT, NODE_PORTS, Cluster, Mesh
from wizard.preflight import node_addresses, used_node_ports
from wizard.text import listing, one_line

T = TypeVar("T")


def check_istioctl(mesh: Mesh, world: World) -> str:
    """The version of the istioctl found. BadInput where it is not the mesh file's, or not one this release drives."""
    version = world.istioctl.version()
    problem = unsupported(version)
    if problem:
        raise BadInput(f"{world.istioctl.path}: {problem}", "Give another istioctl with --istioctl.")
    if mesh.istio.version and mesh.istio.version != version:
        raise BadInput(
            f"the mesh wants Istio {mesh.istio.version}, but {world.istioctl.path} is {one_line(version)}",
            f"Give the istioctl of {mesh.istio.version} with --istioctl, or change istio.version.",
        )
    return version


def check_overlays(mesh: Mesh) -> None:
    """BadInput where an overlay is not a readable IstioOperator file; every one that is not is named."""
    mistakes = []
    for index, path in enumerate(mesh.istio.overlays):
        try:
            documents = yamltext.load_all(path.read_text(encoding="utf-8"))
        except OSError as error:
            mistakes.append(Mistake(f"istio.overlays[{index}]", f"{one_line(path)} cannot be read: {error.strerror}"))
            continue
        except (yaml.YAMLError, UnicodeDecodeError):
            mistakes.append(Mistake(f"istio.overlays[{index}]", f"{one_line(path)} is no YAML"))
            continue
        if len(documents) != 1 or not isinstance(documents[0], dict) or documents[0].get("kind") != "IstioOperator":
            mistakes.append(Mistake(f"istio.overlays[{index}]", f"{one_line(path)} must hold one IstioOperator"))
    if mistakes:
        raise BadInput(
            "the IstioOperator overlays cannot be used; nothing was touched", "Correct them.", tuple(mistakes)
        )


def identities(mesh: Mesh, world: World) -> dict[str, str]:
    """The UID of each cluster that answers. BadInput where two contexts lead to one cluster, whatever their addresses."""

    def look(cluster: Cluster) -> str:
        try:
            return world.cluster(cluster.name).identity()
        except (Unreachable, NotAllowed):
            return ""  # the preflight tells of it; it holds up nobody else

    found = {name: uid for name, uid in _of_each(list(mesh.clusters), look).items() if uid}
    first: dict[str, str] = {}
    mistakes = []
    for index, cluster in enumerate(mesh.clusters):
        uid = found.get(cluster.name)
        if uid is not None and uid in first:
            text = f"{one_line(cluster.context)!r} leads to the same cluster as {first[uid]}; each must be another one"
            mistakes.append(Mistake(f"clusters[{index}].context", text))
        elif uid is not None:
            first[uid] = cluster.name
    if mistakes:
        raise BadInput("one cluster stands in the mesh twice; nothing was touched", "Take it out.", tuple(mistakes))
    return found


def resolve(mesh: Mesh, world: World) -> Mesh:
    """The mesh with every open value found. Asks only the clusters that leave something open, all at once. Raises
    Unreachable naming the cluster, or NeedsPerson where a value cannot be found.
    """
    addresses = _of_each(
        [cluster for cluster in mesh.clusters if cluster.gateway.address is None],
        lambda cluster: node_addresses(world.cluster(cluster.name)),
    )
    open_ports = [cluster for cluster in mesh.clusters if cluster.gateway.port is None]
    taken = _of_each(open_ports, lambda cluster: set(used_node_ports(world.cluster(cluster.name))))
    port = _common_port(open_ports, taken.values())
    for cluster in mesh.clusters:
        address = cluster.gateway.address or _first_address(cluster, addresses.get(cluster.name, []))
        gateway = replace(cluster.gateway, address=address, port=cluster.gateway.port or port)
        server = cluster.api_server or _reachable_server(cluster, world)
        mesh = mesh.with_cluster(replace(cluster, gateway=gateway, api_server=server))
    return mesh


def _of_each(clusters: list[Cluster], look: Callable[[Cluster], T]) -> dict[str, T]:
    if not clusters:
        return {}
    with ThreadPoolExecutor(max_workers=min(32, len(clusters))) as pool:
        return dict(zip([cluster.name for cluster in clusters], pool.map(look, clusters), strict=True))


def _common_port(clusters: list[Cluster], taken: Iterable[set[int]]) -> int | None:
    if not clusters:
        return None
    used: set[int] = set().union(*taken)
    candidates: list[int] = [*range(DEFAULT_NODE_PORT, NODE_PORTS.stop), *range(NODE_PORTS.start, DEFAULT_NODE_PORT)]
    for port in candidates:
        if port not in used:
            return port
    raise Failed(f"no NodePort is free in all of {listing(cluster.name for cluster in clusters)}", "Set gateway.port.")


def _first_address(cluster: Cluster, addresses: list[str]) -> str:
    check = cluster_field("gateway.address").mistake
    for address in addresses:
        if check(address) is None:
            return address
    raise NeedsPerson(
        f"{cluster.name}: no ready node has an InternalIP that other clusters could reach",
        "Give the address in gateway.address of that cluster.",
    )


def _reachable_server(cluster: Cluster, world: World) -> str:
    server = world.cluster(cluster.name).server
    problem = cluster_field("apiServer").mistake(server)
    if problem:
        raise NeedsPerson(
            f"{cluster.name}: the kubeconfig's API server cannot serve the other clusters: {problem}",
            "Give the address that they can reach in apiServer of that cluster.",
        )
    return server
