"""What the proxy of the sample's client knows of the sample's Service: its endpoints, as Envoy's admin page tells them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from wizard.checks.standing.samples import client_proxies, pods_of
from wizard.checks.standing.view import Here, View
from wizard.clusters.kinds import POD, Object, Ref
from wizard.clusters.shapes import Shape
from wizard.istio.proxies import PROXY
from wizard.mesh.addresses import bracketed, canonical
from wizard.mesh.sample import PORT, SERVICE
from wizard.objects.pods import is_ready
from wizard.text import quoted

PAGE = "clusters?format=json"
_PAGE: Shape = {
    "cluster_statuses": [
        {
            "name": str,
            "host_statuses": [
                {
                    "address": {"socket_address": {"address": str, "port_value": int}},
                    "stats": [{"name": str}],
                    "health_status": {"eds_health_status": str, "failed_outlier_check": bool},
                    "priority": int,
                }
            ],
        }
    ]
}
_DIGITS = 20  # of the largest count
_SERVING = ("HEALTHY", "UNKNOWN", "")  # where nobody said anything of its health, Envoy takes it for healthy


@dataclass(frozen=True)
class Endpoint:
    """One of them. `failed`, `answered`: connections that could not be made, requests that were answered, since the proxy knows
    it; `health`: as istiod told it; `ejected`: left out for a while, since it failed too often; `priority`: 0 is asked first.
    """

    address: str
    port: int
    failed: int = 0
    answered: int = 0
    health: str = ""
    ejected: bool = False
    priority: int = 0

    @property
    def place(self) -> str:
        """`address:port`."""
        return f"{bracketed(self.address)}:{self.port}"

    @property
    def is_serving(self) -> bool:
        """Whether the proxy may ask it now."""
        return self.health in _SERVING and not self.ejected


@dataclass(frozen=True)
class Known:
    """What one client's proxy knows. `endpoints`: None where it knows no such Service."""

    pod: Ref
    endpoints: tuple[Endpoint, ...] | None


def known(here: Here) -> Known | None:
    """What the first client here that has a sidecar knows; None where there is none. Failed where it cannot be asked."""
    for pod in client_proxies(here):
        ref = Ref(POD, str(pod["metadata"]["name"]), str(pod["metadata"]["namespace"]))
        return Known(ref, _endpoints(here, pod))
    return None


def inner_addresses(there: Here) -> frozenset[str]:
    """The addresses of the Pods that serve there, which only its own network reaches."""
    status = [pod.get("status") or {} for pod in pods_of(there, SERVICE) if is_ready(pod)]
    return frozenset(
        canonical(address)
        for each in status
        for address in [each.get("podIP"), *(one.get("ip") for one in each.get("podIPs") or [])]
        if address
    )


def outer_addresses(view: View, network: str) -> frozenset[str] | None:
    """Where other networks reach this one, as the mesh file plans it; None where only the clusters know."""
    members = [each for each in view.mesh.clusters if each.network == network]
    if view.inferred or not all(each.gateway.addresses for each in members):
        return None
    return frozenset(canonical(address) for each in members for address in each.gateway.addresses)


def read_again(here: Here, pod: Ref, page: str) -> str:
    """The command that shows an admin page of the proxy in this Pod."""
    return (
        f"{here.kubectl} -n {quoted(pod.namespace)} exec {quoted(pod.name)} -c {PROXY} -- "
        f"pilot-agent request GET {quoted(page)}"
    )


def _endpoints(here: Here, pod: Object) -> tuple[Endpoint, ...] | None:
    wanted = f"outbound|{PORT}||{SERVICE}.{here.mesh.verify.namespace}.svc."
    for each in here.envoy_page(pod, PAGE, _PAGE).get("cluster_statuses") or []:
        if each.get("name", "").startswith(wanted):
            return tuple(_endpoint(host) for host in each.get("host_statuses") or [])
    return None


def _endpoint(host: Any) -> Endpoint:
    socket = (host.get("address") or {}).get("socket_address") or {}
    health = host.get("health_status") or {}
    stats = {stat.get("name"): _number(stat.get("value")) for stat in host.get("stats") or []}
    return Endpoint(
        canonical(socket.get("address", "")),
        socket.get("port_value", 0),
        stats.get("cx_connect_fail", 0),
        stats.get("rq_success", 0),
        health.get("eds_health_status", ""),
        health.get("failed_outlier_check", False),
        host.get("priority", 0),
    )


def _number(value: object) -> int:
    """A count, which Envoy writes as text, and leaves out where it is 0."""
    text = str(value)
    return int(text) if text.isdecimal() and len(text) <= _DIGITS else 0
