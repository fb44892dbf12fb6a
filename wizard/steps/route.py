"""The routes that a person must lay on a cluster's nodes, so that its Pods reach the Service addresses of another cluster. The
wizard has no hands on hosts: it shows what to type, and finds out from inside the cluster whether it was done.
"""

from __future__ import annotations

from wizard.clusters.kinds import NODE, SERVICE, Object, Ref
from wizard.clusters.nodes import is_ready
from wizard.clusters.port import Cluster
from wizard.engine.step import Command, Difference, Job, Needed, Probe, Step
from wizard.errors import Failed
from wizard.mesh import model
from wizard.mesh.addresses import bracketed
from wizard.mesh.model import Mesh
from wizard.probes.curlpod import CurlPods, remove_probes
from wizard.steps import kinds
from wizard.steps.reach import probe_needs, shown
from wizard.text import listing, one_line, quoted
from wizard.world import World

KUBERNETES = Ref(SERVICE, "kubernetes", "default")  # every cluster has it, and it answers before Istio stands
_MOST_PODS = 30


class Route(Step):
    """Every node of `cluster` routes the Service CIDR of `target` over a node of that cluster."""

    kind = kinds.ROUTE
    guard = True
    leaves = True

    def __init__(self, mesh: Mesh, cluster: model.Cluster, target: model.Cluster) -> None:
        super().__init__(
            f"Route to the Services of {target.name}", cluster=cluster.name, peer=target.name,
            needs=probe_needs(mesh, cluster),
        )  # fmt: skip
        self.mesh = mesh
        self.member = cluster
        self.target = target
        self._path = f"{quoted(target.service_cidr)} via {quoted(target.gateway.node)}"

    def wanted(self) -> object:
        return self._path

    def probe(self, world: World) -> Probe:
        return Needed((Difference("route", "", "not tried", f"tried from inside {self.cluster}"),))

    def apply(self, world: World, job: Job) -> None:
        url = f"https://{_address_of(world.cluster(self.target.name))}:443"
        nodes = world.cluster(self.member.name).objects(NODE)
        takers = [node for node in nodes if _takes_pods(node)]
        with CurlPods(world, self.mesh, self.member, self, job, pods=min(_MOST_PODS, max(1, len(takers)))) as pods:

            def look() -> tuple[bool | None, str]:
                found = [(node, answered[url]) for node, answered in pods.ask([url])]
                missing = [f"node {node}: {answer.told}" for node, answer in found if not answer.answered]
                return (None if missing else True), f"{shown(url)} from {'; '.join(missing)}"

            what = (
                f"a route on each node of {self.cluster} to the Services of {self.target.name}: "
                f"{self.target.service_cidr} via {self.target.gateway.node}"
            )
            job.person(what, self._instructions(nodes), look)

    def undo(self, world: World, job: Job) -> None:
        job.say(
            f"the route to {self.target.name}'s Services stays on the nodes of {self.cluster}; where nothing else needs it, "
            f"take it back on each of them: sudo ip route del {self._path}"
        )
        remove_probes(world.cluster(self.cluster), self.id, self.mesh.name)

    def commands(self) -> list[Command]:
        return [
            Command(
                f"# On each node of {one_line(self.member.name)}, not here:\n#   sudo ip route add {self._path}",
                f"Pods of {self.member.name} reach the Services of {self.target.name} over its node.",
            )
        ]

    def _instructions(self, nodes: list[Object]) -> str:
        lines = [f"Type this on each node of {self.cluster}:"]
        for node in nodes:
            lines += ["", f"# on node {_told(node)}", f"sudo ip route add {self._path}"]
        return "\n".join(
            [
                *lines,
                "",
                "It lasts until the node restarts. To keep it, add it to the node's network configuration: with netplan under "
                f"`routes:`, with ifupdown as `up ip route add {self._path}`.",
                f"To take it back: sudo ip route del {self._path}",
            ]
        )


def _address_of(cluster: Cluster) -> str:
    """The address of the target's Service `kubernetes`."""
    address = ((cluster.get(KUBERNETES) or {}).get("spec") or {}).get("clusterIP")
    if not address or address == "None":
        raise Failed(f"{cluster.name}: {KUBERNETES} has no address", "Is this a Kubernetes cluster?")
    return bracketed(one_line(address))


def _takes_pods(node: Object) -> bool:
    spec = node.get("spec") or {}
    closed = any(taint.get("effect") in ("NoSchedule", "NoExecute") for taint in spec.get("taints") or [])
    return is_ready(node) and not spec.get("unschedulable") and not closed


def _told(node: Object) -> str:
    addresses = [
        one_line(address.get("address", ""), 60)
        for address in (node.get("status") or {}).get("addresses") or []
        if address.get("type") == "InternalIP"
    ]
    return one_line(node["metadata"]["name"], 80) + (f" ({listing(addresses)})" if addresses else "")
