"""Control plane and east-west gateway by one `istioctl install` per cluster, and the wait for istiod that others build on.

What was installed is kept in the cluster, in ConfigMap `meshwizard`: a run with no local state compares with that, field by
field. It also holds which CRDs were there before, so that undo leaves those alone.
"""

from __future__ import annotations

import hashlib
import shlex
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from wizard import yamltext
from wizard.clusters.kinds import (
    CONFIG_MAP,
    CRD,
    DEPLOYMENT,
    MUTATING_WEBHOOK,
    POD,
    SERVICE,
    Object,
    Ref,
)
from wizard.clusters.port import Cluster
from wizard.engine.step import Command, Conflict, Difference, Done, Job, Needed, Probe, Step, World
from wizard.errors import Failed, Unreachable
from wizard.istio.operator import OPERATOR_NAME, mesh_networks, operator_of, operator_yaml
from wizard.mesh import model
from wizard.mesh.model import GATEWAY_NAME, GATEWAY_TLS_PORT, SYSTEM_NAMESPACE
from wizard.steps import removal
from wizard.steps.declared import kubectl, put
from wizard.steps.ownership import ISTIO_OWNER, MESH, annotation, differing, label
from wizard.text import duration, one_line

RECORD = Ref(CONFIG_MAP, "meshwizard", SYSTEM_NAMESPACE)
ISTIOD = Ref(DEPLOYMENT, "istiod", SYSTEM_NAMESPACE)
GATEWAY = Ref(DEPLOYMENT, GATEWAY_NAME, SYSTEM_NAMESPACE)
GATEWAY_SERVICE = Ref(SERVICE, GATEWAY_NAME, SYSTEM_NAMESPACE)
ISTIO_CONFIG = Ref(CONFIG_MAP, "istio", SYSTEM_NAMESPACE)
INJECTOR = Ref(MUTATING_WEBHOOK, "istio-sidecar-injector")

INSTALL_SECONDS = 900
ISTIOD_SECONDS = 420
LOOK_EVERY = 3.0
SILENT_SECONDS = 40  # how long an API server may stay silent during the install before it is given up
PULL_SECONDS = 25  # how long an image may fail to be pulled before the install is given up
_PULL_TROUBLE = {"ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull"}


class Install(Step):
    """`istioctl install` of the cluster's IstioOperator."""

    def __init__(self, mesh: model.Mesh, cluster: model.Cluster) -> None:
        super().__init__(
            f"{cluster.name}/install", "Istio and east-west gateway",
            cluster=cluster.name, needs=(f"{cluster.name}/cacerts",),
        )  # fmt: skip
        self.mesh = mesh
        self.member = cluster

    def wanted(self) -> Any:
        return {"operator": operator_yaml(self.mesh, self.member), "overlays": self._overlays()}

    def probe(self, world: World) -> Probe:
        cluster = world.cluster(self.cluster)
        istiod = cluster.get(ISTIOD)
        conflict = self._conflict(cluster, istiod)
        if conflict:
            return conflict
        record = cluster.get(RECORD)
        if istiod is None and record is None:
            return Needed((Difference(f"Istio {self.mesh.istio.version}", "", None, "to be installed"),))
        needed = [*self._recorded(record), *self._standing(cluster, istiod)]
        return Needed(tuple(needed)) if needed else Done(f"Istio {self.mesh.istio.version}")

    def apply(self, world: World, job: Job) -> None:
        cluster = world.cluster(self.cluster)
        self._record_before(cluster)
        operator = operator_yaml(self.mesh, self.member)
        watch = _Watch(cluster, job)
        try:
            world.istioctl.install(
                self.member, operator, self.mesh.istio.overlays,
                say=job.say, cancelled=watch.look, seconds=INSTALL_SECONDS,
            )  # fmt: skip
        except Failed as failure:
            raise watch.explained(failure) from failure
        except BaseException:
            if watch.trouble:
                raise watch.trouble from None
            raise
        before = (cluster.get(RECORD) or {}).get("data", {}).get("crds-before", "")
        put(cluster, self._record(before, done=True), self.mesh.name)

    def undo(self, world: World, job: Job) -> None:
        cluster = world.cluster(self.cluster)
        record = cluster.get(RECORD)
        if record is None or annotation(record, MESH) != self.mesh.name:
            return
        removal.remove_istio(cluster, set(record["data"].get("crds-before", "").split()), job)
        cluster.delete(RECORD)

    def commands(self) -> list[Command]:
        kubeconfig = f"--kubeconfig={shlex.quote(str(self.member.kubeconfig))} " if self.member.kubeconfig else ""
        overlays = "".join(f"-f {shlex.quote(str(path))} " for path in self.mesh.istio.overlays)
        return [
            Command(
                f"istioctl install {kubeconfig}--context={shlex.quote(self.member.context)} -y {overlays}-f - <<'EOF'\n"
                f"{operator_yaml(self.mesh, self.member)}EOF",
                "Control plane, east-west gateway and meshNetworks at once; the name keeps a later install from pruning.",
            )
        ]

    def _overlays(self) -> list[str]:
        return [hashlib.sha256(Path(path).read_bytes()).hexdigest() for path in self.mesh.istio.overlays]

    def _record(self, before: str, *, done: bool) -> Object:
        data = {"crds-before": before}
        if done:
            data |= {
                "operator.yaml": operator_yaml(self.mesh, self.member),
                "overlays": "\n".join(self._overlays()),
                "version": str(self.mesh.istio.version),
            }
        return {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": RECORD.name, "namespace": RECORD.namespace},
            "data": data,
        }

    def _record_before(self, cluster: Cluster) -> None:
        """What stood before the first install, once: a repeated install must not take our own CRDs for older ones."""
        if cluster.get(RECORD) is None:
            crds = [
                item["metadata"]["name"]
                for item in cluster.objects(CRD)
                if item["metadata"]["name"].endswith("istio.io")
            ]
            put(cluster, self._record("\n".join(sorted(crds)), done=False), self.mesh.name)

    def _conflict(self, cluster: Cluster, istiod: Object | None) -> Conflict | None:
        owner = label(istiod, ISTIO_OWNER)
        if istiod is not None and owner != OPERATOR_NAME:
            by = f"IstioOperator {one_line(owner)}" if owner and owner != "unknown" else "another installer"
            return Conflict(
                f"{cluster.name}: an Istio installed by {by} stands in {SYSTEM_NAMESPACE} already",
                "Uninstall it first, or leave this cluster out: meshwizard does not overwrite what it did not make.",
            )
        mesh = annotation(cluster.get(RECORD), MESH)
        if mesh is not None and mesh != self.mesh.name:
            return Conflict(
                f"{cluster.name} belongs to mesh {one_line(mesh)} already",
                f"Give the mesh file that name, or first run: meshwizard uninstall {one_line(mesh)}",
            )
        return None

    def _recorded(self, record: Object | None) -> list[Difference]:
        """Where the recorded install differs from the wanted one, field by field."""
        data = (record or {}).get("data") or {}
        name = f"IstioOperator {OPERATOR_NAME}"
        if "operator.yaml" not in data:
            return [Difference(name, "", "not completed", "to be installed")]
        try:
            recorded = yamltext.load(data["operator.yaml"])
        except yaml.YAMLError:
            recorded = {}
        wanted = operator_of(self.mesh, self.member)
        found = {path: (old, new) for path, old, new in differing(wanted, recorded)}
        found |= {path: (old, new) for path, new, old in differing(recorded, wanted) if path not in found}
        told = [
            Difference(
                name, ".".join(path), None if old is None else one_line(old), None if new is None else one_line(new)
            )
            for path, (old, new) in found.items()
        ]
        if data.get("overlays", "") != "\n".join(self._overlays()):
            told.append(Difference(name, "overlays", "other content", "that of the files"))
        return told

    def _standing(self, cluster: Cluster, istiod: Object | None) -> list[Difference]:
        """Where what stands in the cluster differs from what was installed."""
        told = []
        for ref, live in ((ISTIOD, istiod), (GATEWAY, cluster.get(GATEWAY))):
            if live is None:
                told.append(Difference(str(ref), "", None, "to be installed"))
            elif not available(live):
                told.append(Difference(str(ref), "status.availableReplicas", "0", "at least 1"))
        service = cluster.get(GATEWAY_SERVICE)
        found = node_port(service)
        if found != self.member.gateway.port:
            told.append(
                Difference(
                    str(GATEWAY_SERVICE), f"nodePort of {GATEWAY_TLS_PORT}",
                    None if found is None else str(found), str(self.member.gateway.port),
                )
            )  # fmt: skip
        config = cluster.get(ISTIO_CONFIG)
        told += self._networks(config)
        if cluster.get(INJECTOR) is None:
            told.append(Difference(str(INJECTOR), "", None, "to be installed"))
        return told

    def _networks(self, config: Object | None) -> list[Difference]:
        if config is None:
            return [Difference(str(ISTIO_CONFIG), "", None, "to be installed")]
        try:
            networks = (yamltext.load(config["data"].get("meshNetworks", "")) or {}).get("networks") or {}
        except (yaml.YAMLError, AttributeError):
            networks = {}
        wanted = mesh_networks(self.mesh)
        told = [
            Difference(
                str(ISTIO_CONFIG),
                f"meshNetworks.{'.'.join(path)}",
                None if old is None else one_line(old),
                one_line(new),
            )
            for path, old, new in differing(wanted, networks)
        ]
        told += [
            Difference(str(ISTIO_CONFIG), f"meshNetworks.{one_line(name)}", "present", None)
            for name in networks
            if name not in wanted
        ]
        return told


class IstiodReady(Step):
    """istiod answers and injects, while `istioctl install` may still wait for the gateway: what needs only istiod starts."""

    def __init__(self, mesh: model.Mesh, cluster: model.Cluster) -> None:
        super().__init__(
            f"{cluster.name}/istiod", "istiod answers and injects",
            cluster=cluster.name, needs=(f"{cluster.name}/cacerts",), joins=(f"{cluster.name}/install",),
        )  # fmt: skip
        self.mesh = mesh
        self.member = cluster

    def probe(self, world: World) -> Probe:
        seen = self._seen(world.cluster(self.cluster))
        return Needed((Difference(str(ISTIOD), "", seen, "available, its webhook ready"),)) if seen else Done()

    def apply(self, world: World, job: Job) -> None:
        cluster = world.cluster(self.cluster)

        def look() -> tuple[bool | None, str]:
            seen = self._seen(cluster)
            return (None if seen else True), seen

        job.wait("istiod to answer and inject", look, seconds=ISTIOD_SECONDS, every=0.4)

    def commands(self) -> list[Command]:
        return [
            Command(
                f"{kubectl(self.member)} -n {SYSTEM_NAMESPACE} rollout status deployment/istiod --timeout={ISTIOD_SECONDS}s"
            )
        ]

    def _seen(self, cluster: Cluster) -> str:
        """What is missing; empty where nothing is."""
        istiod = cluster.get(ISTIOD)
        if istiod is None:
            return "no Deployment istiod yet"
        if not available(istiod):
            return pod_trouble(cluster, SYSTEM_NAMESPACE, "app=istiod") or "istiod is starting"
        injector = cluster.get(INJECTOR)
        hooks = (injector or {}).get("webhooks") or []
        if not hooks or not all(hook.get("clientConfig", {}).get("caBundle") for hook in hooks):
            return "the injection webhook has no certificate yet"
        return ""


class _Watch:
    """Looks after an install from outside istioctl, which waits for five minutes where a glance tells that it is in vain."""

    def __init__(self, cluster: Cluster, job: Job, clock: Callable[[], float] = time.monotonic) -> None:
        self._cluster = cluster
        self._job = job
        self._clock = clock
        self._next = clock() + LOOK_EVERY
        self._silent_since: float | None = None
        self._pull_since: float | None = None
        self.trouble: Failed | None = None

    def look(self) -> bool:
        """Whether the install should be given up. Cheap between looks; asks the cluster every few seconds."""
        if self.trouble or self._job.cancelled():
            return True
        now = self._clock()
        if now < self._next:
            return False
        try:
            trouble = image_trouble(self._cluster, SYSTEM_NAMESPACE)
            self._silent_since = None
        except Unreachable as silent:
            self._silent_since = self._silent_since or now
            if now - self._silent_since >= SILENT_SECONDS:
                self.trouble = Unreachable(f"{silent.what} (for {duration(now - self._silent_since)})", silent.remedy)
            trouble = ""
        except Failed:
            trouble = ""
        self._pull_since = (self._pull_since or now) if trouble else None
        if trouble and self._pull_since is not None and now - self._pull_since >= PULL_SECONDS:
            self.trouble = Failed(
                trouble, "Check istio.hub and that the nodes reach it; or load the image onto the nodes."
            )
        self._next = self._clock() + LOOK_EVERY
        return self.trouble is not None

    def explained(self, failure: Failed) -> Failed:
        """istioctl's failure, or the cause that stands behind it where the cluster tells one."""
        if self.trouble:
            return self.trouble
        try:
            cause = image_trouble(self._cluster, SYSTEM_NAMESPACE) or pod_trouble(self._cluster, SYSTEM_NAMESPACE)
        except Unreachable as silent:
            return silent
        except Failed:
            cause = ""
        return Failed(f"{cause} ({failure.what})", failure.remedy) if cause else failure


def available(deployment: Object) -> bool:
    """Whether the Deployment's current generation has at least one available Pod."""
    status = deployment.get("status") or {}
    current = status.get("observedGeneration", 0) >= deployment["metadata"].get("generation", 0)
    return bool(current and status.get("availableReplicas", 0) >= 1 and status.get("updatedReplicas", 0) >= 1)


def node_port(service: Object | None) -> int | None:
    """The NodePort of the gateway's TLS port, None where there is none."""
    for port in ((service or {}).get("spec") or {}).get("ports") or []:
        if port.get("port") == GATEWAY_TLS_PORT:
            found = port.get("nodePort")
            return int(found) if found else None
    return None


def image_trouble(cluster: Cluster, namespace: str) -> str:
    """The sentence that an image cannot be pulled in this namespace, empty where all can."""
    for pod in cluster.objects(POD, namespace):
        for status in _containers(pod):
            waiting = (status.get("state") or {}).get("waiting") or {}
            if waiting.get("reason") in _PULL_TROUBLE:
                message = one_line(waiting.get("message", ""), 300)
                return (
                    f"{cluster.name}: image {one_line(status.get('image', '?'))} of pod {one_line(pod['metadata']['name'])} "
                    f"cannot be pulled: {waiting['reason']} {message}"
                )
    return ""


def pod_trouble(cluster: Cluster, namespace: str, labels: str = "") -> str:
    """The first thing that keeps a pod of this namespace from being ready, empty where nothing tells."""
    for pod in cluster.objects(POD, namespace, labels):
        name = one_line(pod["metadata"]["name"])
        for condition in (pod.get("status") or {}).get("conditions") or []:
            if condition.get("type") == "PodScheduled" and condition.get("status") == "False":
                return f"pod {name} cannot be scheduled: {one_line(condition.get('message', ''))}"
        for status in _containers(pod):
            waiting = (status.get("state") or {}).get("waiting") or {}
            if waiting.get("reason") and waiting["reason"] not in ("ContainerCreating", "PodInitializing"):
                return f"pod {name}: {one_line(waiting['reason'])} {one_line(waiting.get('message', ''))}"
    return ""


def _containers(pod: Object) -> list[Object]:
    status = pod.get("status") or {}
    return [*(status.get("initContainerStatuses") or []), *(status.get("containerStatuses") or [])]


__all__ = ["Install", "IstiodReady", "available", "image_trouble", "node_port", "pod_trouble"]
