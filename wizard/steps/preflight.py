"""The guard before a cluster is touched."""

from __future__ import annotations

from collections.abc import Sequence

from wizard import kinds
from wizard.checks import gateway_port
from wizard.checks.finding import Finding
from wizard.checks.preflight import check_cluster
from wizard.clusters.kinds import NODE
from wizard.clusters.nodeports import asked_node_ports, told_node_ports
from wizard.clusters.port import Right
from wizard.engine.step import Difference, Done, Job, Needed, Probe, Step
from wizard.errors import Failed, NeedsPerson
from wizard.mesh.model import Cluster, Mesh
from wizard.messages import joined, msg
from wizard.objects.eastwest import GATEWAY_SERVICE, node_port
from wizard.world import World


class Preflight(Step):
    """Reachability, versions, rights, clock and gateway of one cluster."""

    kind = kinds.PREFLIGHT
    rights = (Right("list", NODE),)
    guard = True

    def __init__(self, mesh: Mesh, cluster: Cluster, needed: tuple[Right, ...]) -> None:
        """`needed`: the rights of all kinds of step."""
        super().__init__(msg("Fit for the mesh"), cluster=cluster.name)
        self.needed = needed
        self.mesh = mesh
        self.member = cluster

    def probe(self, world: World) -> Probe:
        findings = check_cluster(self.mesh, self.member, world, self.needed)
        _refuse(findings)
        if self._port_range_unknown(world):
            wanted = msg("one that the API server gives")
            return Needed((Difference("NodePort", "", msg("range not told"), wanted),))
        warnings = [finding.text for finding in findings if finding.severity == "warning"]
        return Done(joined(warnings, "; ") or findings[0].text)

    def apply(self, world: World, job: Job) -> None:
        cluster = world.cluster(self.cluster)
        ports = asked_node_ports(cluster)
        if ports is not None:
            found = gateway_port.out_of_range(self.member, cluster, ports)
            _refuse([gateway_port.CHECK.finding(each, self.cluster) for each in found])

    def _port_range_unknown(self, world: World) -> bool:
        """Whether the gateway will ask for a NodePort of which it is not known that the API server gives it."""
        if self.member.gateway.exposure != "node-port" or not self.mesh.has_gateway(self.member.name):
            return False
        cluster = world.cluster(self.cluster)
        # What it has given already, or tells, was looked at when the mesh was settled.
        standing = node_port(cluster.get(GATEWAY_SERVICE)) == self.member.gateway.port
        return not standing and told_node_ports(cluster) is None


def _refuse(findings: Sequence[Finding]) -> None:
    errors = [finding for finding in findings if finding.severity == "error"]
    if errors:
        kind = NeedsPerson if all(finding.person for finding in errors) else Failed
        told = joined((finding.text for finding in errors), "; ")
        raise kind(told, joined(dict.fromkeys(finding.remedy for finding in errors)))
