"""Guards that try, from inside a cluster, every address of another one that it will use: API servers, gateways, istiod. What is
closed is told before anything that depends on it is installed.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from wizard.clusters.kinds import POD
from wizard.clusters.nodes import node_addresses
from wizard.engine.step import Difference, Job, Needed, Probe, Step, World
from wizard.errors import Failed
from wizard.istio.versions import remote_runs_istiod
from wizard.mesh.addresses import is_ip
from wizard.mesh.model import Cluster, Mesh
from wizard.steps.curlpod import Answer, CurlPods, remove_probes
from wizard.steps.discovery import discovery_address
from wizard.steps.gateway import GATEWAY_SERVICE
from wizard.steps.loadbalancer import ingress_of
from wizard.steps.pods import is_going
from wizard.text import listing, one_line

DISCOVERY_PORT = 15012
INJECTION_PORT = 15017
DNS_PORT = 53
# How long an address may stay closed. Envoy opens a port a moment after it was told to, clouds take minutes to wire a
# load balancer whose address they have given already.
PATIENCE = 3.0
OPENING_PATIENCE = 20.0
BALANCER_PATIENCE = 240.0
TRYING_SECONDS = 60.0  # for the tries themselves
_SHOWN = 6  # node addresses that a remedy lists


@dataclass(frozen=True)
class Target:
    """One address to try. `what`: what is there. `refused`: whether a refusal will do, since nobody may listen yet but the
    path is open. `patience`: for how many seconds it may be closed, `opening`: and refuse. `remedy`: what to do where it is
    closed, None: open the port.
    """

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


class Reach(Step):
    """Tries some targets from inside a cluster."""

    guard = True
    leaves = True

    def __init__(self, id: str, title: str, mesh: Mesh, cluster: Cluster, needs: tuple[str, ...] = ()) -> None:
        super().__init__(
            f"{cluster.name}/{id}", title, cluster=cluster.name, needs=(*probe_needs(mesh, cluster), *needs)
        )
        self.mesh = mesh
        self.member = cluster

    def targets(self, world: World) -> list[Target]:
        """What is to be tried. Failed where an address is not known."""
        raise NotImplementedError

    def probe(self, world: World) -> Probe:
        return Needed((Difference("addresses", "", "not tried", f"tried from inside {self.cluster}"),))

    def apply(self, world: World, job: Job) -> None:
        targets = self.targets(world)
        if not targets:
            return
        with CurlPods(world, self.mesh, self.member, self.id, job) as pods:
            closed = _tried(targets, pods, job)
        if closed:
            told = [
                f"{self.cluster} cannot reach {target.what} at {shown(target.url)}: {answer.told}"
                for target, answer in closed.items()
            ]
            raise Failed("; ".join(told), self._remedy(closed, world))
        job.say(f"{self.cluster} reaches {listing(dict.fromkeys(target.what for target in targets))}")

    def undo(self, world: World, job: Job) -> None:
        remove_probes(world.cluster(self.cluster), self.id, self.mesh.name)

    def _remedy(self, closed: Mapping[Target, Answer], world: World) -> str:
        lines = list(dict.fromkeys(target.remedy for target in closed if target.remedy))
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
    """The API servers that this cluster's istiod will read."""

    def __init__(self, mesh: Mesh, cluster: Cluster) -> None:
        super().__init__("reach-api", "Path to the API servers", mesh, cluster)

    def wanted(self) -> object:
        return [peer.api_server for peer in self.mesh.read_by(self.member.name)]

    def targets(self, world: World) -> list[Target]:
        return [
            Target(f"the API server of {peer.name}", str(peer.api_server))
            for peer in self.mesh.read_by(self.member.name)
        ]


class ReachGateways(Reach):
    """The gateways of the other networks, and a Pod of each cluster on this one."""

    def __init__(self, mesh: Mesh, cluster: Cluster) -> None:
        needs: list[str] = []
        for peer in mesh.beyond(cluster.name):
            if peer.gateway.labelled:
                needs.append(f"{peer.name}/gateway-address")
            elif peer.gateway.exposure == "cluster-ip-route":
                needs += [f"{peer.name}/install", f"{cluster.name}/route/{peer.name}"]
        super().__init__("reach-gateways", "Path to the other clusters", mesh, cluster, tuple(needs))

    def wanted(self) -> object:
        return [
            (peer.name, peer.network, peer.gateway.address, peer.gateway.tls_port)
            for peer in self.mesh.peers(self.member.name)
        ]

    def targets(self, world: World) -> list[Target]:
        beyond = self.mesh.beyond(self.member.name)
        near = [peer for peer in self.mesh.peers(self.member.name) if peer not in beyond]
        return [
            *(self._gateway(peer, world) for peer in beyond),
            *(target for peer in near for target in self._pod(peer, world)),
        ]

    def _gateway(self, peer: Cluster, world: World) -> Target:
        address = peer.gateway.address or ingress_of(world.cluster(peer.name).get(GATEWAY_SERVICE))
        if address is None:
            raise Failed(f"the gateway of {peer.name} has no address yet", "Look at its load balancer.")
        patience = BALANCER_PATIENCE if peer.gateway.labelled else PATIENCE
        return Target(
            f"the gateway of {peer.name}", _url(address, peer.gateway.tls_port), refused=True, patience=patience
        )

    def _pod(self, peer: Cluster, world: World) -> list[Target]:
        """A Pod that any cluster has and that listens: of its DNS. None where there is none."""
        for pod in world.cluster(peer.name).objects(POD, "kube-system", "k8s-app=kube-dns"):
            status = pod.get("status") or {}
            address = str(status.get("podIP") or "")
            if status.get("phase") == "Running" and not is_going(pod) and is_ip(address):
                remedy = (
                    f"{self.cluster} and {peer.name} share network {one_line(peer.network)}, so their Pods must reach each "
                    "other directly: route the Pod networks to each other, or give the clusters different networks."
                )
                what = f"Pod {one_line(pod['metadata']['name'])} of {peer.name}"
                return [Target(what, _url(address, DNS_PORT), refused=True, remedy=remedy)]
        return []


class ReachDiscovery(Reach):
    """The istiod that serves this remote, by way of its primary's gateway."""

    def __init__(self, mesh: Mesh, cluster: Cluster) -> None:
        control = mesh.control_plane(cluster.name)
        needs = [f"{control.name}/install", f"{control.name}/expose-istiod"]
        if control.gateway.labelled and cluster.discovery is None:
            needs.append(f"{control.name}/gateway-address")
        if control in mesh.routed_from(cluster.name):
            needs.append(f"{cluster.name}/route/{control.name}")
        super().__init__("reach-discovery", f"Path to istiod of {control.name}", mesh, cluster, tuple(needs))
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
        return [Target(what, _url(address, port), patience=patience, opening=OPENING_PATIENCE) for port in ports]


def probe_needs(mesh: Mesh, cluster: Cluster) -> tuple[str, ...]:
    """The steps that a probe Pod needs."""
    secret = (f"{cluster.name}/pull-secret",) if mesh.istio.pull_secret else ()
    return (f"{cluster.name}/namespace", *secret)


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
    return job.wait("every address to answer", look, seconds=longest + TRYING_SECONDS, every=1.0)


def _url(address: str, port: int | None) -> str:
    host = f"[{address}]" if is_ip(address) and ":" in address else address
    return f"https://{host}:{port}"
