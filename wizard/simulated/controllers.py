"""What happens in a cluster by itself: Deployments make Pods, Pods become ready, namespaces, tokens and addresses are filled."""

from __future__ import annotations

import base64
import ipaddress
import json
from typing import Any

from wizard.clusters.kinds import (
    CONFIG_MAP,
    DEPLOYMENT,
    NAMESPACE,
    NODE,
    POD,
    SECRET,
    SERVICE,
    SERVICE_ACCOUNT,
    Object,
    Ref,
)
from wizard.mesh.model import SYSTEM_NAMESPACE
from wizard.mesh.tolerations import toleration_of, untolerated
from wizard.objects.pods import is_ready
from wizard.simulated import istiod, jobs, refusals
from wizard.simulated.fields import clone
from wizard.simulated.frontdoor import authority_of
from wizard.simulated.machine import Machine
from wizard.simulated.pace import suffix
from wizard.simulated.pods import containers

_START = {"istiod": 4.2, "istio-eastwestgateway": 3.0}  # seconds until a Pod of this app is ready
_OTHERS_START = 2.2
_BALANCER_SECONDS = 3.0
_UNANSWERED = (
    'Internal error occurred: failed calling webhook "namespace.sidecar-injector.istio.io": failed to call webhook: Post '
    f'"https://istiod.{SYSTEM_NAMESPACE}.svc:443/inject?timeout=10s": no endpoints available for service "istiod"'
)
_AGAIN_SECONDS = 0.5  # until what another cluster refused is tried again


def run(machine: Machine) -> float | None:
    """One round of all controllers. Gives the moment when the next thing is due, None where nothing is."""
    if machine.openshift:
        refusals.openshift(machine)
    namespaces = _namespaces(machine)
    _tokens(machine)
    refused = _deployments(machine)
    made = jobs.run(machine, _make_pod)
    refusals.forget(machine)
    due = _pods(machine)
    balanced = _balancer(machine)
    istiod.run(machine)
    again = machine.pace.due(_AGAIN_SECONDS) if refused or istiod.waits(machine) else None
    return min((moment for moment in (namespaces, made, due, balanced, again) if moment is not None), default=None)


def _namespaces(machine: Machine) -> float | None:
    now = machine.store.changes(NAMESPACE, SERVICE_ACCOUNT, CONFIG_MAP)
    if machine.finished.get("namespaces") == now:
        return None
    due: list[float] = []
    for record in machine.store.all(NAMESPACE):
        name = record.manifest["metadata"]["name"]
        if record.manifest["metadata"].get("deletionTimestamp"):
            moment = machine.ready_at.setdefault(("", name), machine.pace.due(0.8))
            if name in machine.stuck:
                _hold(machine, record.manifest)
                due.append(machine.pace.due(_AGAIN_SECONDS))
            elif machine.pace.now() >= moment:
                machine.ready_at.pop(("", name))
                machine.store.remove(Ref(NAMESPACE, name))
            else:
                due.append(moment)
            continue
        if machine.store.find(Ref(SERVICE_ACCOUNT, "default", name)) is None:
            account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default", "namespace": name}}
            machine.store.update(account, "kube-controller-manager")
        if machine.store.find(Ref(CONFIG_MAP, "kube-root-ca.crt", name)) is None:
            bundle = {
                "apiVersion": "v1",
                "kind": "ConfigMap",
                "metadata": {"name": "kube-root-ca.crt", "namespace": name},
                "data": {"ca.crt": authority_of(machine)},
            }
            machine.store.update(bundle, "kube-controller-manager")
    if not due:
        machine.finished["namespaces"] = now
    return min(due, default=None)


def _hold(machine: Machine, namespace: Object) -> None:
    """The namespace stays, and says what keeps it."""
    kind, message = machine.stuck[namespace["metadata"]["name"]]
    told = {"type": kind, "status": "True", "reason": kind.removeprefix("Namespace"), "message": message}
    status = {"phase": "Terminating", "conditions": [told]}
    if namespace.get("status") != status:
        machine.store.update({**namespace, "status": status}, "kube-controller-manager")


def _tokens(machine: Machine) -> None:
    now = machine.store.changes(SECRET, SERVICE_ACCOUNT)
    if machine.finished.get("tokens") == now:
        return
    machine.finished["tokens"] = now
    for record in machine.store.all(SECRET):
        secret = record.manifest
        if secret.get("type") != "kubernetes.io/service-account-token" or (secret.get("data") or {}).get("token"):
            continue
        metadata = secret["metadata"]
        name = (metadata.get("annotations") or {}).get("kubernetes.io/service-account.name", "")
        account = machine.store.find(Ref(SERVICE_ACCOUNT, name, metadata["namespace"]))
        if account is None:
            machine.store.remove(Ref(SECRET, metadata["name"], metadata["namespace"]))
            continue
        texts = {
            "ca.crt": authority_of(machine),
            "namespace": metadata["namespace"],
            "token": f"simulated-token-{suffix(24, machine.seed, machine.context, metadata['uid'])}",
        }
        filled = clone(secret)
        filled["data"] = {key: base64.b64encode(text.encode()).decode() for key, text in texts.items()}
        uid = account.manifest["metadata"]["uid"]
        filled["metadata"]["annotations"]["kubernetes.io/service-account.uid"] = uid
        machine.store.update(filled, "kube-controller-manager")


def _deployments(machine: Machine) -> bool:
    """Whether Pods could not be made."""
    now = machine.store.changes(DEPLOYMENT, POD, SERVICE_ACCOUNT)
    if machine.finished.get("deployments") == now:
        return False
    refused = [record for record in machine.store.all(DEPLOYMENT) if not _deployment(machine, record.manifest)]
    if not refused:
        machine.finished["deployments"] = now
    return bool(refused)


def _deployment(machine: Machine, deployment: Object) -> bool:
    """Whether all of its Pods could be made."""
    metadata, spec = deployment["metadata"], deployment["spec"]
    place = metadata["namespace"]
    own = [
        record.manifest
        for record in machine.store.all(POD, place)
        if any(o.get("uid") == metadata["uid"] for o in record.manifest["metadata"].get("ownerReferences") or [])
    ]
    hashed = machine.template_hashes.get((metadata["uid"], metadata["generation"]), "")
    if not hashed:
        hashed = suffix(10, metadata["uid"], json.dumps(spec["template"], sort_keys=True))
        machine.template_hashes[metadata["uid"], metadata["generation"]] = hashed
    current = [pod for pod in own if pod["metadata"]["labels"].get("pod-template-hash") == hashed]
    old = [pod for pod in own if pod not in current]
    wanted = int(spec.get("replicas", 1))
    for _ in range(wanted - len(current)):
        made = _make_pod(machine, deployment, hashed, {"pod-template-hash": hashed})
        if made is None:
            break
        current.append(made)
    why = (machine.refusals.get(metadata["uid"]) or ("",))[0] if len(current) < wanted else ""
    for pod in current[wanted:]:
        _remove_pod(machine, pod)
    current = current[:wanted]
    ready = [pod for pod in current if is_ready(pod)]
    if len(ready) >= wanted:
        for pod in old:
            _remove_pod(machine, pod)
        old = []
    available = len(ready) + sum(is_ready(pod) for pod in old)
    status: dict[str, Any] = {
        "observedGeneration": metadata.get("generation", 1),
        "replicas": len(current) + len(old),
        "updatedReplicas": len(current),
        "readyReplicas": available,
        "availableReplicas": available,
        "conditions": [
            {
                "type": "Available",
                "status": "True" if available >= wanted else "False",
                "reason": "MinimumReplicasAvailable" if available >= wanted else "MinimumReplicasUnavailable",
            },
            *([{"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": why}] if why else []),
        ],
    }
    status = {key: value for key, value in status.items() if value}
    if deployment.get("status") != status:
        machine.store.update({**deployment, "status": status}, "kube-controller-manager")
    return len(current) >= wanted


def _make_pod(machine: Machine, owner: Object, hashed: str, labels: dict[str, str]) -> Object | None:
    """A Pod of this Deployment or Job, labelled so; None where the API server would refuse it for now."""
    metadata, template = owner["metadata"], clone(owner["spec"]["template"])
    place, spec = metadata["namespace"], template["spec"]
    if not _keeping_away(machine, spec):
        spec["nodeName"] = machine.node_name
    account = spec.setdefault("serviceAccountName", "default")
    births = machine.made_pods = machine.made_pods + 1
    stem = f"{metadata['name']}-{hashed}" if hashed else metadata["name"]
    name = f"{stem}-{suffix(5, metadata['uid'], hashed, births)}"
    given = template.get("metadata") or {}
    pod: Object = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "namespace": place,
            "labels": {**(given.get("labels") or {}), **labels},
            "ownerReferences": [
                {"apiVersion": owner["apiVersion"], "kind": owner["kind"], "name": metadata["name"], "uid": metadata["uid"],
                 "controller": True}
            ],
        },
        "spec": spec,
    }  # fmt: skip
    if given.get("annotations"):
        pod["metadata"]["annotations"] = given["annotations"]
    known = machine.store.find(Ref(SERVICE_ACCOUNT, account, place)) is not None
    injected = istiod.injected(machine, pod) if known else None
    if injected is None:
        missing = f'error looking up service account {place}/{account}: serviceaccount "{account}" not found'
        why = _UNANSWERED if known else f'pods "{name}" is forbidden: {missing}'
    else:
        why = refusals.refused(machine, injected)
    if injected is None or why:
        refusals.tell(machine, owner, hashed, why)
        return None
    refusals.let_in(machine, metadata["uid"])
    app = (given.get("labels") or {}).get("app", "")
    machine.ready_at[place, name] = machine.due(_START.get(app, _OTHERS_START))
    machine.pod_addresses[place, name] = _free_address(machine)
    scheduled = bool(spec.get("nodeName"))
    injected["status"] = _status(machine, injected, ready=False) if scheduled else _unscheduled(machine, injected)
    return machine.store.update(injected, "kube-controller-manager").manifest


def _free_address(machine: Machine) -> str:
    taken = set(machine.pod_addresses.values())
    hosts = ipaddress.ip_network(machine.pod_cidr).hosts()
    next(hosts)  # the bridge's own
    return next(str(address) for address in hosts if str(address) not in taken)


def _remove_pod(machine: Machine, pod: Object) -> None:
    metadata = pod["metadata"]
    machine.store.remove(Ref(POD, metadata["name"], metadata["namespace"]))


def _pods(machine: Machine) -> float | None:
    due: list[float] = []
    now = machine.pace.now()
    _forget(machine)
    for record in machine.store.all(POD):
        pod = record.manifest
        moment = machine.ready_at.get((pod["metadata"]["namespace"], pod["metadata"]["name"]))
        if moment is None or (pod.get("status") or {}).get("phase") == "Succeeded":
            continue
        if not pod["spec"].get("nodeName") and not _keeping_away(machine, pod["spec"]):
            pod = machine.store.update(
                {**pod, "spec": {**pod["spec"], "nodeName": machine.node_name}}, "kube-scheduler"
            ).manifest
        if not pod["spec"].get("nodeName"):
            status = _unscheduled(machine, pod)
            if status != pod.get("status"):
                machine.store.update({**pod, "status": status}, "kube-scheduler")
            continue
        # A pod that runs has its images and its proxy's configuration.
        started = now >= moment and not _unpullable(machine, pod)
        dying = started and any(refusals.death(machine, container) for container in containers(pod))
        ready = not dying and (is_ready(pod) or (started and istiod.configured(machine, pod)))
        status = _dying(machine, pod) if dying else _status(machine, pod, ready=ready)
        if status != pod.get("status"):
            machine.store.update({**pod, "status": status}, "kubelet")
        if not ready:
            due.append(moment if moment > now else max(machine.pace.due(_AGAIN_SECONDS), now + 0.01 if dying else 0.0))
    return min(due, default=None)


def _dying(machine: Machine, pod: Object) -> Object:
    """The status of a Pod of which a container dies again and again; those that come after it in its start wait for it."""
    restarts = refusals.deaths(machine, pod)
    status = _status(machine, pod, ready=True)
    init = {each["name"] for each in pod["spec"].get("initContainers") or []}
    waiting = False
    for each, container in zip(
        [*status.get("initContainerStatuses", []), *status["containerStatuses"]], containers(pod), strict=True
    ):
        end = refusals.death(machine, container)
        if waiting:
            each |= {"ready": False, "started": False, "state": {"waiting": {"reason": "PodInitializing"}}}
        elif end:
            each |= {"ready": False, "started": False, **refusals.state_of(pod, container, end, restarts)}
            waiting = container["name"] in init
    unready = [each["name"] for each in status["containerStatuses"] if not each["ready"]]
    why = {"reason": "ContainersNotReady", "message": f"containers with unready status: [{' '.join(unready)}]"}
    status["phase"] = "Pending" if waiting else "Running"
    for condition in status["conditions"]:
        if condition["type"] != "PodScheduled":
            condition |= {"status": "False", **why}
    return status


def _forget(machine: Machine) -> None:
    """What was kept of Pods that are gone."""
    now = machine.store.changes(POD)
    if machine.finished.get("forgotten") == now:
        return
    machine.finished["forgotten"] = now
    for place in [place for place in machine.pod_addresses if machine.store.find(Ref(POD, place[1], place[0])) is None]:
        del machine.pod_addresses[place]
        machine.ready_at.pop(place, None)
        machine.served.pop(place, None)
        machine.lives.pop(place, None)


def _balancer(machine: Machine) -> float | None:
    """Gives Services of type LoadBalancer their address, where there is something that does."""
    due: list[float] = []
    for record in machine.store.all(SERVICE) if machine.load_balancer else ():
        service = record.manifest
        given = (service.get("status") or {}).get("loadBalancer") or {}
        if service["spec"].get("type") != "LoadBalancer" or given.get("ingress"):
            continue
        moment = record.born + _BALANCER_SECONDS * machine.pace.speed
        if machine.pace.now() < moment:
            due.append(moment)
            continue
        machine.given_addresses += 1
        # Of the range for benchmarks: no two machines share one.
        address = f"198.18.{machine.index}.{machine.given_addresses}"
        status = {"loadBalancer": {"ingress": [{"ip": address, "ipMode": "VIP"}]}}
        machine.store.update({**service, "status": status}, "load-balancer")
    return min(due, default=None)


def _unpullable(machine: Machine, pod: Object) -> bool:
    return any(_missing(machine, container["image"]) for container in containers(pod))


def _missing(machine: Machine, image: str) -> bool:
    return image == "auto" or any(image.startswith(beginning) for beginning in machine.missing_images)


def _keeping_away(machine: Machine, spec: Object) -> list[str]:
    """The taints of the node that keep such a Pod away."""
    tolerations = [toleration_of(entry) for entry in spec.get("tolerations") or []]
    return [taint for record in machine.store.all(NODE) for taint in untolerated(record.manifest, tolerations)]


def _unscheduled(machine: Machine, pod: Object) -> Object:
    taints = ", ".join(_keeping_away(machine, pod["spec"]))
    message = f"0/1 nodes are available: 1 node(s) had untolerated taint(s) {{{taints}}}."
    condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message}
    return {"phase": "Pending", "conditions": [condition]}


def _status(machine: Machine, pod: Object, *, ready: bool) -> Object:
    missing = _unpullable(machine, pod)

    def told(container: Object) -> Object:
        state: Object
        if ready:
            state = {"running": {}}
        elif _missing(machine, container["image"]):
            state = {
                "waiting": {
                    "reason": "ImagePullBackOff",
                    "message": f'Back-off pulling image "{container["image"]}": ErrImagePull: it is not there (simulated)',
                }
            }
        else:
            state = {"waiting": {"reason": "PodInitializing" if missing else "ContainerCreating"}}
        return {"name": container["name"], "image": container["image"], "ready": ready, "started": ready,
                "restartCount": 0, "state": state}  # fmt: skip

    flag = "True" if ready else "False"
    status: Object = {
        "phase": "Running" if ready else "Pending",
        "hostIP": machine.node_address,
        "podIP": machine.pod_addresses[pod["metadata"]["namespace"], pod["metadata"]["name"]],
        "conditions": [
            {"type": "PodScheduled", "status": "True"},
            {"type": "ContainersReady", "status": flag},
            {"type": "Ready", "status": flag},
        ],
        "containerStatuses": [told(container) for container in pod["spec"].get("containers") or []],
    }
    if pod["spec"].get("initContainers"):
        status["initContainerStatuses"] = [told(container) for container in pod["spec"]["initContainers"]]
    return status
