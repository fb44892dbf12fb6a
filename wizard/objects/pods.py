"""What Deployments and Pods tell of themselves; why they are not ready, `unready` tells."""

from __future__ import annotations

from wizard.clusters.kinds import Object


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


def is_ready(pod: Object) -> bool:
    """Whether the Pod's Ready condition is True."""
    conditions = (pod.get("status") or {}).get("conditions") or []
    return any(condition["type"] == "Ready" and condition.get("status") == "True" for condition in conditions)
