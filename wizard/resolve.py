"""Settles what a mesh file leaves open, by looking at the clusters: gateway addresses, NodePorts, API server addresses, the
Istio version. Afterwards nothing is left to chance: plan, state and re-runs all use the same values.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from typing import TypeVar

from wizard.clusters.kinds import NODE, Object
from wizard.clusters.nodeports import preferred, spelled, told_node_ports, used_node_ports
from wizard.clusters.nodes import addresses_to_rely_on, all_addresses
from wizard.clusters.services import free_service_address, overlap, service_cidrs
from wizard.errors import BadInput, Failed, Mistake, NeedsPerson
from wizard.fanout import of_each
from wizard.istio.hostnames import refuse_host_names
from wizard.istio.versions import unsupported
from wizard.mesh.addresses import canonical
from wizard.mesh.fields import cluster_field
from wizard.mesh.model import NODE_PORTS, Cluster, Mesh
from wizard.mesh.reached import refuse_shared_addresses
from wizard.messages import msg
from wizard.objects.eastwest import GATEWAY_SERVICE, node_port
from wizard.steps.sample import standing_version
from wizard.text import one_line
from wizard.world import World

T = TypeVar("T")
Nodes = Mapping[str, list[Object]]  # by cluster
OfNodes = Mapping[str, Collection[str]]  # by cluster, addresses
OF_NODES = ("node-port", "external-ips")  # exposures whose gateway is reached at nodes' addresses


def check_istioctl(mesh: Mesh, world: World) -> str:
    """The version of the istioctl found. BadInput where it is not the mesh file's, or not one this release drives."""
    version = world.istioctl.version()
    problem = unsupported(version)
    if problem:
        raise BadInput(
            msg("{istioctl}: {problem}", istioctl=world.istioctl.path, problem=problem),
            msg("Give another istioctl with --istioctl."),
        )
    if mesh.istio.version and mesh.istio.version != version:
        raise BadInput(
            msg(
                "the mesh wants Istio {wanted}, but {istioctl} is {found}",
                wanted=mesh.istio.version,
                istioctl=world.istioctl.path,
                found=one_line(version),
            ),
            msg("Give the istioctl of {wanted} with --istioctl, or change istio.version.", wanted=mesh.istio.version),
        )
    return version


def identities(mesh: Mesh, world: World, *, lenient: bool = False) -> dict[str, str]:
    """The UID of each cluster that answers. BadInput where two contexts lead to one cluster, whatever their addresses; and
    where a context cannot be used, unless `lenient`.
    """

    def look(cluster: Cluster) -> str:
        try:
            return world.cluster(cluster.name).identity()
        except Failed:
            return ""  # the preflight tells of it; it holds up nobody else
        except BadInput:
            if not lenient:
                raise
            return ""

    found = {name: uid for name, uid in _of_each(list(mesh.clusters), look).items() if uid}
    first: dict[str, str] = {}
    mistakes = []
    for index, cluster in enumerate(mesh.clusters):
        uid = found.get(cluster.name)
        if uid is not None and uid in first:
            text = msg(
                "{context} leads to the same cluster as {other}; each must be another one",
                context=repr(one_line(cluster.context)),
                other=first[uid],
            )
            mistakes.append(Mistake(f"clusters[{index}].context", text))
        elif uid is not None:
            first[uid] = cluster.name
    if mistakes:
        raise BadInput(
            msg("one cluster stands in the mesh twice; nothing was touched"), msg("Take it out."), tuple(mistakes)
        )
    return found


def resolve(
    mesh: Mesh,
    world: World,
    wished: Mesh | None = None,
    *,
    nodes: Nodes | None = None,
    chosen: Collection[str] = (),
    of_nodes: OfNodes | None = None,
    undo: bool = False,
) -> Mesh:
    """The mesh with every open value found. Asks of the clusters that leave something open, all at once; of the others, as far
    as they answer, the addresses of their nodes and the NodePorts that they give. Raises Unreachable naming the cluster,
    NeedsPerson where a value cannot be found, BadInput where an address leads to two clusters, or back to the one that uses
    it, where an API server gives no such NodePort, or where clusters that were to be routed to each other have the same
    Service addresses.

    `wished`: what the person gave, where the mesh holds more than that. `nodes`: where they were read already. `chosen`: the
    clusters whose gateway's address no person gave: where no node has it any more, another is found. `of_nodes`: the
    addresses that a node had when the mesh was last worked on: of the others, those that none has any more are marked as
    gone. `undo`: the mesh is to be taken back, wherever its addresses lead.
    """
    mesh = _with_standing_samples(mesh, world)
    mesh = replace(mesh, clusters=tuple(_named(mesh, cluster, world) for cluster in mesh.clusters))
    gateways = [cluster for cluster in mesh.clusters if mesh.has_gateway(cluster.name)]
    mesh = _with_standing_ports(mesh, gateways, world)
    mesh = _in_range(mesh, wished or mesh, world)
    gateways = [mesh.cluster(cluster.name) for cluster in gateways]
    ports = _free_ports([each for each in gateways if _lacks_port(each)], world)
    nodes = nodes_of(mesh, world) if nodes is None else nodes
    before = of_nodes or {}
    gateways = [
        _without_the_gone(each, nodes[each.name], before.get(each.name, ()), each.name in chosen) for each in gateways
    ]
    settled = _of_each(gateways, lambda cluster: _addressed(cluster, world, ports.get(cluster.name), nodes))
    for cluster in settled.values():
        mesh = mesh.with_cluster(cluster)
    refuse_host_names(mesh)
    if not undo:
        refuse_shared_addresses(mesh, {name: _own(each) for name, each in nodes.items()})
    return _without_overlap(mesh, world)


def is_settled(mesh: Mesh) -> bool:
    """Whether this mesh leaves nothing to be found on the clusters."""

    def open_value(cluster: Cluster) -> bool:
        gateway = cluster.gateway
        if cluster.api_server is None:
            return True
        match gateway.exposure if mesh.has_gateway(cluster.name) else "none":
            case "node-port":
                return gateway.address is None or gateway.port is None
            case "external-ips":
                return gateway.address is None
            case "cluster-ip-route":
                return None in (gateway.address, gateway.node, cluster.service_cidr)
        return False

    return bool(mesh.istio.version) and not any(open_value(cluster) for cluster in mesh.clusters)


def _with_standing_samples(mesh: Mesh, world: World) -> Mesh:
    """With the sample versions that run already: where clusters came and went they do not follow from the order, and a run
    that has lost its state must not exchange them.
    """

    def look(cluster: Cluster) -> str | None:
        try:
            return standing_version(world.cluster(cluster.name), mesh)
        except Failed:
            return None  # the preflight tells of it

    taken = {cluster.sample for cluster in mesh.clusters}
    for name, version in _of_each([each for each in mesh.clusters if each.sample is None], look).items():
        if version is not None and version not in taken:
            taken.add(version)
            mesh = mesh.with_cluster(replace(mesh.cluster(name), sample=version))
    return mesh


def _with_standing_ports(mesh: Mesh, gateways: list[Cluster], world: World) -> Mesh:
    """With the NodePorts of the gateways that stand, where none is given: they are not changed because another is free."""

    def look(cluster: Cluster) -> int | None:
        service = world.cluster(cluster.name).get(GATEWAY_SERVICE)
        return node_port(service) if ((service or {}).get("spec") or {}).get("type") == "NodePort" else None

    for name, port in _of_each([each for each in gateways if _lacks_port(each)], look).items():
        cluster = mesh.cluster(name)
        mesh = mesh.with_cluster(replace(cluster, gateway=replace(cluster.gateway, port=port)))
    return mesh


def _lacks_port(cluster: Cluster) -> bool:
    return cluster.gateway.exposure == "node-port" and cluster.gateway.port is None


def _named(mesh: Mesh, cluster: Cluster, world: World) -> Cluster:
    """With its sample version and, where others read it, its API server's address."""
    read = any(primary is not cluster for primary in mesh.primaries)
    server = cluster.api_server or (_reachable_server(cluster, world) if read else None)
    return replace(cluster, api_server=server, sample=mesh.sample_version(cluster.name))


def nodes_of(mesh: Mesh, world: World) -> Nodes:
    """The nodes of every cluster; none of those that do not answer."""

    def look(cluster: Cluster) -> list[Object]:
        try:
            return world.cluster(cluster.name).objects(NODE)
        except Failed:
            return []  # the preflight tells of it

    return _of_each(list(mesh.clusters), look)


def _own(nodes: list[Object]) -> set[str]:
    """Not the ExternalIPs: clusters behind one router share those, told apart by port."""
    return all_addresses(nodes, "InternalIP")


def on_nodes(cluster: Cluster, nodes: list[Object], before: Collection[str]) -> list[str]:
    """The gateway's addresses that are a node's, or were `before` and nothing else was given since."""
    own = all_addresses(nodes) if cluster.gateway.exposure in OF_NODES else set()
    return [address for address in cluster.gateway.addresses if canonical(address) in own or address in before]


def _without_the_gone(cluster: Cluster, nodes: list[Object], before: Collection[str], chosen: bool) -> Cluster:
    """With the gateway's addresses that no node has any more marked; without them, where we have `chosen` them."""
    gateway, own = cluster.gateway, all_addresses(nodes)
    if gateway.exposure not in OF_NODES or not own:
        return cluster
    gone = tuple(each for each in gateway.addresses if canonical(each) not in own and (chosen or each in before))
    if not chosen:
        return replace(cluster, gateway=replace(gateway, gone=gone))
    left = [address for address in gateway.addresses if address not in gone]
    return replace(cluster, gateway=replace(gateway, address=next(iter(left), None), more=tuple(left[1:])))


def _addressed(cluster: Cluster, world: World, port: int | None, nodes: Nodes) -> Cluster:
    """With what its gateway's exposure needs to know beforehand."""
    gateway = cluster.gateway
    if gateway.exposure == "load-balancer":
        return cluster
    if gateway.exposure == "cluster-ip-route":
        node = gateway.node or _first_address(cluster, world, "gateway.node", nodes)
        address = gateway.address or _service_address(cluster, world)
        cidr = cluster.service_cidr or _service_cidr(cluster, world)
        return replace(cluster, service_cidr=cidr, gateway=replace(gateway, address=address, node=node))
    address = gateway.address or _first_address(cluster, world, "gateway.address", nodes)
    chosen = (gateway.port or port) if gateway.exposure == "node-port" else None
    return replace(cluster, gateway=replace(gateway, address=address, port=chosen))


def _service_address(cluster: Cluster, world: World) -> str:
    """The gateway Service's own address: the one it has, else a free one."""
    live = world.cluster(cluster.name).get(GATEWAY_SERVICE)
    standing = ((live or {}).get("spec") or {}).get("clusterIP")
    return str(standing) if standing else free_service_address(world.cluster(cluster.name))


def _service_cidr(cluster: Cluster, world: World) -> str:
    found = service_cidrs(world.cluster(cluster.name))
    if not found:
        raise NeedsPerson(
            msg("{cluster}: the API server does not tell the range of its Service addresses", cluster=cluster.name),
            msg("Give it in serviceCidr of that cluster."),
        )
    return found[0]


def _without_overlap(mesh: Mesh, world: World) -> Mesh:
    """The mesh, with the Service CIDR of every cluster that routes to another's. BadInput where they are the same addresses."""
    pairs = [(cluster, target) for cluster in mesh.clusters for target in mesh.routed_from(cluster.name)]
    routing = {cluster.name: cluster for cluster, _ in pairs}
    own = _of_each(
        list(routing.values()),
        lambda each: [each.service_cidr] if each.service_cidr else service_cidrs(world.cluster(each.name)),
    )
    mistakes = []
    for cluster, target in pairs:
        same = next((cidr for cidr in own[cluster.name] if overlap(cidr, target.service_cidr)), None)
        if same:
            index = mesh.clusters.index(target)
            text = msg(
                "cluster-ip-route cannot work: {target}'s Service addresses {target_cidr} overlap with "
                "{source}'s own {source_cidr}, so no route can tell them apart; choose external-ips or node-port",
                target=target.name,
                target_cidr=target.service_cidr,
                source=cluster.name,
                source_cidr=same,
            )
            mistakes.append(Mistake(f"clusters[{index}].gateway.exposure", text))
    if mistakes:
        raise BadInput(
            msg("Service addresses overlap; nothing was touched"), msg("Choose another exposure."), tuple(mistakes)
        )
    for name, cidrs in own.items():
        mesh = mesh.with_cluster(replace(mesh.cluster(name), service_cidr=next(iter(cidrs), None)))
    return mesh


def _of_each(clusters: list[Cluster], look: Callable[[Cluster], T]) -> dict[str, T]:
    return dict(zip([cluster.name for cluster in clusters], of_each(clusters, look), strict=True))


def _in_range(mesh: Mesh, wished: Mesh, world: World) -> Mesh:
    """The mesh without the NodePorts that its API servers do not give, as far as these tell and no gateway has them. BadInput
    where the person named such a port.
    """

    def look(cluster: Cluster) -> range | None:
        try:
            if node_port(world.cluster(cluster.name).get(GATEWAY_SERVICE)) == cluster.gateway.port:
                return None
            return told_node_ports(world.cluster(cluster.name))
        except Failed:
            return None  # the preflight tells of it

    ported = [each for each in mesh.clusters if mesh.has_gateway(each.name) and each.gateway.exposure == "node-port"]
    mistakes = []
    for name, ports in _of_each([each for each in ported if not _lacks_port(each)], look).items():
        cluster = mesh.cluster(name)
        if ports is None or cluster.gateway.port in ports:
            continue
        index = mesh.clusters.index(cluster)
        if wished.clusters[index].gateway.port is not None:
            text = msg(
                "{port} is none of the NodePorts that the API server of {cluster} gives, {ports}",
                port=cluster.gateway.port,
                cluster=name,
                ports=spelled(ports),
            )
            mistakes.append(Mistake(f"clusters[{index}].gateway.port", text))
        mesh = mesh.with_cluster(replace(cluster, gateway=replace(cluster.gateway, port=None)))
    if mistakes:
        raise BadInput(
            msg("there are no such NodePorts; nothing was touched"),
            msg("Give others, or leave gateway.port out, so that free ones are found."),
            tuple(mistakes),
        )
    return mesh


def _free_ports(clusters: list[Cluster], world: World) -> dict[str, int]:
    """A NodePort for each: the same where they have one in common that is free in all, which is easier to open in firewalls."""

    def free(cluster: Cluster) -> dict[int, None]:
        door = world.cluster(cluster.name)
        taken = used_node_ports(door)
        return dict.fromkeys(port for port in preferred(told_node_ports(door) or NODE_PORTS) if port not in taken)

    found = _of_each(clusters, free)
    for name, ports in found.items():
        if not ports:
            raise Failed(msg("no NodePort is free in {cluster}", cluster=name), msg("Set gateway.port."))
    # In the first one's order: a mesh's proposal does not change with who comes later.
    common = next(
        (port for port in next(iter(found.values()), {}) if all(port in ports for ports in found.values())), None
    )
    return {name: common or next(iter(ports)) for name, ports in found.items()}


def _first_address(cluster: Cluster, world: World, key: str, nodes: Nodes) -> str:
    """Of the node to rely on most; rather one that no node of another cluster has."""
    check = cluster_field(key).mistake
    own = nodes[cluster.name] or world.cluster(cluster.name).objects(NODE)  # which raises where it does not answer
    fitting = [address for address in addresses_to_rely_on(own) if check(address) is None]
    others = set().union(*(_own(each) for name, each in nodes.items() if name != cluster.name))
    for address in [each for each in fitting if canonical(each) not in others] or fitting:
        return address
    raise NeedsPerson(
        msg("{cluster}: no ready node has an InternalIP that other clusters could reach", cluster=cluster.name),
        msg("Give the address in {field} of that cluster.", field=key),
    )


def _reachable_server(cluster: Cluster, world: World) -> str:
    server = world.cluster(cluster.name).server
    problem = cluster_field("apiServer").mistake(server)
    if problem:
        raise NeedsPerson(
            msg(
                "{cluster}: the kubeconfig's API server cannot serve the other clusters: {problem}",
                cluster=cluster.name,
                problem=problem,
            ),
            msg("Give the address that they can reach in apiServer of that cluster."),
        )
    return server
