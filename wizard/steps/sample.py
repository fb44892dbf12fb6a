"""The sample that proves the mesh: helloworld, one version per cluster so that an answer tells where it came from, and a curl
client. Our own manifests; the images come from the chosen hub.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from wizard import kinds
from wizard.clusters.kinds import DEPLOYMENT, NAMESPACE, POD, SECRET, Object, Ref, ref_of
from wizard.clusters.port import Cluster, Right
from wizard.clusters.typed import kubectl
from wizard.engine.step import Command, Difference, Done, Job, Needed, Probe
from wizard.istio import names
from wizard.istio.proxies import PROXY, has_sidecar, outdated
from wizard.mesh import model
from wizard.mesh.model import Mesh
from wizard.mesh.sample import CLIENT, PORT, SERVICE
from wizard.messages import joined, msg
from wizard.objects.ownership import CREATED, MESH, annotation, is_of, label
from wizard.objects.placing import await_ended, put_missing, take_back
from wizard.objects.pods import available, is_going, is_pod_of, is_ready
from wizard.probes.curlpod import curl_image
from wizard.probes.unready import Unready
from wizard.steps import pullsecret
from wizard.steps.adopted import sample_of_others
from wizard.steps.declared import Declared
from wizard.text import listing, one_line, quoted
from wizard.world import World

HELLO_TAG = "1.0"
READY_SECONDS = 180
REPLACING_PAUSE_SECONDS = 1.0  # after the first attempt


def sample_deployments(mesh: Mesh, cluster: str) -> tuple[str, str]:
    """The names of the sample's Deployments in this cluster."""
    return f"{SERVICE}-{mesh.sample_version(cluster)}", CLIENT


class Sample(Declared):
    """Namespace, Service, one helloworld version and the client, with their sidecars."""

    kind = kinds.SAMPLE
    rights = (Right("create", NAMESPACE),)

    def __init__(self, mesh: Mesh, cluster: model.Cluster) -> None:
        super().__init__(
            msg("Sample {version} and client", version=mesh.sample_version(cluster.name)), mesh, cluster,
            needs=(
                kinds.ISTIOD.id(cluster.name),
                *((kinds.PULL_SECRET.id(cluster.name),) if mesh.istio.pull_secret else ()),
            ),
        )  # fmt: skip
        self.version = mesh.sample_version(cluster.name)

    def manifests(self) -> list[Object]:
        namespace = self.mesh.verify.namespace
        policy = self.mesh.istio.image_pull_policy
        hello = {
            "name": SERVICE,
            "image": f"{self.mesh.verify.hub}/examples-helloworld-v1:{HELLO_TAG}",
            "imagePullPolicy": policy,
            "env": [{"name": "SERVICE_VERSION", "value": self.version}],
            "ports": [{"containerPort": PORT, "protocol": "TCP"}],
            "resources": {"requests": {"cpu": "20m"}},
        }
        client = {
            "name": CLIENT,
            "image": curl_image(self.mesh),
            "imagePullPolicy": policy,
            "command": ["/bin/sleep", "infinity"],
            "resources": {"requests": {"cpu": "10m"}},
        }
        return [
            {
                "apiVersion": "v1",
                "kind": "Namespace",
                "metadata": {"name": namespace, "labels": names.injection_labels(self.mesh)},
            },
            {
                # The same in every cluster: a name is resolved where it is asked.
                "apiVersion": "v1",
                "kind": "Service",
                "metadata": {"name": SERVICE, "namespace": namespace, "labels": {"app": SERVICE, "service": SERVICE}},
                "spec": {"ports": [{"name": "http", "port": PORT, "protocol": "TCP"}], "selector": {"app": SERVICE}},
            },
            self._deployment(f"{SERVICE}-{self.version}", {"app": SERVICE, "version": self.version}, hello),
            self._deployment(CLIENT, {"app": CLIENT}, client),
        ]

    def apply(self, world: World, job: Job) -> None:
        cluster = world.cluster(self.cluster)
        for manifest in self.manifests():
            job.check()
            await_ended(cluster, ref_of(manifest), job)
            put_missing(cluster, manifest, self.mesh.name)
            if manifest["kind"] == "Namespace":
                pullsecret.copy(cluster, self.mesh, self.mesh.verify.namespace)
        for ref in self._outdated(cluster):
            take_back(cluster, ref, self.mesh.name, job)
        self.settle(world, job)

    def undo(self, world: World, job: Job) -> None:
        cluster = world.cluster(self.cluster)
        for ref in self._outdated(cluster):
            take_back(cluster, ref, self.mesh.name, job)
        if self.mesh.istio.pull_secret:
            take_back(
                cluster, Ref(SECRET, self.mesh.istio.pull_secret, self.mesh.verify.namespace), self.mesh.name, job
            )
        super().undo(world, job)

    def probe(self, world: World) -> Probe:
        if self.mesh.adopted and (theirs := sample_of_others(world.cluster(self.cluster), self.mesh, self.member)):
            return theirs
        probe = super().probe(world)
        if not isinstance(probe, Done):
            return probe
        cluster = world.cluster(self.cluster)
        needed = pullsecret.differences(cluster, self.mesh, self.mesh.verify.namespace)
        needed += [Difference(str(ref), "", msg("of an earlier version"), None) for ref in self._outdated(cluster)]
        waiting, bare = self._unready(cluster)
        needed += [
            Difference(str(ref), "status.availableReplicas", "0", msg("at least 1"), transient=True) for ref in waiting
        ]
        needed += [
            Difference(
                f"Pod {one_line(pod['metadata']['name'])}",
                "containers",
                self._sidecar(pod),
                msg("with {container}", container=PROXY),
                transient=True,
            )
            for pod in bare
        ]
        return Needed(tuple(needed)) if needed else Done(f"helloworld {self.version}")

    def settle(self, world: World, job: Job) -> None:
        cluster = world.cluster(self.cluster)
        replacing = _Replacing(cluster)
        unready = Unready(cluster, self._deployments, self.member, job.say)

        def look() -> tuple[bool | None, str]:
            waiting, bare = self._unready(cluster)
            if not waiting and not bare:
                return True, ""
            replacing.look(bare)
            return None, (unready.check() if waiting else "") or _told(waiting, bare)

        describe = f"{kubectl(self.member)} -n {self.mesh.verify.namespace} describe pods"
        job.wait(
            msg("the sample to be ready"), look, seconds=READY_SECONDS, every=0.4,
            remedy=msg("Look at it: {command}", command=describe),
        )  # fmt: skip

    def commands(self) -> list[Command]:
        waits = "\n".join(
            f"{kubectl(self.member)} -n {quoted(self.mesh.verify.namespace)} rollout status {quoted(f'deployment/{ref.name}')} "
            "--timeout=180s"
            for ref in self._deployments()
        )
        return [*super().commands(), Command(waits)]

    def _deployments(self) -> list[Ref]:
        names = sample_deployments(self.mesh, self.member.name)
        return [Ref(DEPLOYMENT, name, self.mesh.verify.namespace) for name in names]

    def _outdated(self, cluster: Cluster) -> list[Ref]:
        """What we made here for another version: this cluster had another place among the clusters then."""
        wanted = {ref.name for ref in self._deployments()}
        namespace = self.mesh.verify.namespace
        return [
            Ref(DEPLOYMENT, item["metadata"]["name"], namespace)
            for item in cluster.objects(DEPLOYMENT, namespace, f"app={SERVICE}")
            if annotation(item, CREATED) and is_of(item, self.mesh.name) and item["metadata"]["name"] not in wanted
        ]

    def _deployment(self, name: str, labels: dict[str, str], container: Object) -> Object:
        pod: Object = {"containers": [container], "terminationGracePeriodSeconds": 1}
        if self.mesh.istio.pull_secret:
            pod["imagePullSecrets"] = [{"name": self.mesh.istio.pull_secret}]
        if self.mesh.tolerations:
            pod["tolerations"] = [each.manifest() for each in self.mesh.tolerations]
        return {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": name, "namespace": self.mesh.verify.namespace, "labels": labels},
            "spec": {
                "replicas": 1,
                "selector": {"matchLabels": labels},
                "template": {"metadata": {"labels": labels}, "spec": pod},
            },
        }

    def _sidecar(self, pod: Object) -> str:
        """What is wrong with the Pod's sidecar; empty where nothing is. It keeps its version as long as the Pod lives."""
        if not has_sidecar(pod):
            return msg("no sidecar")
        version = outdated(pod, self.mesh)
        return msg("{container} of Istio {version}", container=PROXY, version=version) if version else ""

    def _unready(self, cluster: Cluster) -> tuple[list[Ref], list[Object]]:
        """(the Deployments of which no Pod serves, their Pods that were not injected, or by an older istiod)."""
        namespace = self.mesh.verify.namespace
        pods = [pod for pod in cluster.objects(POD, namespace, f"app in ({SERVICE},{CLIENT})") if not is_going(pod)]
        waiting: list[Ref] = []
        bare: list[Object] = []
        for ref in self._deployments():
            own = [pod for pod in pods if is_pod_of(pod, ref.name)]
            # Its status still counts, for a moment, a Pod that is gone; that of a Pod that came in its place does not.
            if not any(map(is_ready, own)) or not available(cluster.get(ref) or {"metadata": {}}):
                waiting.append(ref)
            bare += [pod for pod in own if self._sidecar(pod)]
        return waiting, bare


class _Replacing:
    """Deletes Pods that were made while nothing injected, so that their Deployments make others. There is such a moment even
    after istiod injects: at its end `istioctl install` switches the injection webhook off, before it makes that of the default
    tag. After an install that was killed in between, it lasts until the next one comes to it; so the pauses between attempts
    grow, each twice as long as the one before.
    """

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._pause = REPLACING_PAUSE_SECONDS
        self._next = time.monotonic()

    def look(self, bare: Sequence[Object]) -> None:
        """Delete these Pods, if it is time."""
        now = time.monotonic()
        if bare and now >= self._next:
            self._next = now + self._pause
            self._pause *= 2
            for pod in bare:
                self._cluster.delete(Ref(POD, pod["metadata"]["name"], pod["metadata"]["namespace"]))


def _told(waiting: Sequence[Ref], bare: Sequence[Object]) -> str:
    """What is not ready: of these Deployments no Pod serves, these Pods have not the sidecar that they should have."""
    said = [msg("not available yet: {names}", names=listing(ref.name for ref in waiting))] if waiting else []
    pods = [one_line(pod["metadata"]["name"]) for pod in bare if not has_sidecar(pod)]
    if pods:
        said.append(msg("without a sidecar: {pods}", pods=listing(pods)))
    pods = [one_line(pod["metadata"]["name"]) for pod in bare if has_sidecar(pod)]
    if pods:
        said.append(msg("with a sidecar of another version: {pods}", pods=listing(pods)))
    return joined(said, "; ")


def standing_version(cluster: Cluster, mesh: Mesh) -> str | None:
    """The version of this mesh's helloworld in this cluster; None where there is none, or more than one."""
    found = {
        label(item, "version")
        for item in cluster.objects(DEPLOYMENT, mesh.verify.namespace, f"app={SERVICE}")
        if annotation(item, CREATED) and annotation(item, MESH) == mesh.name
    }
    return found.pop() if len(found) == 1 else None
