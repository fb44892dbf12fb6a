"""The sample that proves the mesh: helloworld, one version per cluster so that an answer tells where it came from, and a curl
client. Our own manifests; the images come from the chosen hub.
"""

from __future__ import annotations

from wizard.clusters.kinds import DEPLOYMENT, POD, Object, Ref
from wizard.clusters.port import Cluster
from wizard.engine.step import Command, Difference, Done, Job, Needed, Probe, World
from wizard.errors import Failed
from wizard.mesh import model
from wizard.mesh.model import Mesh
from wizard.steps.declared import Declared, kubectl
from wizard.steps.install import available, image_trouble, pod_trouble
from wizard.text import listing, one_line

SERVICE = "helloworld"
CLIENT = "curl"
PORT = 5000
HELLO_TAG = "1.0"
CURL_TAG = "8.16.0"
SIDECAR = "istio-proxy"
READY_SECONDS = 180
_UPSTREAM_HUB = "docker.io/istio"


def curl_image(mesh: Mesh) -> str:
    """The client's image: as chosen, else curl's own beside Istio's public hub, else `curl` in the private one."""
    if mesh.verify.curl_image:
        return mesh.verify.curl_image
    repository = "docker.io/curlimages/curl" if mesh.verify.hub == _UPSTREAM_HUB else f"{mesh.verify.hub}/curl"
    return f"{repository}:{CURL_TAG}"


class Sample(Declared):
    """Namespace, Service, one helloworld version and the client, with their sidecars."""

    def __init__(self, mesh: Mesh, cluster: model.Cluster) -> None:
        super().__init__(
            f"{cluster.name}/sample", f"Sample {mesh.sample_version(cluster.name)} and client", mesh, cluster,
            needs=(f"{cluster.name}/istiod",),
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
                "metadata": {"name": namespace, "labels": {"istio-injection": "enabled"}},
            },
            {
                # The same in every cluster: a name is resolved where it is asked.
                "apiVersion": "v1",
                "kind": "Service",
                "metadata": {"name": SERVICE, "namespace": namespace, "labels": {"app": SERVICE, "service": SERVICE}},
                "spec": {"ports": [{"name": "http", "port": PORT, "protocol": "TCP"}], "selector": {"app": SERVICE}},
            },
            _deployment(namespace, f"{SERVICE}-{self.version}", {"app": SERVICE, "version": self.version}, hello),
            _deployment(namespace, CLIENT, {"app": CLIENT}, client),
        ]

    def probe(self, world: World) -> Probe:
        probe = super().probe(world)
        if not isinstance(probe, Done):
            return probe
        cluster = world.cluster(self.cluster)
        needed = [
            Difference(str(ref), "status.availableReplicas", "0", "at least 1")
            for ref in self._deployments()
            if not available(cluster.get(ref) or {"metadata": {}})
        ]
        needed += [
            Difference(f"Pod {one_line(pod['metadata']['name'])}", "containers", "no sidecar", f"with {SIDECAR}")
            for pod in self._pods(cluster)
            if not has_sidecar(pod)
        ]
        return Needed(tuple(needed)) if needed else Done(f"helloworld {self.version}")

    def settle(self, world: World, job: Job) -> None:
        cluster = world.cluster(self.cluster)
        for pod in self._pods(cluster):
            # Made before injection worked; its Deployment makes another.
            if not has_sidecar(pod):
                cluster.delete(Ref(POD, pod["metadata"]["name"], self.mesh.verify.namespace))

        def look() -> tuple[bool | None, str]:
            waiting = [ref.name for ref in self._deployments() if not available(cluster.get(ref) or {"metadata": {}})]
            if not waiting and all(has_sidecar(pod) for pod in self._pods(cluster)):
                return True, ""
            trouble = image_trouble(cluster, self.mesh.verify.namespace)
            seen = pod_trouble(cluster, self.mesh.verify.namespace) or f"not available yet: {listing(waiting)}"
            return None, trouble or seen

        job.wait(
            "the sample to be ready", look, seconds=READY_SECONDS, every=0.4,
            remedy=f"Look at it: {kubectl(self.member)} -n {self.mesh.verify.namespace} describe pods",
        )  # fmt: skip

    def commands(self) -> list[Command]:
        waits = "\n".join(
            f"{kubectl(self.member)} -n {self.mesh.verify.namespace} rollout status deployment/{ref.name} --timeout=180s"
            for ref in self._deployments()
        )
        return [*super().commands(), Command(waits)]

    def _deployments(self) -> list[Ref]:
        names = (f"{SERVICE}-{self.version}", CLIENT)
        return [Ref(DEPLOYMENT, name, self.mesh.verify.namespace) for name in names]

    def _pods(self, cluster: Cluster) -> list[Object]:
        pods = cluster.objects(POD, self.mesh.verify.namespace, f"app in ({SERVICE},{CLIENT})")
        return [pod for pod in pods if not pod["metadata"].get("deletionTimestamp")]


def has_sidecar(pod: Object) -> bool:
    """Whether istiod injected this pod: as a container, or as an init container that keeps running."""
    spec = pod.get("spec") or {}
    containers = [*(spec.get("containers") or []), *(spec.get("initContainers") or [])]
    return any(container.get("name") == SIDECAR for container in containers)


def client_pod(cluster: Cluster, namespace: str) -> Ref:
    """A running client pod with its sidecar. Failed where there is none."""
    for pod in cluster.objects(POD, namespace, f"app={CLIENT}"):
        running = (pod.get("status") or {}).get("phase") == "Running"
        if running and has_sidecar(pod) and not pod["metadata"].get("deletionTimestamp"):
            return Ref(POD, pod["metadata"]["name"], namespace)
    raise Failed(
        f"{cluster.name}: no {CLIENT} pod with a sidecar runs in namespace {namespace}", "Run `meshwizard apply` again."
    )


def _deployment(namespace: str, name: str, labels: dict[str, str], container: Object) -> Object:
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": namespace, "labels": labels},
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {"containers": [container], "terminationGracePeriodSeconds": 1},
            },
        },
    }
