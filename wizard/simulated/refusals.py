"""What keeps Pods from being made or from living in a simulated cluster: quotas, OpenShift's constraints, containers that die."""

from __future__ import annotations

import re
from dataclasses import dataclass

from wizard.clusters.kinds import CRD, DEPLOYMENT, EVENT, JOB, NAMESPACE, Object, Ref
from wizard.simulated.machine import Machine
from wizard.simulated.pace import suffix
from wizard.simulated.pods import containers

UID_RANGE = "openshift.io/sa.scc.uid-range"
_UIDS = "1000680000/10000"
_FIRST, _LAST = 1000680000, 1000689999
_DYING = re.compile(r"echo (?P<words>.*); exit (?P<code>[1-9]\d*)")
_DIED_AFTER = 10.0  # seconds of the first pause between two lives; each is twice as long as the one before
_LONGEST_PAUSE = 300.0


# -- Pods that are not let in


def refused(machine: Machine, pod: Object) -> str:
    """Why the API server takes no such Pod, in its words; empty where it does."""
    metadata = pod["metadata"]
    why = _by_constraints(pod) if machine.openshift else ""
    why = why or _by_quota(machine.quotas.get(metadata["namespace"], ""), pod)
    return f'pods "{metadata["name"]}" is forbidden: {why}' if why else ""


def _by_quota(limited: str, pod: Object) -> str:
    """A quota of these resources (`limits.cpu,limits.memory`) demands that every container says how much it takes of each."""
    told = []
    for resource in filter(None, limited.split(",")):
        part, _, what = resource.partition(".")
        bare = [each["name"] for each in containers(pod) if what not in ((each.get("resources") or {}).get(part) or {})]
        told += [f"must specify {resource} for: {','.join(bare)}"] if bare else []
    return f"failed quota: compute: {'; '.join(told)}" if told else ""


def _by_constraints(pod: Object) -> str:
    """Of the SecurityContextConstraints an account may use `restricted-v2` only: user and groups come from the namespace."""
    spec = pod["spec"]
    given = [("spec.securityContext.fsGroup", (spec.get("securityContext") or {}).get("fsGroup"))]
    for index, each in enumerate(spec.get("containers") or []):
        context = {**(spec.get("securityContext") or {}), **(each.get("securityContext") or {})}
        given.append((f".containers[{index}].runAsUser", context.get("runAsUser")))
    for index, each in enumerate(spec.get("initContainers") or []):
        if ((each.get("securityContext") or {}).get("capabilities") or {}).get("add"):
            given.append((f".initContainers[{index}].capabilities.add", 0))
    told = [
        f"provider restricted-v2: {field}: Invalid value: {value}: must be in the ranges: [{_FIRST}, {_LAST}]"
        for field, value in given
        if value is not None and not _FIRST <= int(value) <= _LAST
    ]
    if not told:
        return ""
    unusable = 'provider "anyuid": Forbidden: not usable by user or serviceaccount'
    return f"unable to validate against any security context constraint: [{', '.join([unusable, *told])}]"


def openshift(machine: Machine) -> None:
    """What OpenShift makes: the definition of SecurityContextConstraints, and for each namespace a range of users."""
    names = {"kind": "SecurityContextConstraints", "plural": "securitycontextconstraints"}
    name = f"{names['plural']}.security.openshift.io"
    if machine.store.find(Ref(CRD, name)) is None:
        spec = {
            "group": "security.openshift.io",
            "names": names,
            "scope": "Cluster",
            "versions": [{"name": "v1", "served": True, "storage": True}],
        }
        made = {"apiVersion": CRD.api_version, "kind": CRD.kind, "metadata": {"name": name}, "spec": spec}
        machine.store.update(made, "cluster-config-operator")
    for record in machine.store.all(NAMESPACE):
        live = record.manifest
        if UID_RANGE not in (live["metadata"].get("annotations") or {}):
            noted = {**(live["metadata"].get("annotations") or {}), UID_RANGE: _UIDS}
            machine.store.update(
                {**live, "metadata": {**live["metadata"], "annotations": noted}}, "cluster-policy-controller"
            )


def tell(machine: Machine, owner: Object, hashed: str, why: str) -> None:
    """A Pod of this Deployment or Job was refused: its ReplicaSet, or itself, has one event about that, which counts."""
    metadata = owner["metadata"]
    kind, name = ("ReplicaSet", f"{metadata['name']}-{hashed}") if hashed else (owner["kind"], metadata["name"])
    event = f"{name}.{suffix(16, metadata['uid'], hashed)}"
    ref = Ref(EVENT, event, metadata["namespace"])
    if machine.refusals.get(metadata["uid"], ("", ref))[1] != ref:
        let_in(machine, metadata["uid"])  # that of an earlier template
    machine.refusals[metadata["uid"]] = why, ref
    before = machine.store.find(ref)
    stamp = machine.clock().strftime("%Y-%m-%dT%H:%M:%SZ")
    machine.store.update(
        {
            "apiVersion": "v1",
            "kind": EVENT.kind,
            "metadata": {"name": event, "namespace": metadata["namespace"]},
            "involvedObject": {"kind": kind, "name": name, "namespace": metadata["namespace"]},
            "type": "Warning",
            "reason": "FailedCreate",
            "message": f"Error creating: {why}",
            "count": (before.manifest["count"] if before else 0) + 1,
            "firstTimestamp": before.manifest["firstTimestamp"] if before else stamp,
            "lastTimestamp": stamp,
        },
        "kube-controller-manager",
    )


def let_in(machine: Machine, uid: str) -> None:
    """What was refused is not any more: the event goes. Kubernetes forgets one after an hour."""
    if uid in machine.refusals:
        machine.store.remove(machine.refusals.pop(uid)[1])


def forget(machine: Machine) -> None:
    """The events about what is gone."""
    if machine.refusals:
        standing = {
            record.manifest["metadata"]["uid"] for kind in (DEPLOYMENT, JOB) for record in machine.store.all(kind)
        }
        for uid in set(machine.refusals) - standing:
            let_in(machine, uid)


# -- containers that die


@dataclass(frozen=True)
class Death:
    """How a container ends each time. `words`: what it printed."""

    words: str
    code: int


def death(machine: Machine, container: Object) -> Death | None:
    """How this container dies, None where it lives."""
    if container["name"] in machine.crashing:
        return Death(machine.crashing[container["name"]], 1)
    found = _DYING.fullmatch(" ".join(map(str, (container.get("command") or [])[2:])))
    return Death(f"{found['words']}\n", int(found["code"])) if found else None


def deaths(machine: Machine, pod: Object) -> int:
    """How often the containers of this Pod that die were started again, by now."""
    place = pod["metadata"]["namespace"], pod["metadata"]["name"]
    count, due = machine.lives.get(place, (0, machine.ready_at[place]))
    if machine.pace.now() >= due:
        count += 1
        pause = min(_DIED_AFTER * 2 ** (count - 1), _LONGEST_PAUSE)
        # Also where the simulation wastes no time, it does not die as often as it is looked at.
        machine.lives[place] = count, max(machine.pace.due(pause), machine.pace.now() + 0.01)
    return count


def state_of(pod: Object, container: Object, end: Death, restarts: int) -> Object:
    """What the kubelet says of a container that waits for its next life."""
    metadata = pod["metadata"]
    pause = int(min(_DIED_AFTER * 2 ** (restarts - 1), _LONGEST_PAUSE))
    where = f"{metadata['name']}_{metadata['namespace']}({metadata.get('uid', '')})"
    return {
        "restartCount": restarts,
        "state": {
            "waiting": {
                "reason": "CrashLoopBackOff",
                "message": f"back-off {pause}s restarting failed container={container['name']} pod={where}",
            }
        },
        "lastState": {"terminated": {"exitCode": end.code, "reason": "Error"}},
    }
