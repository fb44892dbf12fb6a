"""The addresses at which clusters reach each other: who uses which of whom, and whether they tell the clusters apart."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from wizard.errors import BadInput, Mistake
from wizard.mesh.addresses import bracketed, canonical, place_of
from wizard.mesh.model import Cluster, Mesh
from wizard.messages import msg
from wizard.text import listing, one_line


def refuse_shared_addresses(mesh: Mesh, own: Mapping[str, set[str]]) -> None:
    """BadInput where an address that the others use of a cluster is another's, too, or is of a node of one of the others, who
    would reach itself there. `own`: the addresses of each cluster's nodes.
    """
    first: dict[tuple[str, str, int | None], str] = {}
    mistakes = []
    for index, cluster in enumerate(mesh.clusters):
        for used in _used_of(mesh, cluster):
            at = f"clusters[{index}].{used.field}"
            place = f"{bracketed(one_line(used.host))}{f':{used.port}' if used.port else ''}"
            other = first.setdefault((used.kind, canonical(used.host), used.port), cluster.name)
            selves = [peer.name for peer in used.by if canonical(used.host) in own[peer.name]]
            if used.port and other != cluster.name:
                mistakes.append(Mistake(at, _taken(used, place, other)))
            elif selves:
                text = msg(
                    "{place} is an address of {clusters}'s own nodes, too, as behind NAT (Vagrant), so {cluster} would reach "
                    "itself there; {cure}, or give the nodes other addresses (kubelet --node-ip)",
                    place=place, clusters=listing(selves), cluster=selves[0], cure=used.cure,
                )  # fmt: skip
                mistakes.append(Mistake(at, text))
    if mistakes:
        what = msg("addresses that do not tell the clusters apart; nothing was touched")
        raise BadInput(what, msg("Give each cluster addresses at which only it is reached."), tuple(mistakes))


@dataclass(frozen=True)
class _Used:
    """An address of a cluster that others use. `port` None: any. `by`: who uses it. `cure`: what to set, half a sentence."""

    kind: str
    field: str
    host: str
    port: int | None
    by: Sequence[Cluster]
    cure: str


def _taken(used: _Used, place: str, other: str) -> str:
    if used.kind == "api":
        return msg("{place} is the API server of {cluster} already; {cure}", place=place, cluster=other, cure=used.cure)
    return msg("{place} is the gateway of {cluster} already; {cure}", place=place, cluster=other, cure=used.cure)


def _used_of(mesh: Mesh, cluster: Cluster) -> Iterator[_Used]:
    gateway = cluster.gateway
    if cluster.api_server:
        readers = [each for each in mesh.primaries if each is not cluster]
        cure = msg(
            "a remote secret tells istiod this address and nothing more, so give in apiServer the address at which the others "
            "reach this API server itself"
        )
        if readers:
            yield _Used("api", "apiServer", *place_of(cluster.api_server), readers, cure)
    if not mesh.has_gateway(cluster.name):
        return
    callers = [each for each in mesh.clusters if each is not cluster and (
        cluster in mesh.beyond(each.name) or (mesh.control_plane(each.name) is cluster and each.discovery is None)
    )]  # fmt: skip
    field = "gateway.addresses" if gateway.more else "gateway.address"
    cure = msg("give in {field} where the others reach the gateway", field=field)
    for address in gateway.addresses:
        yield _Used("gateway", field, address, gateway.tls_port, callers, cure)
    if gateway.exposure == "cluster-ip-route" and gateway.node:
        cure = msg("give in gateway.node a node's address that the others reach")
        yield _Used("node", "gateway.node", gateway.node, None, callers, cure)
