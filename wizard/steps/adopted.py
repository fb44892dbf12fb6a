"""What others installed: it is looked at, and neither changed nor taken back (`istio.installed: by-others`)."""

from __future__ import annotations

from wizard.clusters.kinds import DEPLOYMENT, SERVICE, Ref
from wizard.clusters.port import Cluster
from wizard.engine.step import Command, Conflict, Difference, Done, Job, Probe
from wizard.errors import Failed, NeedsPerson
from wizard.istio.proxies import control_plane_version
from wizard.mesh import model
from wizard.mesh.sample import SERVICE as HELLOWORLD
from wizard.messages import joined, msg
from wizard.objects import gateway
from wizard.objects.eastwest import GATEWAY_SERVICE
from wizard.objects.ownership import is_ours
from wizard.objects.pods import available
from wizard.probes.traffic import client_pod
from wizard.steps.install import Install, injector_of, istiod_of, runs_istiod
from wizard.text import one_line
from wizard.world import World


class Adopted(Install):
    """In place of the install: whether what the mesh file says stands, whoever installed it."""

    rights = ()

    def probe(self, world: World) -> Probe:
        told = self._differences(world.cluster(self.cluster))
        return (
            self._otherwise(told) if told else Done(msg("Istio {version}, of others", version=self.mesh.istio.version))
        )

    def apply(self, world: World, job: Job) -> None:
        told = self._differences(world.cluster(self.cluster))
        if told:
            conflict = self._otherwise(told)
            raise NeedsPerson(conflict.what, conflict.remedy)

    def undo(self, world: World, job: Job) -> None:
        """It stays."""

    def commands(self) -> list[Command]:
        return []

    def _differences(self, cluster: Cluster) -> list[Difference]:
        told = []
        wanted, istiod = str(self.mesh.istio.version), istiod_of(self.mesh)
        if runs_istiod(self.mesh, self.member):
            found = control_plane_version(cluster, self.mesh)
            if cluster.get(istiod) is None:
                told.append(Difference(str(istiod), "", None, msg("to be there")))
            elif found != wanted and not found.startswith(f"{wanted}-"):
                told.append(Difference(str(istiod), msg("version"), one_line(found) or None, wanted))
        injector = injector_of(self.mesh, self.member)
        if cluster.get(injector) is None:
            told.append(Difference(str(injector), "", None, msg("to be there")))
        if self.mesh.has_gateway(self.member.name):
            service = cluster.get(GATEWAY_SERVICE)
            if service is None:
                told.append(Difference(str(GATEWAY_SERVICE), "", None, msg("to be there")))
            else:
                told += gateway.exposed(service, self.member)
        return told

    def _otherwise(self, told: list[Difference]) -> Conflict:
        return Conflict(
            msg(
                "{cluster}: what others installed is not as the mesh file says: {differences}",
                cluster=self.member.name,
                differences=joined((each.told for each in told), "; "),
            ),
            msg(
                "Change it there, or change the mesh file: with istio.installed: by-others, what others installed is not changed."
            ),
        )


def sample_of_others(cluster: Cluster, mesh: model.Mesh, member: model.Cluster) -> Probe | None:
    """How the sample that others made here looks; None where there is none, so that it can be made."""
    namespace, version = mesh.verify.namespace, mesh.sample_version(member.name)
    service = cluster.get(Ref(SERVICE, HELLOWORLD, namespace))
    if service is None or is_ours(service):
        return None
    labels = {"app": HELLOWORLD, "version": version}
    running = [
        each
        for each in cluster.objects(DEPLOYMENT, namespace)
        if labels.items() <= ((each["spec"]["template"].get("metadata") or {}).get("labels") or {}).items()
        and available(each)
    ]
    remedy = msg("Have it run there, or name another namespace in verify.namespace.")
    if not running:
        told = {"cluster": member.name, "version": version, "namespace": namespace}
        what = msg(
            "{cluster}: no helloworld {version} of those who made the sample in {namespace} is available", **told
        )
        return Conflict(what, remedy)
    try:
        client_pod(cluster, namespace)
    except Failed as failure:
        return Conflict(failure.what, remedy)
    return Done(msg("helloworld {version}, of others", version=version))
