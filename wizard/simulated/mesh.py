"""Honest traffic: who answers follows from what stands in the clusters, with the failures that Istio and Envoy really show.

Written for clusters on different networks with an istiod each, which is what the wizard's topology `multi-primary` makes.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import yaml

from wizard.clusters.kinds import CONFIG_MAP, ISTIO_GATEWAY, NAMESPACE, POD, SECRET, SERVICE, Object, Ref
from wizard.mesh.model import GATEWAY_NAME, GATEWAY_TLS_PORT, SYSTEM_NAMESPACE
from wizard.simulated import istiod
from wizard.simulated.machine import Machine
from wizard.simulated.pods import is_ready

NETWORK_LABEL = "topology.istio.io/network"
SYNC_SECONDS = 5.0  # until istiod has read a peer whose remote secret is new
CERTIFICATE = (
    "upstream connect error or disconnect/reset before headers. retried and the latest reset reason: remote connection "
    "failure, transport failure reason: TLS_error:|268435581:SSL routines:OPENSSL_internal:CERTIFICATE_VERIFY_FAILED:"
    "TLS_error_end"
)
REFUSED = (
    "upstream connect error or disconnect/reset before headers. retried and the latest reset reason: remote connection "
    "failure, transport failure reason: delayed connect error: Connection refused"
)
RESET = (
    "upstream connect error or disconnect/reset before headers. retried and the latest reset reason: remote connection "
    "failure, transport failure reason: TLS_error:|33554536:system library:OPENSSL_internal:Connection reset by peer:"
    "TLS_error_end"
)
UNHEALTHY = "no healthy upstream"


@dataclass(frozen=True)
class Upstream:
    """One endpoint as the sidecar sees it. With `answer` it answers; else `body` is what Envoy says, empty: it times out."""

    answer: str = ""
    body: str = ""


class Traffic:
    """The network between the machines of one universe. No machine's lock is held while another's is taken."""

    def __init__(self, machines: Sequence[Machine]) -> None:
        self.machines = machines

    def upstreams(self, here: Machine, namespace: str, *, injected: bool) -> list[Upstream] | None:
        """What stands behind helloworld for a client in this cluster; None where the name does not resolve."""
        if here.found(Ref(SERVICE, "helloworld", namespace)) is None:
            return None
        found = [Upstream(answer=_hello(pod)) for pod in _backends(here, namespace)]
        if injected:
            for peer in self.machines:
                if peer is not here and _knows(here, peer):
                    # An endpoint without a proxy takes no mTLS, so istiod gives it to nobody on another network.
                    pods = [pod for pod in _backends(peer, namespace) if istiod.has_sidecar(pod)]
                    problem = self._problem(here, peer) if pods else None
                    found += [problem or Upstream(answer=_hello(pod)) for pod in pods]
        return found

    def _problem(self, here: Machine, peer: Machine) -> Upstream | None:
        """What keeps the sidecars here from the pods of a known peer; None: nothing."""
        by_ip = Upstream()  # without a gateway istiod gives out the pod's own address, which leads nowhere
        network = _network(peer)
        if not network or not _network(here) or network == _network(here):
            return by_ip
        gateways = _gateways(here, peer, network)
        if not gateways:
            return by_ip
        # Envoy spreads over all gateways of a network; one that fails is enough to show.
        for address, port in gateways:
            problem = self._through(here, peer, address, port)
            if problem:
                return problem
        return None

    def _through(self, here: Machine, peer: Machine, address: str, port: int) -> Upstream | None:
        there = next((machine for machine in self.machines if machine.node_address == address), None)
        if there is None or port in there.blocked_ports:
            return Upstream()
        if not _listens(there, port) or not _gateway_pods(there):
            return Upstream(body=REFUSED)
        if there is not peer or not _passes(peer):
            return Upstream(body=RESET)
        root = _root(here)
        if root is None or root != _root(peer) or _trust_domain(here) != _trust_domain(peer):
            return Upstream(body=CERTIFICATE)
        return None


def remote_clusters(here: Machine) -> list[Object]:
    """The clusters that istiod here reads, as its `/debug/clusterz` tells."""
    told: list[Object] = [{"id": _cluster_id(here), "syncStatus": "synced"}]
    for secret in _remote_secrets(here):
        for name in secret.get("data") or {}:
            told.append(
                {
                    "id": name,
                    "secretName": f"{SYSTEM_NAMESPACE}/{secret['metadata']['name']}",
                    "syncStatus": "synced" if _synced(here, secret) else "syncing",
                }
            )
    return told


def networks_of(here: Machine) -> dict[str, Any]:
    """The meshNetworks that istiod here works with."""
    return dict(_yaml(_istio_config(here).get("meshNetworks")).get("networks") or {})


def _istio_config(here: Machine) -> dict[str, str]:
    config = here.found(Ref(CONFIG_MAP, "istio", SYSTEM_NAMESPACE))
    return (config or {}).get("data") or {}


@lru_cache(maxsize=4096)
def _parsed(text: str) -> dict[str, Any]:
    # Asked for every pair of clusters and every request, and YAML is slow to read. Nobody changes the answer.
    try:
        loaded = yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506 - a safe loader
    except yaml.YAMLError:
        return {}
    return loaded if isinstance(loaded, dict) else {}


def _yaml(text: str | None) -> dict[str, Any]:
    return _parsed(text or "")


def _trust_domain(here: Machine) -> str:
    return str(_yaml(_istio_config(here).get("mesh")).get("trustDomain") or "cluster.local")


def _root(machine: Machine) -> bytes | None:
    with machine.lock:
        return istiod.root_of(machine)


def _cluster_id(machine: Machine) -> str | None:
    with machine.lock:
        return istiod.cluster_id(machine)


def _network(machine: Machine) -> str:
    namespace = machine.found(Ref(NAMESPACE, SYSTEM_NAMESPACE)) or {"metadata": {}}
    return str((namespace["metadata"].get("labels") or {}).get(NETWORK_LABEL, ""))


def _matching(machine: Machine, namespace: str, selector: dict[str, str]) -> list[Object]:
    return [
        pod
        for pod in machine.listed(POD, namespace)
        if selector and is_ready(pod) and selector.items() <= (pod["metadata"].get("labels") or {}).items()
    ]


def _backends(machine: Machine, namespace: str) -> list[Object]:
    """The ready pods behind this cluster's own helloworld Service."""
    service = machine.found(Ref(SERVICE, "helloworld", namespace))
    return _matching(machine, namespace, service["spec"].get("selector") or {}) if service else []


def _hello(pod: Object) -> str:
    version = (pod["metadata"].get("labels") or {}).get("version", "v1")
    for container in pod["spec"]["containers"]:
        for variable in container.get("env") or []:
            if variable["name"] == "SERVICE_VERSION":
                version = variable.get("value", version)
    return f"Hello version: {version}, instance: {pod['metadata']['name']}"


def _remote_secrets(here: Machine) -> list[Object]:
    return here.listed(SECRET, SYSTEM_NAMESPACE, "istio/multiCluster=true")


def _synced(here: Machine, secret: Object) -> bool:
    metadata = secret["metadata"]
    with here.lock:
        record = here.store.find(Ref(SECRET, metadata["name"], metadata["namespace"]))
    return record is not None and here.pace.now() >= record.born + SYNC_SECONDS * here.pace.speed


def _knows(here: Machine, peer: Machine) -> bool:
    """Whether istiod here reads the peer: a remote secret with the peer's own name, address and a living token."""
    with here.lock:
        if not istiod.running(here):
            return False
    name = _cluster_id(peer)
    for secret in _remote_secrets(here):
        content = (secret.get("data") or {}).get(name or "")
        if content and _synced(here, secret):
            kubeconfig = _yaml(base64.b64decode(content).decode(errors="replace"))
            try:
                server = kubeconfig["clusters"][0]["cluster"]["server"]
                token = kubeconfig["users"][0]["user"]["token"]
            except (KeyError, IndexError, TypeError):
                continue
            if server == peer.server and not peer.unreachable and _token_lives(peer, token):
                return True
    return False


def _token_lives(peer: Machine, token: str) -> bool:
    encoded = base64.b64encode(str(token).encode()).decode()
    return any((secret.get("data") or {}).get("token") == encoded for secret in peer.listed(SECRET, SYSTEM_NAMESPACE))


def _gateways(here: Machine, peer: Machine, network: str) -> list[tuple[str, int]]:
    """Where istiod here sends what is meant for the peer's network."""
    service = peer.found(Ref(SERVICE, GATEWAY_NAME, SYSTEM_NAMESPACE))
    labels = (service or {"metadata": {}})["metadata"].get("labels") or {}
    if service and labels.get(NETWORK_LABEL) == network and service["spec"].get("externalIPs"):
        return [(address, GATEWAY_TLS_PORT) for address in service["spec"]["externalIPs"]]
    entry = networks_of(here).get(network) or {}
    name = _cluster_id(peer)
    if name not in [endpoint.get("fromRegistry") for endpoint in entry.get("endpoints") or []]:
        return []
    return [(str(gateway.get("address")), int(gateway.get("port") or 0)) for gateway in entry.get("gateways") or []]


def _listens(there: Machine, port: int) -> bool:
    """Whether the node answers there on behalf of its east-west gateway's TLS port."""
    service = there.found(Ref(SERVICE, GATEWAY_NAME, SYSTEM_NAMESPACE))
    spec = (service or {}).get("spec") or {}
    if port == GATEWAY_TLS_PORT and there.node_address in (spec.get("externalIPs") or []):
        return True
    return any(each["port"] == GATEWAY_TLS_PORT and each.get("nodePort") == port for each in spec.get("ports") or [])


def _gateway_pods(there: Machine) -> list[Object]:
    service = there.found(Ref(SERVICE, GATEWAY_NAME, SYSTEM_NAMESPACE)) or {"spec": {}}
    return _matching(there, SYSTEM_NAMESPACE, service["spec"].get("selector") or {})


def _passes(peer: Machine) -> bool:
    """Whether a Gateway opens port 15443 of the peer's gateway for the mesh's services."""
    for gateway in peer.listed(ISTIO_GATEWAY):
        spec = gateway.get("spec") or {}
        chosen = (spec.get("selector") or {}).items()
        selected = [pod for pod in _gateway_pods(peer) if chosen <= (pod["metadata"].get("labels") or {}).items()]
        for server in spec.get("servers") or []:
            if (
                selected
                and (server.get("port") or {}).get("number") == GATEWAY_TLS_PORT
                and (server.get("tls") or {}).get("mode") == "AUTO_PASSTHROUGH"
                and {"*.local", "*"} & set(server.get("hosts") or [])
            ):
                return True
    return False
