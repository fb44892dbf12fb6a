"""Guards that try, from inside a cluster, every address of another one that it will use: API servers, gateways, istiod. What is
closed is told before anything that depends on it is installed.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from wizard import kinds
from wizard.clusters.kinds import JOB, NODE, POD, SERVICE
from wizard.clusters.nodes import all_addresses
from wizard.clusters.patience import within
from wizard.clusters.port import EXECUTING, Right
from wizard.engine.step import Difference, Job, Needed, Probe, Step
from wizard.errors import Failed, NeedsPerson, befalling
from wizard.fanout import of_each
from wizard.istio.versions import remote_runs_istiod
from wizard.mesh.addresses import bracketed, canonical, is_ip
from wizard.mesh.model import SYSTEM_NAMESPACE, Cluster, Mesh
from wizard.messages import joined, msg
from wizard.objects.discovery import discovery_address
from wizard.objects.eastwest import GATEWAY_SERVICE, ingress_of
from wizard.objects.pods import is_going
from wizard.probes.asking import doubt
from wizard.probes.credential import Credential, beforehand, in_secret
from wizard.probes.curlpod import Answer, CurlPods, remove_probes
from wizard.steps.remotesecret import secret_of
from wizard.steps.targets import PATIENCE, Target, remedy_for
from wizard.text import listing, one_line
from wizard.world import World

DISCOVERY_PORT = 15012
INJECTION_PORT = 15017
DNS_PORT = 53
# How long an address may stay closed that needs more time than others. Envoy opens a port a moment after it was told to, clouds
# take minutes to wire a load balancer whose address they have given already.
OPENING_PATIENCE = 20.0
BALANCER_PATIENCE = 240.0
TRYING_SECONDS = 60.0  # for the tries themselves
AUTHORITY_SECONDS = 5.0  # that a peer has to tell its authority


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
        wanted = msg("tried from inside {cluster}", cluster=self.cluster)
        return Needed((Difference(msg("addresses"), "", msg("not tried"), wanted),))

    def apply(self, world: World, job: Job) -> None:
        targets = self.targets(world)
        if not targets:
            return
        with CurlPods(world, self.mesh, self.member, self, job) as pods:
            closed = _tried(targets, pods, job)
            doubts = self.doubts(world, pods, job, [target for target in targets if target not in closed])
        told = [
            msg(
                "{cluster} cannot reach {target} at {address}: {answer}",
                cluster=self.cluster, target=target.what, address=shown(target.url), answer=answer.told,
            )
            for target, answer in closed.items()
        ]  # fmt: skip
        if closed or doubts:
            remedies = [remedy_for(closed, world.cluster(self.cluster))] if closed else []
            remedies += dict.fromkeys(doubt.cure for doubt in doubts if doubt.cure)
            peers = dict.fromkeys([*(target.peer for target in closed), *(doubt.peer for doubt in doubts)])
            what = joined([*told, *(doubt.what for doubt in doubts)], "; ")
            raise Failed(what, joined(remedies), peers=tuple(peers))
        reached = listing(dict.fromkeys(target.what for target in targets))
        job.say(msg("{cluster} reaches {targets}", cluster=self.cluster, targets=reached))

    def undo(self, world: World, job: Job) -> None:
        remove_probes(world.cluster(self.cluster), self.id, self.mesh.name)


class ReachApi(Reach):
    """The API servers that this cluster's istiod will read, asked as it will ask but for the token, which the install of each
    makes: who answers has a certificate of that cluster's authority, and answers as an API server.
    """

    kind = kinds.REACH_API

    def __init__(
        self, mesh: Mesh, cluster: Cluster, title: str = msg("Path to the API servers"), needs: tuple[str, ...] = ()
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
            Target(peer.name, msg("the API server of {cluster}", cluster=peer.name), str(peer.api_server))
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
        super().__init__(mesh, cluster, msg("istiod reads the right clusters"), needs)

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
        super().__init__(msg("Path to the other clusters"), mesh, cluster, tuple(needs))

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
        what = msg("the gateway of {cluster}", cluster=peer.name)
        return [
            Target(peer.name, what, _url(each, peer.gateway.tls_port), refused=True, patience=patience)
            for each in addresses
        ]

    def _balanced(self, peer: Cluster, world: World) -> str:
        """What the peer's load balancer gave. NeedsPerson where that is this cluster's own: its Pods would never leave it."""
        address = ingress_of(world.cluster(peer.name).get(GATEWAY_SERVICE))
        if address is None:
            raise _no_address(peer.name)
        own = world.cluster(self.cluster)
        given = {ingress_of(service) for service in own.objects(SERVICE)}
        if address in given or canonical(address) in all_addresses(own.objects(NODE), "InternalIP"):
            raise NeedsPerson(
                msg(
                    "the load balancer of {peer} gave {address}, which is an address of {cluster} itself, too: who calls it from "
                    "there stays in {cluster}",
                    peer=peer.name,
                    address=address,
                    cluster=self.cluster,
                ),
                msg(
                    "Give the load balancers of {peer} and {cluster} different ranges of addresses, or choose another "
                    "gateway.exposure for {peer}.",
                    peer=peer.name,
                    cluster=self.cluster,
                ),
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
                remedy = msg(
                    "{cluster} and {peer} share network {network}, so their Pods must reach each other directly: route the Pod "
                    "networks to each other, or give the clusters different networks.",
                    cluster=self.cluster, peer=peer.name, network=one_line(peer.network),
                )  # fmt: skip
                what = msg("Pod {name} of {cluster}", name=one_line(pod["metadata"]["name"]), cluster=peer.name)
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
        title = msg("Path to istiod of {cluster}", cluster=control.name)
        super().__init__(title, mesh, cluster, tuple(needs))
        self.control = control

    def wanted(self) -> object:
        return [self.member.discovery, self.control.gateway.address]

    def targets(self, world: World) -> list[Target]:
        address = discovery_address(world, self.mesh, self.member)
        if address is None:
            raise _no_address(self.control.name)
        ports = [DISCOVERY_PORT]
        if not remote_runs_istiod(str(self.mesh.istio.version)):
            ports.append(INJECTION_PORT)  # called by its API server; tried from a Pod, since only there curl can be run
        patience = BALANCER_PATIENCE if self.control.gateway.labelled else PATIENCE
        what = msg("istiod of {cluster}", cluster=self.control.name)
        return [
            Target(self.control.name, what, _url(address, port), patience=patience, opening=OPENING_PATIENCE)
            for port in ports
        ]


def probe_needs(mesh: Mesh, cluster: Cluster) -> tuple[str, ...]:
    """The steps that a probe Pod needs."""
    secret = (kinds.PULL_SECRET.id(cluster.name),) if mesh.istio.pull_secret else ()
    return (kinds.NAMESPACE.id(cluster.name), *secret)


def _no_address(cluster: str) -> Failed:
    return Failed(
        msg("the gateway of {cluster} has no address yet", cluster=cluster), msg("Look at its load balancer.")
    )


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
        seen = [
            msg(
                "{target} at {address}: {answer}",
                target=target.what, address=shown(target.url), answer=found[target.url].told,
            )
            for target in left[:3]
        ]  # fmt: skip
        return (None if left else closed), joined(seen, "; ")

    longest = max(max(target.patience, target.opening) for target in targets)
    try:
        return job.wait(msg("every address to answer"), look, seconds=longest + TRYING_SECONDS, every=1.0)
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
        if found is None:
            return None
        what = msg("istiod of {cluster} cannot read {peer}: {problem}", cluster=reader, peer=peer, problem=found[0])
        return Doubt(peer, what, found[1])

    def look() -> tuple[list[Doubt] | None, str]:
        doubts = [found for found in of_each(asked, ask, at_once=8) if found]
        over = not doubts or time.monotonic() - began >= PATIENCE
        return (doubts if over else None), joined((each.what for each in doubts[:3]), "; ")

    what = msg("the API servers to answer as istiod will ask")
    return job.wait(what, look, seconds=PATIENCE + TRYING_SECONDS, every=1.0)


def _url(address: str, port: int | None) -> str:
    return f"https://{bracketed(address)}:{port}"
