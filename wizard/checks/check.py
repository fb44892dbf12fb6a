"""What a check is: one question about a cluster, answered by looking."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from wizard.checks.finding import Finding
from wizard.checks.needed import LEASE_RIGHTS, RIGHTS
from wizard.clusters.kinds import NODE, SERVICE, Object
from wizard.clusters.port import Cluster, Right, ServerVersion
from wizard.errors import NotAllowed
from wizard.mesh import model
from wizard.mesh.model import Mesh
from wizard.world import World

Layer = Literal["connection", "versions", "rights", "gateway", "network", "cluster"]


@dataclass(frozen=True)
class Looked:
    """A cluster that answered, as its checks look at it. What several of them need is read once."""

    mesh: Mesh
    member: model.Cluster
    world: World
    cluster: Cluster
    version: ServerVersion
    identity: str

    @cached_property
    def nodes(self) -> list[Object]:
        """All its nodes."""
        return self.cluster.objects(NODE)

    @cached_property
    def services(self) -> list[Object]:
        """All its Services."""
        return self.cluster.objects(SERVICE)

    @cached_property
    def lacking(self) -> list[Right]:
        """The rights that the work needs and the context has not."""
        return self.cluster.denied((*RIGHTS, *LEASE_RIGHTS))


@dataclass(frozen=True)
class Check:
    """`id`: its stable name, in findings and in docs/checks.md; `layer`: what of the cluster it is about. `find` yields what it
    finds and writes nothing; it may raise Trouble where it cannot look. `optional`: where the context may not look, nothing
    is said, because `rights` tells of it. `at_gateways`: asked only where the cluster has a gateway.
    """

    id: str
    layer: Layer
    find: Callable[[Looked], Iterable[Finding]]
    optional: bool = False
    at_gateways: bool = False

    def findings(self, looked: Looked) -> list[Finding]:
        """What it finds in this cluster."""
        if self.at_gateways and not looked.mesh.has_gateway(looked.member.name):
            return []
        try:
            return list(self.find(looked))
        except NotAllowed:
            if self.optional:
                return []
            raise
