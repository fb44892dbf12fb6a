"""What a check is: one question about a cluster, answered by looking."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from wizard.checks.finding import Finding, Found, Severity
from wizard.clusters.kinds import LEASE, MUTATING_WEBHOOK, NAMESPACE, NODE, SERVICE, Object, Ref
from wizard.clusters.port import Cluster, Right, ServerVersion
from wizard.errors import NotAllowed
from wizard.istio import names
from wizard.mesh import model
from wizard.mesh.model import SYSTEM_NAMESPACE, Mesh
from wizard.world import World

Layer = Literal["connection", "versions", "rights", "gateway", "network", "cluster", "mesh"]

# With these, runs on other machines are kept out; without, a mesh can be made all the same.
LEASE_RIGHTS = tuple(Right(verb, LEASE, "kube-system") for verb in ("create", "get", "update", "delete"))


@dataclass(frozen=True)
class Looked:
    """A cluster that answered, as its checks look at it. What several of them need is read once."""

    mesh: Mesh
    member: model.Cluster
    world: World
    cluster: Cluster
    version: ServerVersion
    identity: str
    rights: tuple[Right, ...]  # that the work needs

    @cached_property
    def nodes(self) -> list[Object]:
        """All its nodes."""
        return self.cluster.objects(NODE)

    @cached_property
    def services(self) -> list[Object]:
        """All its Services."""
        return self.cluster.objects(SERVICE)

    @cached_property
    def mutating(self) -> list[Object]:
        """All its configurations of webhooks that change what is made."""
        return self.cluster.objects(MUTATING_WEBHOOK)

    @cached_property
    def places(self) -> dict[str, dict[str, str]]:
        """The namespaces in which something will be made, with the labels that they will have."""
        mesh = self.mesh
        wanted = {
            SYSTEM_NAMESPACE: {model.NETWORK_LABEL: self.member.network},
            mesh.verify.namespace: names.injection_labels(mesh),
        }
        return {name: {"kubernetes.io/metadata.name": name, **self._labels(name), **wanted[name]} for name in wanted}

    def _labels(self, namespace: str) -> dict[str, str]:
        live = self.cluster.get(Ref(NAMESPACE, namespace)) or {}
        return (live.get("metadata") or {}).get("labels") or {}

    @cached_property
    def lacking(self) -> list[Right]:
        """The rights that the work needs and the context has not."""
        return self.cluster.denied((*self.rights, *LEASE_RIGHTS))


@dataclass(frozen=True)
class Check:
    """`id`: its stable name, and the anchor of its section in docs/checks.md; `layer`: what it is about; `severity`: the worst
    that it finds, and what a finding is that says nothing else. `find` yields what it finds and writes nothing; it may raise
    Trouble where it cannot look. `optional`: where the context may not look, nothing is said, because `rights` tells of it.
    `at_gateways`: asked only where the cluster has a gateway.
    """

    id: str
    layer: Layer
    severity: Severity
    find: Callable[[Looked], Iterable[Found]]
    optional: bool = False
    at_gateways: bool = False

    def findings(self, looked: Looked) -> list[Finding]:
        """What it finds in this cluster."""
        if self.at_gateways and not looked.mesh.has_gateway(looked.member.name):
            return []
        try:
            return [self.finding(found, looked.member.name) for found in self.find(looked)]
        except NotAllowed:
            if self.optional:
                return []
            raise

    def finding(self, found: Found, cluster: str | None) -> Finding:
        """This answer as a finding of the check. `cluster`: None where it is about the mesh."""
        severity = found.severity or self.severity
        return Finding(severity, found.text, found.remedy, found.person, check=self.id, cluster=cluster)
