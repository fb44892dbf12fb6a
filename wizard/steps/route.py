"""The routes that a person must lay on a cluster's nodes, so that its Pods reach the Service addresses of another cluster. The
wizard has no hands on hosts: it shows what to type, and finds out from inside the cluster whether it was done.
"""

from __future__ import annotations

from wizard import kinds
from wizard.clusters.kinds import NODE, SERVICE, Object, Ref
from wizard.clusters.nodes import is_ready
from wizard.clusters.port import Cluster
from wizard.engine.step import Command, Difference, Job, Needed, Probe, Step
from wizard.errors import Failed
from wizard.mesh import model
from wizard.mesh.addresses import bracketed
from wizard.mesh.model import Mesh
from wizard.messages import joined, msg
from wizard.probes.curlpod import CurlPods, remove_probes
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
            msg("Route to the Services of {peer}", peer=target.name), cluster=cluster.name, peer=target.name,
            needs=probe_needs(mesh, cluster),
        )  # fmt: skip
        self.mesh = mesh
        self.member = cluster
        self.target = target
        self._path = f"{quoted(target.service_cidr)} via {quoted(target.gateway.node)}"

    def wanted(self) -> object:
        return self._path

    def probe(self, world: World) -> Probe:
        wanted = msg("tried from inside {cluster}", cluster=self.cluster)
        return Needed((Difference(msg("route"), "", msg("not tried"), wanted),))

    def apply(self, world: World, job: Job) -> None:
        url = f"https://{_address_of(world.cluster(self.target.name))}:443"
        nodes = world.cluster(self.member.name).objects(NODE)
        takers = [node for node in nodes if _takes_pods(node)]
        with CurlPods(world, self.mesh, self.member, self, job, pods=min(_MOST_PODS, max(1, len(takers)))) as pods:

            def look() -> tuple[bool | None, str]:
                found = [(node, answered[url]) for node, answered in pods.ask([url])]
                missing = [
                    msg("node {node}: {answer}", node=node, answer=answer.told)
                    for node, answer in found
                    if not answer.answered
                ]
                seen = msg("{address} from {nodes}", address=shown(url), nodes=joined(missing, "; "))
                return (None if missing else True), seen

            what = msg(
                "a route on each node of {cluster} to the Services of {peer}: {range} via {node}",
                cluster=self.cluster,
                peer=self.target.name,
                range=self.target.service_cidr,
                node=self.target.gateway.node,
            )
            job.person(what, self._instructions(nodes), look)

    def undo(self, world: World, job: Job) -> None:
        job.say(
            msg(
                "the route to {peer}'s Services stays on the nodes of {cluster}; where nothing else needs it, take it back on "
                "each of them: {command}",
                peer=self.target.name,
                cluster=self.cluster,
                command=f"sudo ip route del {self._path}",
            )
        )
        remove_probes(world.cluster(self.cluster), self.id, self.mesh.name)

    def commands(self) -> list[Command]:
        return [
            Command(
                f"# On each node of {one_line(self.member.name)}, not here:\n#   sudo ip route add {self._path}",
                msg(
                    "Pods of {cluster} reach the Services of {peer} over its node.",
                    cluster=self.member.name,
                    peer=self.target.name,
                ),
            )
        ]

    def _instructions(self, nodes: list[Object]) -> str:
        add = f"sudo ip route add {self._path}"
        typed = [joined((msg("# on node {node}", node=_told(node)), add)) for node in nodes]
        keep = msg(
            "It lasts until the node restarts. To keep it, add it to the node's network configuration: with netplan under "
            "`routes:`, with ifupdown as `{line}`.",
            line=f"up ip route add {self._path}",
        )
        back = msg("To take it back: {command}", command=f"sudo ip route del {self._path}")
        heading = msg("Type this on each node of {cluster}:", cluster=self.cluster)
        return joined((heading, *typed, joined((keep, back))), "\n\n")


def _address_of(cluster: Cluster) -> str:
    """The address of the target's Service `kubernetes`."""
    address = ((cluster.get(KUBERNETES) or {}).get("spec") or {}).get("clusterIP")
    if not address or address == "None":
        raise Failed(
            msg("{cluster}: {object} has no address", cluster=cluster.name, object=str(KUBERNETES)),
            msg("Is this a Kubernetes cluster?"),
        )
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
    name = one_line(node["metadata"]["name"], 80)
    return msg("{node} ({addresses})", node=name, addresses=listing(addresses)) if addresses else name
