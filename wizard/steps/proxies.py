"""The proxies of other people's Pods after a step to another minor version of Istio: each keeps its version until its Pod is made
anew, which is theirs to do. Those that we made (gateway, sample) their own steps see to.
"""

from __future__ import annotations

from collections.abc import Iterator

from wizard import kinds
from wizard.clusters.kinds import POD, Object
from wizard.clusters.port import Cluster
from wizard.clusters.typed import kubectl
from wizard.engine.step import Difference, Done, Job, Kind, Needed, Probe, Step
from wizard.istio.proxies import INJECTED, PROXY, control_plane_version, outdated
from wizard.istio.versions import minor_of
from wizard.mesh import model
from wizard.mesh.model import GATEWAY_NAME, SYSTEM_NAMESPACE
from wizard.messages import counted, joined, msg
from wizard.objects.pods import is_going, is_pod_of
from wizard.steps.sample import sample_deployments
from wizard.text import listing, one_line, quoted
from wizard.world import World

_RESTARTED = ("Deployment", "StatefulSet", "DaemonSet")  # what `kubectl rollout restart` knows
_SHOWN = 5


class Proxies(Step):
    """Every proxy in the cluster is of the control plane's minor version."""

    kind = Kind("proxies")
    waits = True

    def __init__(self, mesh: model.Mesh, cluster: model.Cluster) -> None:
        super().__init__(
            msg("Proxies of Istio's version"), cluster=cluster.name, needs=(kinds.INSTALL.id(cluster.name),)
        )
        self.mesh = mesh
        self.member = cluster

    def wanted(self) -> object:
        return self.mesh.istio.version

    def probe(self, world: World) -> Probe:
        cluster = world.cluster(self.cluster)
        if not control_plane_version(cluster, self.mesh):
            return Needed((Difference(self.title, "", msg("no Istio yet"), str(self.mesh.istio.version)),))
        differences = self._differences(cluster)
        return Needed(tuple(differences)) if differences else Done()

    def apply(self, world: World, job: Job) -> None:
        cluster = world.cluster(self.cluster)

        def look() -> tuple[bool | None, str]:
            left = self._differences(cluster)
            objects = listing(each.object for each in left[:_SHOWN])
            return (None if left else True), msg("still old: {objects}", objects=objects)

        left = self._differences(cluster)
        if left:
            told = listing(each.object for each in left[:_SHOWN])
            more = len(left) - _SHOWN
            if more > 0:
                told = counted("{objects}, and {count} more", "{objects}, and {count} more", more, objects=told)
            what = msg(
                "{cluster}: proxies of another minor version than Istio {version}: {objects}",
                cluster=self.cluster, version=str(self.mesh.istio.version), objects=told,
            )  # fmt: skip
            restart = msg("Restart what they belong to, when it may be:")
            job.person(what, joined((restart, *self._restarts(cluster))), look)

    def _differences(self, cluster: Cluster) -> list[Difference]:
        minor = minor_of(str(self.mesh.istio.version)) or (0, 0)
        wanted = f"{minor[0]}.{minor[1]}"
        return [
            Difference(
                one_line(msg("{kind} {name} in {namespace}", kind=kind, name=name, namespace=namespace)), PROXY, version,
                f"{wanted}: {self._restart(kind, name, namespace)}", transient=True,
            )
            for (kind, name, namespace), version in self._old(cluster).items()
        ]  # fmt: skip

    def _restarts(self, cluster: Cluster) -> list[str]:
        return [self._restart(*workload) for workload in self._old(cluster)]

    def _restart(self, kind: str, name: str, namespace: str) -> str:
        at = f"{kubectl(self.member)} -n {quoted(namespace)}"
        if kind in _RESTARTED:
            return f"{at} rollout restart {quoted(f'{kind.lower()}/{name}')}"
        return f"{at} delete pod {quoted(name)}"

    def _old(self, cluster: Cluster) -> dict[tuple[str, str, str], str]:
        """(kind, name, namespace) of what has Pods with another proxy → its minor version."""
        return dict(sorted(self._found(cluster)))

    def _found(self, cluster: Cluster) -> Iterator[tuple[tuple[str, str, str], str]]:
        for pod in cluster.objects(POD, labels=INJECTED):
            ended = is_going(pod) or (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed")
            version = "" if ended else outdated(pod, self.mesh)
            if version and not self._is_ours(pod):
                yield _workload(pod), version

    def _is_ours(self, pod: Object) -> bool:
        if self.mesh.adopted:
            return False
        namespace = pod["metadata"].get("namespace")
        if namespace == SYSTEM_NAMESPACE and is_pod_of(pod, GATEWAY_NAME):
            return True
        ours = sample_deployments(self.mesh, self.member.name)
        return namespace == self.mesh.verify.namespace and any(is_pod_of(pod, name) for name in ours)


def _workload(pod: Object) -> tuple[str, str, str]:
    """(kind, name, namespace) of what makes this Pod; of the Pod itself where that is nothing that can be restarted."""
    metadata = pod["metadata"]
    namespace = str(metadata.get("namespace", ""))
    for owner in metadata.get("ownerReferences") or []:
        kind, name = str(owner.get("kind")), str(owner.get("name"))
        ending = f"-{(metadata.get('labels') or {}).get('pod-template-hash', '')}"
        if kind == "ReplicaSet" and len(ending) > 1 and name.endswith(ending):
            return "Deployment", name.removesuffix(ending), namespace
        if kind in _RESTARTED:
            return kind, name, namespace
    return "Pod", str(metadata["name"]), namespace
