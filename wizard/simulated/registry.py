"""The clusters that an istiod reads, as their remote secrets tell it."""

from __future__ import annotations

import base64
from dataclasses import replace
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit

import yaml

from wizard import yamltext
from wizard.clusters.kinds import DEPLOYMENT, NAMESPACE, POD, SECRET, Object, Ref
from wizard.mesh.model import SYSTEM_NAMESPACE
from wizard.objects.pods import is_ready
from wizard.simulated import frontdoor, network
from wizard.simulated.machine import Machine, Registration

CONTROL_PLANES = "topology.istio.io/controlPlaneClusters"
_LABEL = "istio/multiCluster=true"


def istiods(machine: Machine) -> list[Object]:
    """The ready Pods of istiod here. Asks the store as it stands."""
    pods = machine.store.all(POD, SYSTEM_NAMESPACE, "app=istiod")
    return [record.manifest for record in pods if is_ready(record.manifest)]


def refresh(machine: Machine) -> dict[tuple[str, str], Registration]:
    """The registrations of the istiod that runs here; none where none runs. A cluster is registered when its secret comes,
    or when istiod starts, and asked then who looks after it: what changes there later is not noticed. Where the content of
    its secret changes in place, istiod closes it (Istio issue 60612), until the secret is made anew or istiod started anew.
    The machine's lock is held.
    """
    running = istiods(machine)
    stamp = (machine.store.secrets, *(pod["metadata"]["uid"] for pod in running))
    if machine.registered_at != stamp:
        known: dict[tuple[str, str], Registration] = {}
        for record in machine.store.all(SECRET, SYSTEM_NAMESPACE, _LABEL) if running else []:
            metadata = record.manifest["metadata"]
            version = f"{metadata['uid']}/{running[0]['metadata']['uid']}"
            for name, content in (record.manifest.get("data") or {}).items():
                key = (metadata["name"], name)
                old = machine.registered.get(key)
                if old is None or old.version != version:
                    known[key] = _read(key, version, record.born, content)
                else:
                    known[key] = old if old.content == content else replace(old, leads=False, closed=True)
        machine.registered = known
        machine.registered_at = stamp
    machine.external = is_external(machine)
    if machine.external:
        for one in machine.registered.values():
            if one.leads is None:
                one.leads = _leads(machine, one)
        machine.leading = frozenset(one.server for one in machine.registered.values() if one.leads is not False)
    return machine.registered


def is_external(machine: Machine) -> bool:
    """Whether an istiod runs here that looks after remote clusters."""
    return any(environment(pod["spec"], "discovery").get("EXTERNAL_ISTIOD") == "true" for pod in istiods(machine))


def cluster_of(machine: Machine, one: Registration) -> Machine | None:
    """The machine that a registration leads to; None where its API server is not reached, or istiod does not trust it, or
    it does not take the token, or istiod has closed it.
    """
    if one.closed:
        return None
    address = urlsplit(one.server)
    try:
        found = network.reach(machine, address.hostname or "", address.port or 443)
    except ValueError:
        return None
    if not found.is_api or found.machine is None or frontdoor.untrusted(found, address.hostname or "", one.authority):
        return None
    return found.machine if frontdoor.takes(found.machine, one.token) else None


def deployment(machine: Machine) -> Object | None:
    """The Deployment of istiod, of whatever revision."""
    for record in machine.store.all(DEPLOYMENT, SYSTEM_NAMESPACE, "app=istiod"):
        return record.manifest
    return None


def environment(pods: Object, container: str) -> dict[str, str]:
    """The variables that a container of a Pod or of a Pod template has."""
    for each in [*(pods.get("initContainers") or []), *(pods.get("containers") or [])]:
        if each["name"] == container:
            return {variable["name"]: str(variable.get("value", "")) for variable in each.get("env") or []}
    return {}


def _read(key: tuple[str, str], version: str, born: float, content: str) -> Registration:
    try:
        kubeconfig = parsed(base64.b64decode(content).decode(errors="replace"))
        cluster = kubeconfig["clusters"][0]["cluster"]
        server = str(cluster["server"])
        authority = base64.b64decode(str(cluster.get("certificate-authority-data", ""))).decode(errors="replace")
        token = str(kubeconfig["users"][0]["user"]["token"])
    except (ValueError, KeyError, IndexError, TypeError):
        server, token, authority = "", "", ""
    return Registration(key[1], key[0], version, content, born, server, token, authority)


def _leads(machine: Machine, one: Registration) -> bool | None:
    there = cluster_of(machine, one)
    if there is None:
        return None
    namespace = there.store.find(Ref(NAMESPACE, SYSTEM_NAMESPACE))
    annotations = (namespace.manifest["metadata"].get("annotations") or {}) if namespace else {}
    own = environment(
        (deployment(machine) or {"spec": {"template": {"spec": {}}}})["spec"]["template"]["spec"], "discovery"
    )
    return bool({"*", own.get("CLUSTER_ID")} & set(str(annotations.get(CONTROL_PLANES, "")).split(",")))


@lru_cache(maxsize=4096)
def parsed(text: str) -> dict[str, Any]:
    """The YAML mapping, empty where it is none. Not to be changed: YAML is slow to read, and this is asked for every pair
    of clusters and every request.
    """
    try:
        loaded = yamltext.load(text)
    except yaml.YAMLError:
        return {}
    return loaded if isinstance(loaded, dict) else {}
