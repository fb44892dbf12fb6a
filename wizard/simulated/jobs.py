"""What the Job controller does: a Pod per Job, its end, and the removal of what has ended long enough or took too long."""

from __future__ import annotations

from collections.abc import Callable

from wizard.clusters.kinds import JOB, POD, Object, Ref
from wizard.objects.pods import is_ready
from wizard.simulated.machine import Machine

MakePod = Callable[[Machine, Object, str, dict[str, str]], Object | None]


def run(machine: Machine, make_pod: MakePod) -> float | None:
    """One round. Gives the moment when the next thing is due, None where nothing is. Deadlines are not scaled: they are
    there for when everything else fails.
    """
    due = [_job(machine, record.manifest, record.born, make_pod) for record in machine.store.all(JOB)]
    return min((moment for moment in due if moment is not None), default=None)


def _job(machine: Machine, job: Object, born: float, make_pod: MakePod) -> float | None:
    metadata, spec, now = job["metadata"], job["spec"], machine.pace.now()
    ref = Ref(JOB, metadata["name"], metadata["namespace"])
    if ended := machine.ended_at.get(metadata["uid"]):
        ttl = spec.get("ttlSecondsAfterFinished")
        if ttl is None:
            return None
        if now < ended + ttl:
            return float(ended + ttl)
        del machine.ended_at[metadata["uid"]]
        machine.store.remove(ref)
        return None
    pods = [
        record.manifest
        for record in machine.store.all(POD, metadata["namespace"], f"job-name={metadata['name']}")
        if any(
            owner.get("uid") == metadata["uid"] for owner in record.manifest["metadata"].get("ownerReferences") or []
        )
    ]
    deadline = born + spec["activeDeadlineSeconds"] if spec.get("activeDeadlineSeconds") else None
    if deadline is not None and now >= deadline:
        for pod in pods:
            machine.store.remove(Ref(POD, pod["metadata"]["name"], pod["metadata"]["namespace"]))
        return _end(machine, job, _LATE, {"failed": len(pods)})
    if not pods:
        name, uid = metadata["name"], metadata["uid"]
        labels = {
            "job-name": name, "batch.kubernetes.io/job-name": name,
            "controller-uid": uid, "batch.kubernetes.io/controller-uid": uid,
        }  # fmt: skip
        made = make_pod(machine, job, "", labels)
        if made is None:
            return machine.pace.due(0.5)
        pods = [made]
    finished = _finished(machine, pods[0])
    if finished is not None and now >= finished:
        machine.store.update({**pods[0], "status": {**pods[0]["status"], **_SUCCEEDED}}, "kubelet")
        return _end(
            machine, job, {"type": "Complete", "status": "True", "reason": "CompletionsReached"}, {"succeeded": 1}
        )
    _tell(machine, job, {"active": 1, **({"ready": 1} if is_ready(pods[0]) else {"ready": 0})})
    return min((moment for moment in (deadline, finished) if moment is not None), default=None)


_LATE = {
    "type": "Failed",
    "status": "True",
    "reason": "DeadlineExceeded",
    "message": "Job was active longer than specified deadline",
}
_SUCCEEDED = {
    "phase": "Succeeded",
    "conditions": [
        {"type": "PodScheduled", "status": "True"},
        {"type": "Ready", "status": "False", "reason": "PodCompleted"},
    ],
}


def _finished(machine: Machine, pod: Object) -> float | None:
    """When the Pod's command ends by itself; None where it does not, or does not run yet."""
    command = [str(word) for container in pod["spec"]["containers"] for word in container.get("command") or []]
    if not is_ready(pod):
        return None
    if len(command) == 2 and command[0].rpartition("/")[2] == "sleep" and command[1].isdecimal():
        return machine.ready_at[pod["metadata"]["namespace"], pod["metadata"]["name"]] + int(command[1])
    return machine.pace.now() if command and command[0].rpartition("/")[2] in ("true", "echo") else None


def _end(machine: Machine, job: Object, condition: Object, counts: Object) -> float | None:
    machine.ended_at[job["metadata"]["uid"]] = now = machine.pace.now()
    _tell(machine, job, {"conditions": [condition], **counts})
    ttl = job["spec"].get("ttlSecondsAfterFinished")
    return None if ttl is None else now + float(ttl)


def _tell(machine: Machine, job: Object, status: Object) -> None:
    if job.get("status") != status:
        machine.store.update({**job, "status": status}, "kube-controller-manager")
