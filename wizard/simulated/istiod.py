"""What istiod does in its cluster while it runs: it injects sidecars, signs its webhooks and writes its root everywhere."""

from __future__ import annotations

import base64
import json

from wizard.clusters.kinds import (
    CONFIG_MAP,
    DEPLOYMENT,
    MUTATING_WEBHOOK,
    NAMESPACE,
    POD,
    SECRET,
    VALIDATING_WEBHOOK,
    Object,
    Ref,
)
from wizard.mesh.model import SYSTEM_NAMESPACE
from wizard.simulated.fields import clone
from wizard.simulated.machine import Machine
from wizard.simulated.pace import suffix
from wizard.simulated.pods import containers, is_ready

MANAGER = "pilot-discovery"
SIDECAR = "istio-proxy"
INJECTORS = ("istio-sidecar-injector", "istio-revision-tag-default")
VALIDATORS = ("istio-validator-istio-system", "istiod-default-validator")


def running(machine: Machine) -> bool:
    """Whether a ready istiod runs here. Asks the store as it stands."""
    return any(is_ready(record.manifest) for record in machine.store.all(POD, SYSTEM_NAMESPACE, "app=istiod"))


def run(machine: Machine) -> None:
    """What istiod sees to, if it runs."""
    if not running(machine):
        return
    root = root_of(machine)
    if root is None:
        # Without plugged-in certificates istiod signs with a root of its own, which no other cluster trusts.
        made = f"simulated self-signed root {suffix(12, machine.seed, machine.context)}"
        _write(machine, "Secret", "istio-ca-secret", SYSTEM_NAMESPACE, {"ca-cert.pem": _encoded(made)})
        root = made.encode()
    for name in ("istio-ip-autoallocate", "istio-leader", "istio-namespace-controller-election"):
        _write(machine, "ConfigMap", name, SYSTEM_NAMESPACE, {})
    for record in machine.store.all(NAMESPACE):
        metadata = record.manifest["metadata"]
        if metadata["name"].startswith("kube-") or metadata.get("deletionTimestamp"):
            continue
        for name, data in (
            ("istio-ca-root-cert", {"root-cert.pem": root.decode()}),
            ("istio-ca-crl", {"ca-crl.pem": ""}),
        ):
            _write(machine, "ConfigMap", name, metadata["name"], data, {"istio.io/config": "true"})
    bundle = _encoded(root.decode())
    for kind, names in ((MUTATING_WEBHOOK, INJECTORS), (VALIDATING_WEBHOOK, VALIDATORS)):
        for name in names:
            hooks = machine.store.find(Ref(kind, name))
            if hooks and any(h["clientConfig"].get("caBundle") != bundle for h in hooks.manifest.get("webhooks") or []):
                signed = clone(hooks.manifest)
                for hook in signed["webhooks"]:
                    hook["clientConfig"]["caBundle"] = bundle
                machine.store.update(signed, MANAGER)


def root_of(machine: Machine) -> bytes | None:
    """The root certificate that workloads here trust, None where there is none yet."""
    for name, key in (("cacerts", "root-cert.pem"), ("istio-ca-secret", "ca-cert.pem")):
        secret = machine.store.find(Ref(SECRET, name, SYSTEM_NAMESPACE))
        content = ((secret.manifest.get("data") or {}) if secret else {}).get(key)
        if content:
            return base64.b64decode(content)
    return None


def injected(machine: Machine, pod: Object) -> Object | None:
    """The Pod as the injection webhook leaves it; None where the webhook does not answer and so the Pod is refused."""
    namespace = machine.store.find(Ref(NAMESPACE, pod["metadata"]["namespace"]))
    around = (namespace.manifest["metadata"].get("labels") or {}) if namespace else {}
    own = pod["metadata"].get("labels") or {}
    if not _wanted(around, own) or not any(machine.store.find(Ref(MUTATING_WEBHOOK, name)) for name in INJECTORS):
        return pod
    if not running(machine):
        return None
    values = json.loads(_config(machine, "istio-sidecar-injector").get("values") or "{}").get("global", {})
    image = f"{values.get('hub')}/proxyv2:{values.get('tag')}"
    result: Object = clone(pod)
    metadata, spec = result["metadata"], result["spec"]
    metadata.setdefault("annotations", {})["sidecar.istio.io/status"] = json.dumps({"containers": [SIDECAR]})
    metadata["labels"] |= {"security.istio.io/tlsMode": "istio", "service.istio.io/canonical-revision": "latest"}
    env = [
        {
            "name": "ISTIO_META_CLUSTER_ID",
            "value": (values.get("multiCluster") or {}).get("clusterName") or "Kubernetes",
        },
        {"name": "ISTIO_META_NETWORK", "value": values.get("network") or ""},
    ]
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


def _wanted(namespace: dict[str, str], pod: dict[str, str]) -> bool:
    if pod.get("sidecar.istio.io/inject") == "false" or namespace.get("istio-injection") == "disabled":
        return False
    if namespace.get("istio-injection") == "enabled" or namespace.get("istio.io/rev") == "default":
        return True
    return pod.get("sidecar.istio.io/inject") == "true"


def has_sidecar(pod: Object) -> bool:
    """Whether the Pod was injected."""
    return any(container["name"] == SIDECAR for container in containers(pod))


def cluster_id(machine: Machine) -> str | None:
    """The name by which istiod here calls its own cluster, None where no istiod is installed."""
    deployment = machine.store.find(Ref(DEPLOYMENT, "istiod", SYSTEM_NAMESPACE))
    if deployment is None:
        return None
    for container in deployment.manifest["spec"]["template"]["spec"]["containers"]:
        for variable in container.get("env") or []:
            if container["name"] == "discovery" and variable["name"] == "CLUSTER_ID":
                return str(variable.get("value"))
    return "Kubernetes"


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
