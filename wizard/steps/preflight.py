"""The guard before a cluster is touched."""

from __future__ import annotations

from wizard.engine.step import Done, Job, Probe, Step, World
from wizard.errors import Failed, NeedsPerson
from wizard.mesh.model import Cluster, Mesh
from wizard.preflight import check_cluster


class Preflight(Step):
    """Reachability, versions, rights, clock and gateway of one cluster."""

    guard = True

    def __init__(self, mesh: Mesh, cluster: Cluster) -> None:
        super().__init__(f"{cluster.name}/preflight", "Fit for the mesh", cluster=cluster.name)
        self.mesh = mesh
        self.member = cluster

    def probe(self, world: World) -> Probe:
        findings = check_cluster(self.mesh, self.member, world)
        errors = [finding for finding in findings if finding.severity == "error"]
        if errors:
            kind = NeedsPerson if all(finding.person for finding in errors) else Failed
            told = "; ".join(finding.text for finding in errors)
            raise kind(told, "\n".join(dict.fromkeys(finding.remedy for finding in errors if finding.remedy)))
        warnings = [finding.text for finding in findings if finding.severity == "warning"]
        return Done("; ".join(warnings) or findings[0].text)

    def apply(self, world: World, job: Job) -> None:
        raise NotImplementedError("a guard makes nothing")
