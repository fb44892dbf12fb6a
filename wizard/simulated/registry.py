"""The clusters that an istiod reads, as their remote secrets tell it."""

from __future__ import annotations

import base64
from dataclasses import replace
from functools import lru_cache
from typing import Any

import yaml

from wizard import yamltext
from wizard.clusters.kinds import DEPLOYMENT, ENDPOINT_SLICE, NAMESPACE, NODE, POD, SECRET, SERVICE, Object, Ref
from wizard.mesh.addresses import place_of
from wizard.mesh.model import SYSTEM_NAMESPACE
from wizard.objects.pods import is_ready
from wizard.simulated import frontdoor, network, rbac
from wizard.simulated.machine import Machine, Registration

CONTROL_PLANES = "topology.istio.io/controlPlaneClusters"
SYNC_SECONDS = 5.0  # until istiod has read a cluster whose secret is new
READ = (NAMESPACE, NODE, SERVICE, ENDPOINT_SLICE, POD, SECRET)  # it waits until it has read all of each
_LABEL = "istio/multiCluster=true"


def istiods(machine: Machine) -> list[Object]:
    """The ready Pods of istiod here. Asks the store as it stands."""
    pods = machine.store.all(POD, SYSTEM_NAMESPACE, "app=istiod")
    return [record.manifest for record in pods if is_ready(record.manifest)]


def refresh(machine: Machine) -> dict[tuple[str, str], Registration]:
    """The registrations of the istiod that runs here; where none runs, those of the last: its proxies keep what it told them.
    A cluster is registered when its secret comes, or when istiod starts, and asked then who looks after it: what changes
    there later is not noticed. Where the content of its secret changes in place, istiod closes it (Istio issue 60612), until
    the secret is made anew or istiod started anew. The machine's lock is held.
    """
    running = istiods(machine)
    stamp = (machine.store.secrets, *(pod["metadata"]["uid"] for pod in running))
    if running and machine.registered_at != stamp:
        known: dict[tuple[str, str], Registration] = {}
        for record in machine.store.all(SECRET, SYSTEM_NAMESPACE, _LABEL):
            metadata = record.manifest["metadata"]
            version = f"{metadata['uid']}/{running[0]['metadata']['uid']}"
            for name, content in (record.manifest.get("data") or {}).items():
                key = (metadata["name"], name)
                old = machine.registered.get(key)
                if old is None or old.version != version:
                    known[key] = _read(key, version, record.born, content)
                else:
                    known[key] = old if old.content == content else replace(old, leads=False, closed=True)
        machine.registered = _taken_up(known, environment(running[0]["spec"], "discovery").get("CLUSTER_ID"))
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
    host, port = place_of(one.server)
    try:
        found = network.reach(machine, host, port)
    except ValueError:
        return None
    if not found.is_api or found.machine is None or frontdoor.untrusted(found, host, one.authority):
        return None
    return found.machine if frontdoor.takes(found.machine, one.token) else None


def known(machine: Machine, one: Registration) -> Machine | None:
    """The machine whose objects istiod here has by a registration; None where it has not read all of them yet. What it has read
    once, it goes on with, whatever becomes of the API server, the token and the role: it only hears of no change any more.
    """
    if one.read is None and machine.pace.now() >= one.born + SYNC_SECONDS * machine.pace.speed:
        there = cluster_of(machine, one)
        account = frontdoor.account_of(there, one.token) if there else None
        if there and account and rbac.may_list(there, account, READ):
            one.read = there
    return None if one.closed else one.read


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


def _taken_up(found: dict[tuple[str, str], Registration], own: str | None) -> dict[tuple[str, str], Registration]:
    """Those that istiod takes up: none that is no kubeconfig, none under its own name, and of two with one name the older."""
    first: dict[str, tuple[str, str]] = {}
    for key, one in sorted(found.items(), key=lambda each: each[1].born):
        if one.name != own and one.server:
            first.setdefault(one.name, key)
    return {key: one for key, one in found.items() if first.get(one.name) == key}


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
