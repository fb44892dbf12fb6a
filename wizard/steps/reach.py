"""Guards that try, from inside a cluster, every address of another one that it will use: API servers, gateways, istiod. What is
closed is told before anything that depends on it is installed.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from wizard.clusters.kinds import JOB, NODE, POD, SERVICE
from wizard.clusters.nodes import all_addresses, node_addresses
from wizard.clusters.patience import within
from wizard.clusters.port import EXECUTING, Right
from wizard.engine.step import Difference, Job, Needed, Probe, Step
from wizard.errors import Failed, NeedsPerson, befalling
from wizard.fanout import of_each
from wizard.istio.versions import remote_runs_istiod
from wizard.mesh.addresses import bracketed, canonical, is_ip
from wizard.mesh.model import SYSTEM_NAMESPACE, Cluster, Mesh
from wizard.objects.discovery import discovery_address
from wizard.objects.gateway import GATEWAY_SERVICE, ingress_of
from wizard.objects.pods import is_going
from wizard.probes.asking import doubt
from wizard.probes.credential import Credential, beforehand, in_secret
from wizard.probes.curlpod import Answer, CurlPods, probe_labels, remove_probes
from wizard.probes.policies import limiting
from wizard.steps import kinds
from wizard.steps.remotesecret import secret_of
from wizard.text import listing, one_line
from wizard.world import World

DISCOVERY_PORT = 15012
INJECTION_PORT = 15017
DNS_PORT = 53
# How long an address may stay closed. Envoy opens a port a moment after it was told to, clouds take minutes to wire a
# load balancer whose address they have given already.
PATIENCE = 3.0
OPENING_PATIENCE = 20.0
BALANCER_PATIENCE = 240.0
TRYING_SECONDS = 60.0  # for the tries themselves
AUTHORITY_SECONDS = 5.0  # that a peer has to tell its authority
_SHOWN = 6  # node addresses that a remedy lists


@dataclass(frozen=True)
class Target:
    """One address to try, of that `peer`. `what`: what is there. `refused`: whether a refusal will do, since nobody may listen
    yet but the path is open. `patience`: for how many seconds it may be closed, `opening`: and refuse. `remedy`: what to do
    where it is closed, None: open the port.
    """

    peer: str
    what: str
    url: str
    refused: bool = False
    patience: float = PATIENCE
    opening: float = PATIENCE
    remedy: str | None = None

    @property
    def place(self) -> tuple[str, int]:
        """Its host and port."""
        parts = urlsplit(self.url)
        return parts.hostname or "", parts.port or 443

    def open(self, answer: Answer) -> bool:
        """Whether it can be used."""
        return answer.answered or (self.refused and (answer.connected or answer.refused))

    def may_open(self, answer: Answer, elapsed: float) -> bool:
        """Whether it is worth trying again after that many seconds."""
        return elapsed < (max(self.opening, self.patience) if answer.refused else self.patience)


@dataclass(frozen=True)
class Doubt:
    """What is wrong with whom answers at the address of that `peer`. `cure`: what to do about it."""

    peer: str
    what: str
    cure: str


class Reach(Step):
    """Tries some targets from inside a cluster."""

    guard = True
    leaves = True
    rights = (*(Right(verb, JOB, SYSTEM_NAMESPACE) for verb in ("create", "patch", "delete")), *EXECUTING)

    def __init__(self, title: str, mesh: Mesh, cluster: Cluster, needs: tuple[str, ...] = ()) -> None:
        """`needs`: beside what every probe needs."""
        super().__init__(title, cluster=cluster.name, needs=(*probe_needs(mesh, cluster), *needs))
        self.mesh = mesh
        self.member = cluster

    def targets(self, world: World) -> list[Target]:
        """What is to be tried. Failed where an address is not known."""
        raise NotImplementedError

    def doubts(self, world: World, pods: CurlPods, job: Job, answering: list[Target]) -> list[Doubt]:
        """What is wrong with whom answers at these."""
        return []

    def probe(self, world: World) -> Probe:
        return Needed((Difference("addresses", "", "not tried", f"tried from inside {self.cluster}"),))

    def apply(self, world: World, job: Job) -> None:
        targets = self.targets(world)
        if not targets:
            return
        with CurlPods(world, self.mesh, self.member, self, job) as pods:
            closed = _tried(targets, pods, job)
            doubts = self.doubts(world, pods, job, [target for target in targets if target not in closed])
        told = [
            f"{self.cluster} cannot reach {target.what} at {shown(target.url)}: {answer.told}"
            for target, answer in closed.items()
        ]
        if closed or doubts:
            remedies = [self._remedy(closed, world)] if closed else []
            remedies += dict.fromkeys(doubt.cure for doubt in doubts if doubt.cure)
            peers = dict.fromkeys([*(target.peer for target in closed), *(doubt.peer for doubt in doubts)])
            raise Failed("; ".join([*told, *(doubt.what for doubt in doubts)]), "\n".join(remedies), peers=tuple(peers))
        job.say(f"{self.cluster} reaches {listing(dict.fromkeys(target.what for target in targets))}")

    def undo(self, world: World, job: Job) -> None:
        remove_probes(world.cluster(self.cluster), self.id, self.mesh.name)

    def _remedy(self, closed: Mapping[Target, Answer], world: World) -> str:
        lines = list(dict.fromkeys(target.remedy for target in closed if target.remedy))
        if not all(answer.connected or answer.refused for answer in closed.values()):
            limits = limiting(world.cluster(self.cluster), SYSTEM_NAMESPACE, probe_labels(""))
            lines += [limits] if limits else []
        ports: dict[str, list[str]] = {}
        for target, answer in closed.items():
            host, port = target.place
            if answer.unresolved:
                lines.append(f"Let Pods of {self.cluster} resolve {host}, or give an IP address in its place.")
            elif target.remedy is None:
                ports.setdefault(host, []).append(str(port))
        if ports:
            where = listing(f"{host} port {listing(dict.fromkeys(each))}" for host, each in ports.items())
            lines.append(f"Open, in firewalls and security groups, TCP from {self._nodes(world)} to {where}.")
        if any(answer.refused for answer in closed.values()):
            lines.append(
                "A refusal may also mean that nothing listens there: see that it runs, and under that address."
            )
        return "\n".join(dict.fromkeys(lines))

    def _nodes(self, world: World) -> str:
        try:
            addresses = [one_line(address) for address in node_addresses(world.cluster(self.cluster))]
        except Failed:
            addresses = []
        more = f" and {len(addresses) - _SHOWN} more" if len(addresses) > _SHOWN else ""
        told = f" ({', '.join(addresses[:_SHOWN])}{more})" if addresses else ""
        return f"the nodes of {self.cluster}{told}"


class ReachApi(Reach):
    """The API servers that this cluster's istiod will read, asked as it will ask but for the token, which the install of each
    makes: who answers has a certificate of that cluster's authority, and answers as an API server.
    """

    kind = kinds.REACH_API

    def __init__(
        self, mesh: Mesh, cluster: Cluster, title: str = "Path to the API servers", needs: tuple[str, ...] = ()
    ) -> None:
        super().__init__(title, mesh, cluster, needs)

    def wanted(self) -> object:
        return [peer.api_server for peer in self.mesh.read_by(self.member.name)]

    def credential(self, peer: Cluster, world: World) -> Credential | None:
        """With what it will be read, as far as that can be known now; None where there is nothing to compare with."""
        try:
            return within(AUTHORITY_SECONDS, lambda: beforehand(str(peer.api_server), world.cluster(peer.name)))
        except (TimeoutError, Failed):
            return None  # its own steps tell of it, and it holds up nobody else

    def identity(self, peer: Cluster, world: World) -> str:
        """The UID of its kube-system; empty where it is not asked for."""
        return ""

    def targets(self, world: World) -> list[Target]:
        return [
            Target(peer.name, f"the API server of {peer.name}", str(peer.api_server))
            for peer in self.mesh.read_by(self.member.name)
        ]

    def doubts(self, world: World, pods: CurlPods, job: Job, answering: list[Target]) -> list[Doubt]:
        urls = {target.url for target in answering}
        asked = {}
        for peer in self.mesh.read_by(self.member.name):
            credential = self.credential(peer, world) if str(peer.api_server) in urls else None
            if credential is not None:
                asked[peer.name] = (credential, self.identity(peer, world))
        return _asked_as_istiod(self.member.name, asked, pods, job) if asked else []


class ReachPeers(ReachApi):
    """The same, with the remote secrets as they stand: what they lead to takes their tokens, and is the cluster that is meant."""

    kind = kinds.REACH_PEERS

    def __init__(self, mesh: Mesh, cluster: Cluster) -> None:
        needs = tuple(kinds.REMOTE_SECRET.id(cluster.name, peer.name) for peer in mesh.read_by(cluster.name))
        super().__init__(mesh, cluster, "istiod reads the right clusters", needs)

    def credential(self, peer: Cluster, world: World) -> Credential | None:
        return in_secret(world.cluster(self.cluster).get(secret_of(peer.name)), peer.name)

    def identity(self, peer: Cluster, world: World) -> str:
        with befalling(peer.name):
            return world.cluster(peer.name).identity()


class ReachGateways(Reach):
    """The gateways of the other networks, and a Pod of each cluster on this one."""

    kind = kinds.REACH_GATEWAYS

    def __init__(self, mesh: Mesh, cluster: Cluster) -> None:
        needs: list[str] = []
        for peer in mesh.beyond(cluster.name):
            if peer.gateway.labelled:
                needs.append(kinds.GATEWAY_ADDRESS.id(peer.name))
            elif peer.gateway.exposure == "cluster-ip-route":
                needs += [kinds.INSTALL.id(peer.name), kinds.ROUTE.id(cluster.name, peer.name)]
        super().__init__("Path to the other clusters", mesh, cluster, tuple(needs))

    def wanted(self) -> object:
        return [
            (peer.name, peer.network, *(peer.gateway.addresses or (None,)), peer.gateway.tls_port)
            for peer in self.mesh.peers(self.member.name)
        ]

    def targets(self, world: World) -> list[Target]:
        beyond = self.mesh.beyond(self.member.name)
        near = [peer for peer in self.mesh.peers(self.member.name) if peer not in beyond]
        return [
            *(target for peer in beyond for target in self._gateway(peer, world)),
            *(target for peer in near for target in self._pod(peer, world)),
        ]

    def _gateway(self, peer: Cluster, world: World) -> list[Target]:
        with befalling(peer.name):
            addresses = peer.gateway.addresses or (self._balanced(peer, world),)
        patience = BALANCER_PATIENCE if peer.gateway.labelled else PATIENCE
        what = f"the gateway of {peer.name}"
        return [
            Target(peer.name, what, _url(each, peer.gateway.tls_port), refused=True, patience=patience)
            for each in addresses
        ]

    def _balanced(self, peer: Cluster, world: World) -> str:
        """What the peer's load balancer gave. NeedsPerson where that is this cluster's own: its Pods would never leave it."""
        address = ingress_of(world.cluster(peer.name).get(GATEWAY_SERVICE))
        if address is None:
            raise Failed(f"the gateway of {peer.name} has no address yet", "Look at its load balancer.")
        own = world.cluster(self.cluster)
        given = {ingress_of(service) for service in own.objects(SERVICE)}
        if address in given or canonical(address) in all_addresses(own.objects(NODE), "InternalIP"):
            raise NeedsPerson(
                f"the load balancer of {peer.name} gave {address}, which is an address of {self.cluster} itself, too: who calls "
                f"it from there stays in {self.cluster}",
                f"Give the load balancers of {peer.name} and {self.cluster} different ranges of addresses, or choose another "
                f"gateway.exposure for {peer.name}.",
            )
        return address

    def _pod(self, peer: Cluster, world: World) -> list[Target]:
        """A Pod that any cluster has and that listens: of its DNS. None where there is none."""
        with befalling(peer.name):
            pods = world.cluster(peer.name).objects(POD, "kube-system", "k8s-app=kube-dns")
        for pod in pods:
            status = pod.get("status") or {}
            address = str(status.get("podIP") or "")
            if status.get("phase") == "Running" and not is_going(pod) and is_ip(address):
                remedy = (
                    f"{self.cluster} and {peer.name} share network {one_line(peer.network)}, so their Pods must reach each "
                    "other directly: route the Pod networks to each other, or give the clusters different networks."
                )
                what = f"Pod {one_line(pod['metadata']['name'])} of {peer.name}"
                return [Target(peer.name, what, _url(address, DNS_PORT), refused=True, remedy=remedy)]
        return []


class ReachDiscovery(Reach):
    """The istiod that serves this remote, by way of its primary's gateway."""

    kind = kinds.REACH_DISCOVERY

    def __init__(self, mesh: Mesh, cluster: Cluster) -> None:
        control = mesh.control_plane(cluster.name)
        needs = [kinds.INSTALL.id(control.name), kinds.EXPOSE_ISTIOD.id(control.name)]
        if control.gateway.labelled and cluster.discovery is None:
            needs.append(kinds.GATEWAY_ADDRESS.id(control.name))
        if control in mesh.routed_from(cluster.name):
            needs.append(kinds.ROUTE.id(cluster.name, control.name))
        super().__init__(f"Path to istiod of {control.name}", mesh, cluster, tuple(needs))
        self.control = control

    def wanted(self) -> object:
        return [self.member.discovery, self.control.gateway.address]

    def targets(self, world: World) -> list[Target]:
        address = discovery_address(world, self.mesh, self.member)
        if address is None:
            raise Failed(f"the gateway of {self.control.name} has no address yet", "Look at its load balancer.")
        ports = [DISCOVERY_PORT]
        if not remote_runs_istiod(str(self.mesh.istio.version)):
            ports.append(INJECTION_PORT)  # called by its API server; tried from a Pod, since only there curl can be run
        patience = BALANCER_PATIENCE if self.control.gateway.labelled else PATIENCE
        what = f"istiod of {self.control.name}"
        return [
            Target(self.control.name, what, _url(address, port), patience=patience, opening=OPENING_PATIENCE)
            for port in ports
        ]


def probe_needs(mesh: Mesh, cluster: Cluster) -> tuple[str, ...]:
    """The steps that a probe Pod needs."""
    secret = (kinds.PULL_SECRET.id(cluster.name),) if mesh.istio.pull_secret else ()
    return (kinds.NAMESPACE.id(cluster.name), *secret)


def shown(url: str) -> str:
    """An address to be tried, as a person reads it."""
    return one_line(url.removesuffix("/"))


def _tried(targets: Sequence[Target], pods: CurlPods, job: Job) -> dict[Target, Answer]:
    """Those that stayed closed, with the last answer."""
    pods.start()
    left = list(targets)
    closed: dict[Target, Answer] = {}
    began = time.monotonic()

    def look() -> tuple[dict[Target, Answer] | None, str]:
        nonlocal left
        elapsed = time.monotonic() - began
        ((_, found),) = pods.ask([target.url for target in left])
        left = [target for target in left if not target.open(found[target.url])]
        closed.update({each: found[each.url] for each in left if not each.may_open(found[each.url], elapsed)})
        left = [target for target in left if target not in closed]
        seen = "; ".join(f"{target.what} at {shown(target.url)}: {found[target.url].told}" for target in left[:3])
        return (None if left else closed), seen

    longest = max(max(target.patience, target.opening) for target in targets)
    try:
        return job.wait("every address to answer", look, seconds=longest + TRYING_SECONDS, every=1.0)
    except Failed as failure:
        failure.peers = tuple(dict.fromkeys(target.peer for target in left))
        raise


def _asked_as_istiod(reader: str, asked: Mapping[str, tuple[Credential, str]], pods: CurlPods, job: Job) -> list[Doubt]:
    """`asked`: peer → with what it is read, and the UID that it must have."""
    began = time.monotonic()
    pods.start()

    def ask(peer: str) -> Doubt | None:
        credential, uid = asked[peer]
        found = doubt(peer, credential, pods.ask_as_istiod(credential), uid)
        return Doubt(peer, f"istiod of {reader} cannot read {peer}: {found[0]}", found[1]) if found else None

    def look() -> tuple[list[Doubt] | None, str]:
        doubts = [found for found in of_each(asked, ask, at_once=8) if found]
        over = not doubts or time.monotonic() - began >= PATIENCE
        return (doubts if over else None), "; ".join(each.what for each in doubts[:3])

    what = "the API servers to answer as istiod will ask"
    return job.wait(what, look, seconds=PATIENCE + TRYING_SECONDS, every=1.0)


def _url(address: str, port: int | None) -> str:
    return f"https://{bracketed(address)}:{port}"
