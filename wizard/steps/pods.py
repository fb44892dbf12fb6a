"""What Deployments and Pods tell of why they are not ready."""

from __future__ import annotations

from wizard.clusters.kinds import POD, Object
from wizard.clusters.port import Cluster
from wizard.text import one_line

_PULL_TROUBLE = {"ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull"}


def available(deployment: Object) -> bool:
    """Whether the Deployment's current generation has at least one available Pod."""
    status = deployment.get("status") or {}
    current = status.get("observedGeneration", 0) >= deployment["metadata"].get("generation", 0)
    return bool(current and status.get("availableReplicas", 0) >= 1 and status.get("updatedReplicas", 0) >= 1)


def is_pod_of(pod: Object, deployment: str) -> bool:
    """Whether the Deployment of this name, in the Pod's namespace, made the Pod: by a ReplicaSet named `deployment-hash`."""
    metadata = pod["metadata"]
    replica_set = f"{deployment}-{(metadata.get('labels') or {}).get('pod-template-hash', '')}"
    return any(owner.get("name") in (deployment, replica_set) for owner in metadata.get("ownerReferences") or [])


def is_going(pod: Object) -> bool:
    """Whether the Pod was deleted and only ends yet."""
    return bool(pod["metadata"].get("deletionTimestamp"))


def image_trouble(cluster: Cluster, namespace: str, labels: str = "") -> str:
    """The sentence that an image cannot be pulled in this namespace, empty where all can."""
    for pod in cluster.objects(POD, namespace, labels):
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
