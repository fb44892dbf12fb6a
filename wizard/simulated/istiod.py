"""What istiod does while it runs, in its cluster and in the remotes that name it: it injects and serves sidecars, signs
webhooks and writes its root everywhere.
"""

from __future__ import annotations

import base64
import json
import re

from wizard.clusters.kinds import (
    CONFIG_MAP,
    MUTATING_WEBHOOK,
    NAMESPACE,
    SECRET,
    SERVICE_ACCOUNT,
    VALIDATING_WEBHOOK,
    Object,
    Ref,
)
from wizard.mesh.model import SYSTEM_NAMESPACE
from wizard.simulated import proxies, rbac, registry
from wizard.simulated.fields import clone
from wizard.simulated.machine import Machine
from wizard.simulated.network import SIDECAR
from wizard.simulated.pace import suffix
from wizard.simulated.pods import containers

MANAGER = "pilot-discovery"
_ELECTIONS = ("istio-ip-autoallocate", "istio-leader", "istio-namespace-controller-election")
_REMOTE_ELECTIONS = ("istio-namespace-controller-election",)
_WEBHOOK_PORT, _DISCOVERY_PORT = 443, 15012
_PATH = re.compile(r"/cluster/(?P<cluster>[^/]+)(?:/net/(?P<network>[^/]+))?")


def run(machine: Machine) -> None:
    """What the istiods see to that look after this cluster: its own, if it runs, and those of other clusters."""
    running = registry.istiods(machine)
    if running:
        if root_of(machine) is None:
            # Without plugged-in certificates istiod signs with a root of its own, which no other cluster trusts.
            made = f"simulated self-signed root {suffix(12, machine.seed, machine.context)}"
            _write(machine, "Secret", "istio-ca-secret", SYSTEM_NAMESPACE, {"ca-cert.pem": _encoded(made)})
        _look_after(machine, machine, running, _ELECTIONS)
    if registry.is_external(machine):
        registry.refresh(machine)
    else:
        machine.external = False
        for other in machine.universe.machines:
            if other.external and machine.server in other.leading and _leads(other, machine):
                _look_after(machine, other, registry.istiods(other), _REMOTE_ELECTIONS)


def _leads(other: Machine, machine: Machine) -> bool:
    leading = [one for one in list(other.registered.values()) if one.leads and one.server == machine.server]
    return any(registry.cluster_of(other, one) is machine for one in leading)


def waits(machine: Machine) -> bool:
    """Whether istiod here asks clusters again that it could not ask yet."""
    return machine.external and any(one.leads is None for one in machine.registered.values())


def _look_after(machine: Machine, control: Machine, istiods: list[Object], elections: tuple[str, ...]) -> None:
    """What these istiods, which run on `control`, write into this cluster."""
    root = (root_of(control) or b"").decode()
    revisions = {_labels(pod).get("istio.io/rev", "default") for pod in istiods}
    namespaces = [record.manifest["metadata"] for record in machine.store.all(NAMESPACE)]
    alive = [each["name"] for each in namespaces if not each.get("deletionTimestamp")]
    for name in elections if SYSTEM_NAMESPACE in alive else ():
        _elected(machine, control, name)
    for name in alive:
        if name.startswith("kube-"):
            continue
        for config, data in (
            ("istio-ca-root-cert", {"root-cert.pem": root}),
            ("istio-ca-crl", {"ca-crl.pem": ""}),
        ):
            _write(machine, "ConfigMap", config, name, data, {"istio.io/config": "true"})
    bundle = _encoded(root)
    for kind, app in ((MUTATING_WEBHOOK, "sidecar-injector"), (VALIDATING_WEBHOOK, "istiod")):
        for record in machine.store.all(kind, labels=f"app={app}"):
            hooks = record.manifest
            if _labels(hooks).get("istio.io/rev", "default") not in revisions:
                continue
            if any(hook["clientConfig"].get("caBundle") != bundle for hook in hooks.get("webhooks") or []):
                signed = clone(hooks)
                for hook in signed["webhooks"]:
                    hook["clientConfig"]["caBundle"] = bundle
                machine.store.update(signed, MANAGER)


def _elected(machine: Machine, control: Machine, name: str) -> None:
    """istiods agree in this ConfigMap who of them does something."""
    if machine.store.find(Ref(CONFIG_MAP, name, SYSTEM_NAMESPACE)) is None:
        leader = {
            "control-plane.alpha.kubernetes.io/leader": json.dumps({"holderIdentity": f"istiod of {control.context}"})
        }
        metadata = {"name": name, "namespace": SYSTEM_NAMESPACE, "annotations": leader}
        machine.store.update({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata}, MANAGER)


def root_of(machine: Machine) -> bytes | None:
    """The root certificate that istiod here signs for, None where there is none yet."""
    if machine.signs_for is not None:
        return machine.signs_for
    for name, key in (("cacerts", "root-cert.pem"), ("istio-ca-secret", "ca-cert.pem")):
        secret = machine.store.find(Ref(SECRET, name, SYSTEM_NAMESPACE))
        content = ((secret.manifest.get("data") or {}) if secret else {}).get(key)
        if content:
            return base64.b64decode(content)
    return None


# -- injection


def injected(machine: Machine, pod: Object) -> Object | None:
    """The Pod as the injection webhook leaves it; None where the webhook does not answer and so the Pod is refused."""
    namespace = machine.store.find(Ref(NAMESPACE, pod["metadata"]["namespace"]))
    wanted = _wanted(_labels(namespace.manifest) if namespace else {}, _labels(pod))
    hooks = _injector(machine, wanted) if wanted else None
    if hooks is None:
        return pod
    client = hooks["webhooks"][0]["clientConfig"]
    control = proxies.istiod_at(machine, client["service"]["name"], _WEBHOOK_PORT)
    if control is None or client.get("caBundle") != _encoded((root_of(control) or b"").decode()):
        return None
    revision = _labels(hooks).get("istio.io/rev", "default")
    return _with_proxy(control, pod, revision, client["service"].get("path", ""))


def _with_proxy(control: Machine, pod: Object, revision: str, path: str) -> Object:
    config = _config(control, f"istio-sidecar-injector{_ending(revision)}")
    values = json.loads(config.get("values") or "{}").get("global", {})
    asked = _PATH.search(path)
    cluster = asked["cluster"] if asked else (values.get("multiCluster") or {}).get("clusterName") or "Kubernetes"
    network = (asked["network"] if asked else None) or values.get("network") or ""
    image = f"{values.get('hub')}/proxyv2:{values.get('tag')}"
    result: Object = clone(pod)
    metadata, spec = result["metadata"], result["spec"]
    status = {"containers": [SIDECAR], "revision": revision}
    metadata.setdefault("annotations", {})["sidecar.istio.io/status"] = json.dumps(status)
    metadata["labels"] |= {"security.istio.io/tlsMode": "istio", "service.istio.io/canonical-revision": "latest"}
    env = [{"name": "ISTIO_META_CLUSTER_ID", "value": cluster}, {"name": "ISTIO_META_NETWORK", "value": network}]
    gateway = next((container for container in spec["containers"] if container["name"] == SIDECAR), None)
    if gateway is not None:
        gateway["image"] = image if gateway.get("image") == "auto" else gateway.get("image")
        gateway["env"] = [*(gateway.get("env") or []), *env]
        return result
    # Kubernetes 1.33 and later have native sidecars, and istiod uses them: the proxy is an init container that stays.
    spec["initContainers"] = [
        {"name": "istio-init", "image": image},
        {"name": SIDECAR, "image": image, "restartPolicy": "Always", "env": env},
        *(spec.get("initContainers") or []),
    ]
    return result


def _wanted(namespace: dict[str, str], pod: dict[str, str]) -> str | None:
    """The revision or tag that is to inject the Pod, None where none is."""
    if pod.get("sidecar.istio.io/inject") == "false" or namespace.get("istio-injection") == "disabled":
        return None
    if namespace.get("istio-injection") == "enabled":
        return "default"
    by_pod = pod.get("istio.io/rev") or ("default" if pod.get("sidecar.istio.io/inject") == "true" else None)
    return namespace.get("istio.io/rev") or by_pod


def _injector(machine: Machine, revision: str) -> Object | None:
    for record in machine.store.all(MUTATING_WEBHOOK, labels="app=sidecar-injector"):
        labels = _labels(record.manifest)
        known = revision == labels.get("istio.io/tag", labels.get("istio.io/rev", "default"))
        if known and not any(hook.get("namespaceSelector") for hook in record.manifest["webhooks"]):
            return record.manifest
    return None


# -- proxies


def has_sidecar(pod: Object) -> bool:
    """Whether the Pod was injected."""
    return any(container["name"] == SIDECAR for container in containers(pod))


def configured(machine: Machine, pod: Object) -> bool:
    """Whether the proxy in this Pod, if there is one, has got certificate and configuration from its istiod; an istiod itself:
    whether it could read its own cluster.
    """
    if _labels(pod).get("app") == "istiod":
        account = str(pod["spec"].get("serviceAccountName") or "default")
        return rbac.may_list(machine, Ref(SERVICE_ACCOUNT, account, pod["metadata"]["namespace"]), registry.READ)
    if not _injected_by(pod) or not has_sidecar(pod):
        return True
    place = pod["metadata"]["namespace"], pod["metadata"]["name"]
    if place not in machine.served:
        control = reached(machine, pod)
        if control is None or not _accepted(control, machine, pod):
            return False
        machine.served[place] = control
    return True


def reached(machine: Machine, pod: Object) -> Machine | None:
    """The machine whose istiod the proxy in this Pod reaches now, by the Service of its revision."""
    revision = json.loads(_injected_by(pod) or "{}").get("revision", "default")
    return proxies.istiod_at(machine, f"istiod{_ending(revision)}", _DISCOVERY_PORT)


def _injected_by(pod: Object) -> str | None:
    """What the injection noted on the Pod, None where there was none."""
    return (pod["metadata"].get("annotations") or {}).get("sidecar.istio.io/status")


def _accepted(control: Machine, machine: Machine, pod: Object) -> bool:
    """istiod takes a proxy only of a cluster whose tokens it can have reviewed."""
    if control is machine:
        return True
    cluster = registry.environment(pod["spec"], SIDECAR).get("ISTIO_META_CLUSTER_ID")
    known = list(control.registered.values())
    return any(one.name == cluster and registry.cluster_of(control, one) is machine for one in known)


def cluster_id(machine: Machine) -> str | None:
    """The name by which the proxies of this cluster call it, None where no Istio is installed."""
    deployment = registry.deployment(machine)
    if deployment is not None:
        environment = registry.environment(deployment["spec"]["template"]["spec"], "discovery")
        return environment.get("CLUSTER_ID", "Kubernetes")
    for record in machine.store.all(MUTATING_WEBHOOK, labels="app=sidecar-injector"):
        for hook in record.manifest.get("webhooks") or []:
            found = _PATH.search((hook["clientConfig"].get("service") or {}).get("path", ""))
            if found:
                return found["cluster"]
    return None


def mesh_config(machine: Machine) -> dict[str, str]:
    """The ConfigMap that istiod here reads."""
    deployment = registry.deployment(machine)
    revision = _labels(deployment).get("istio.io/rev", "default") if deployment else "default"
    return _config(machine, f"istio{_ending(revision)}")


def domain(machine: Machine) -> str:
    """The domain by which istiod here names the Services of all clusters."""
    deployment = registry.deployment(machine)
    revision = _labels(deployment).get("istio.io/rev", "default") if deployment else "default"
    values = json.loads(_config(machine, f"istio-sidecar-injector{_ending(revision)}").get("values") or "{}")
    return str(((values.get("global") or {}).get("proxy") or {}).get("clusterDomain") or "cluster.local")


def _ending(revision: str) -> str:
    return "" if revision == "default" else f"-{revision}"


def _labels(manifest: Object) -> dict[str, str]:
    return manifest["metadata"].get("labels") or {}


def _config(machine: Machine, name: str) -> dict[str, str]:
    record = machine.store.find(Ref(CONFIG_MAP, name, SYSTEM_NAMESPACE))
    return (record.manifest.get("data") or {}) if record else {}


def _write(
    machine: Machine, kind: str, name: str, namespace: str, data: dict[str, str], labels: dict[str, str] | None = None
) -> None:
    table = {"Secret": SECRET, "ConfigMap": CONFIG_MAP}
    record = machine.store.find(Ref(table[kind], name, namespace))
    if record is not None and (record.manifest.get("data") or {}) == data:
        return
    manifest: Object = {"apiVersion": "v1", "kind": kind, "metadata": {"name": name, "namespace": namespace}}
    if labels:
        manifest["metadata"]["labels"] = labels
    if data:
        manifest["data"] = data
    machine.store.update(manifest, MANAGER)


def _encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
