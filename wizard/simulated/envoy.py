"""The admin pages of a proxy, as `pilot-agent request GET` shows them: Envoy leaves out of its JSON what is zero or empty."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta

from cryptography import x509

from wizard.clusters.kinds import ISTIO_GATEWAY, Object
from wizard.clusters.port import Executed
from wizard.simulated import istiod, mesh, proxies, scope
from wizard.simulated.endpoints import Endpoint, Port, Service, View
from wizard.simulated.machine import Machine
from wizard.simulated.network import SIDECAR
from wizard.simulated.pace import made_uid
from wizard.simulated.traffic import Traffic

_ALWAYS = (15021, 15090)  # health and metrics, in every proxy
_VIRTUAL = {"virtualOutbound": 15001, "virtualInbound": 15006}
_HTTP = frozenset({"http", "http2", "grpc"})
_COUNTERS = ("cx_connect_fail", "rq_error", "rq_success")
_LEAF_LIVES = timedelta(hours=24)
_UNREADABLE_LIVES = timedelta(days=3650)  # of a root that is no certificate, as tests have them
_REFUSED = (
    'Error: failed to execute command on Envoy: Get "http://localhost:15000/{path}": dial tcp [::1]:15000: connect: '
    "connection refused\n"
)


def asked(traffic: Traffic, machine: Machine, pod: Object, container: str, arguments: Sequence[str]) -> Executed:
    """What `pilot-agent` with these arguments prints in a container of a Pod."""
    if container != SIDECAR:
        return Executed("", 'exec: "pilot-agent": executable file not found in $PATH (simulated)\n', 127)
    if list(arguments[:2]) != ["request", "GET"] or len(arguments) < 3:
        return Executed("", "Error: unknown command (simulated)\n", 1)
    path = arguments[2].lstrip("/")
    view = traffic.view(machine, pod)
    if view is None:
        return Executed("", _REFUSED.format(path=path), 1)
    page: Object
    if path == "clusters?format=json":
        page = {"cluster_statuses": [*_outbound(traffic, view), *_own()]}
    elif path == "listeners?format=json":
        page = {"listener_statuses": [_listener(*each) for each in _listeners(view)]}
    elif path == "certs":
        page = {"certificates": [{"ca_cert": _roots(view), "cert_chain": [_leaf(view)]}]}
    elif path.startswith("stats?") and path.endswith("format=json"):
        page = {"stats": []}  # nothing is ever rejected here
    else:
        return Executed("", "Error: received unsuccessful status code 404: invalid path. (simulated)\n", 1)
    return Executed(f"{json.dumps(page, indent=1)}\n", "", 0)


# -- clusters


def _outbound(traffic: Traffic, view: View) -> Iterator[Object]:
    passes_on = any((server.get("tls") or {}).get("mode") == "AUTO_PASSTHROUGH" for server in _servers(view))
    for service in view.services():
        for port in service.ports.values():
            if not view.sees(service, port.number):
                continue
            found = _hosts(traffic, view, service, port)
            yield _cluster(traffic, view, f"outbound|{port.number}||{service.host}", found)
            if passes_on:
                # To these it passes on by the name that the client's TLS asks for, where it can be sure of mTLS.
                mutual = [each for each in found if each.tls == "mutual"]
                yield _cluster(traffic, view, f"outbound_.{port.number}_._.{service.host}", mutual)


def _hosts(traffic: Traffic, view: View, service: Service, port: Port) -> list[Endpoint]:
    found = traffic.endpoints(view, service, port) or []
    if not proxies.is_gateway(view.pod):
        return found
    # A gateway for other networks is given what stands on its own.
    return [each for each in found if not each.peers and each.network in ("", view.network)]


def _cluster(traffic: Traffic, view: View, name: str, found: Sequence[Endpoint]) -> Object:
    told: Object = {"name": name, "added_via_api": True}
    if found:
        told["host_statuses"] = [_host(traffic, view, name, each) for each in found]
    return told


def _host(traffic: Traffic, view: View, cluster: str, endpoint: Endpoint) -> Object:
    counted = traffic.counted(view.machine, view.pod, cluster, endpoint)
    stats = [{"name": name, **({"value": str(counted[name])} if counted[name] else {})} for name in _COUNTERS]
    health: Object = {"eds_health_status": "HEALTHY"}
    if not endpoint.healthy:
        health["failed_outlier_check"] = True
    names = zip(("region", "zone", "sub_zone"), endpoint.locality, strict=True)
    told: Object = {
        "address": _address(endpoint.address, endpoint.port),
        "stats": stats,
        "health_status": health,
        "weight": endpoint.weight,
        "locality": {name: value for name, value in names if value},
    }
    if endpoint.priority:
        told["priority"] = endpoint.priority
    return told


def _own() -> Iterator[Object]:
    """Those that every proxy has."""
    for name in ("BlackHoleCluster", "PassthroughCluster"):
        yield {"name": name, "added_via_api": True}
    for name in ("agent", "prometheus_stats", "sds-grpc", "xds-grpc"):
        yield {"name": name}


# -- listeners


def _listeners(view: View) -> Iterator[tuple[str, str, int]]:
    """(name, address, port) of each; those that came with the proxy have a name that says nothing."""
    everywhere = "0.0.0.0"  # noqa: S104 - what Envoy shows
    for number in _ALWAYS:
        yield made_uid(view.pod["metadata"]["uid"], number), everywhere, number
    if proxies.is_gateway(view.pod):
        for number in sorted({int((server.get("port") or {}).get("number") or 0) for server in _servers(view)} - {0}):
            yield f"{everywhere}_{number}", everywhere, number
        return
    for name, number in _VIRTUAL.items():
        yield name, everywhere, number
    told: dict[tuple[str, int], None] = {}
    for service in view.services():
        own = str(service.manifest["spec"].get("clusterIP") or everywhere)
        for port in service.ports.values():
            shared = service.headless or port.name.partition("-")[0] in _HTTP
            told[everywhere if shared else own, port.number] = None
    for address, number in told:
        yield f"{address}_{number}", address, number


def _servers(view: View) -> Iterator[Object]:
    """What the Gateways ask of this proxy that select it."""
    if not proxies.is_gateway(view.pod):
        return
    for record in view.control.store.all(ISTIO_GATEWAY):
        spec = scope.spec_of(record.manifest)
        if (spec.get("selector") or {}).items() <= view.labels.items():
            yield from spec.get("servers") or []


def _listener(name: str, address: str, port: int) -> Object:
    return {"name": name, "local_address": _address(address, port)}


def _address(address: str, port: int) -> Object:
    return {"socket_address": {"address": address, "port_value": port}}


# -- certificates


def _roots(view: View) -> list[Object]:
    """What the proxy trusts: the root that its istiod signs for."""
    held = istiod.root_of(view.control) or b""
    try:
        return [
            _certificate(_hexadecimal(each.serial_number), each.not_valid_before_utc, each.not_valid_after_utc, view)
            for each in x509.load_pem_x509_certificates(held)
        ]
    except ValueError:
        began = view.machine.clock().replace(hour=0, minute=0, second=0, microsecond=0)
        return [_certificate(_serial(held), began, began + _UNREADABLE_LIVES, view)]


def _leaf(view: View) -> Object:
    """The proxy's own, made anew when half of its life is over."""
    born = datetime.fromisoformat(str(view.pod["metadata"]["creationTimestamp"]).replace("Z", "+00:00"))
    half = _LEAF_LIVES / 2
    began = born + half * max((view.machine.clock() - born) // half, 0)
    serial = _serial(istiod.root_of(view.control) or b"", view.pod["metadata"]["uid"].encode(), str(began).encode())
    account = view.pod["spec"].get("serviceAccountName") or "default"
    name = f"spiffe://{mesh.trust_domain(view.control)}/ns/{view.namespace}/sa/{account}"
    return {**_certificate(serial, began, began + _LEAF_LIVES, view), "subject_alt_names": [{"uri": name}]}


def _certificate(serial: str, began: datetime, ends: datetime, view: View) -> Object:
    left = max((ends - view.machine.clock()).days, 0)
    return {
        "path": "<inline>",
        "serial_number": serial,
        "subject_alt_names": [],
        "days_until_expiration": str(left),
        "valid_from": _stamp(began),
        "expiration_time": _stamp(ends),
    }


def _hexadecimal(serial: int) -> str:
    return serial.to_bytes((serial.bit_length() + 7) // 8 or 1, "big").hex()


def _serial(*parts: bytes) -> str:
    return hashlib.sha256(b"\0".join(parts)).hexdigest()[:32]


def _stamp(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
