"""What becomes of a request that a client sends to one endpoint, with the failures that Envoy and curl really show."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatch

from wizard.clusters.kinds import Object
from wizard.simulated import authentication, authorization, istiod, mesh, network, policies, proxies, rules
from wizard.simulated.authorization import Request
from wizard.simulated.endpoints import Backend, Endpoint, Port, Service, Tls, View, backends
from wizard.simulated.machine import Machine
from wizard.simulated.network import Reached

_FAILED = (
    "upstream connect error or disconnect/reset before headers. retried and the latest reset reason: remote connection "
    "failure, transport failure reason: "
)
# Until then a gateway held its policies against what it passes on.
_GATEWAYS_WITHOUT_POLICIES = (1, 20)


@dataclass(frozen=True)
class Outcome:
    """What curl makes of one request: what it prints, and what it complains of with which exit code. `status`: that of HTTP, 0
    where there was no answer; `ends`: False where nobody says anything, and curl gives up; `seconds`: how much longer than
    usual it took; `connected`: whether the proxy got a connection.
    """

    out: str = ""
    problem: str = ""
    code: int = 0
    status: int = 0
    ends: bool = True
    seconds: float = 0.0
    connected: bool = True

    @property
    def answers(self) -> bool:
        """Whether it is as it should be."""
        return self.status == 200


def said(body: str, status: int = 503, *, connected: bool = True) -> Outcome:
    """An answer of Envoy's own."""
    return Outcome(body, status=status, connected=connected)


SILENT = Outcome(ends=False, connected=False)
CERTIFICATE = said(
    f"{_FAILED}TLS_error:|268435581:SSL routines:OPENSSL_internal:CERTIFICATE_VERIFY_FAILED:TLS_error_end",
    connected=False,
)
PLAINTEXT = said(
    f"{_FAILED}TLS_error:|268435703:SSL routines:OPENSSL_internal:WRONG_VERSION_NUMBER:TLS_error_end", connected=False
)
REFUSED = said(f"{_FAILED}delayed connect error: Connection refused", connected=False)
RESET = said(
    f"{_FAILED}TLS_error:|33554536:system library:OPENSSL_internal:Connection reset by peer:TLS_error_end",
    connected=False,
)
TERMINATED = said("upstream connect error or disconnect/reset before headers. reset reason: connection termination")
DENIED = said("RBAC: access denied", 403)
UNHEALTHY = said("no healthy upstream")
NO_CLUSTER = said("")
NO_ROUTE = said("", 404)
# What curl itself meets, without a proxy that tells it in HTTP.
CUT_OFF = Outcome(problem="curl: (56) Recv failure: Connection reset by peer", code=56)


def to_endpoint(view: View, endpoint: Endpoint, service: Service, port: Port) -> list[Outcome]:
    """What a proxy gets of an endpoint that it was given: of one behind which several Pods stand, from each in turn."""
    if endpoint.peers:
        return _through(view, endpoint, service, port)
    backend = endpoint.backend
    if backend is None or backend.pod is None:
        return [SILENT]
    return [_directly(view, backend, endpoint.tls, service, port)]


def without_proxy(machine: Machine, pod: Object, found: Sequence[Backend] | None, host: str) -> list[Outcome]:
    """What a client gets that goes to a Service's own address: by kube-proxy, in plain text, from each of these Pods in turn.
    `found`: None where the Service has no such port.
    """
    if found is None:
        return [SILENT]
    if not found:
        return [Outcome(problem="curl: (7) Could not connect to server", code=7)]
    return [_plainly(machine, pod, backend, host) for backend in found]


def _plainly(machine: Machine, pod: Object, backend: Backend, host: str) -> Outcome:
    if backend.pod is None or not _passes(machine, pod, backend):
        return SILENT
    outcome = _served(None, backend, "plain", Request("", _address(pod), backend.port, host))
    return CUT_OFF if outcome is TERMINATED else outcome


def _directly(view: View, backend: Backend, tls: Tls, service: Service, port: Port) -> Outcome:
    """By the Pod's own address."""
    here, there = view.machine, backend.machine
    if there is here:
        if not _passes(here, view.pod, backend):
            return SILENT
    else:
        if not policies.lets_out(here, view.pod, backend.address, backend.port):
            return SILENT
        found = network.reach(here, backend.address, backend.port)
        if found.answer == "silent" or found.machine is not there:
            return SILENT
        if found.answer == "refused":
            return REFUSED
        if not policies.lets_in(there, backend.pod or {}, backend.port, _address(view.pod)):
            return SILENT
    request = _request(view, backend, tls, _address(view.pod), service, port)
    return _served(view, backend, tls, request)


def _passes(machine: Machine, pod: Object, backend: Backend) -> bool:
    """Whether the network plugin of a cluster lets one of its Pods connect to another."""
    to = backend.pod or {}
    return policies.lets_out(machine, pod, backend.address, backend.port, to) and policies.lets_in(
        machine, to, backend.port, _address(pod), pod
    )


def _address(pod: Object) -> str:
    return str((pod.get("status") or {}).get("podIP", ""))


def _through(view: View, endpoint: Endpoint, service: Service, port: Port) -> list[Outcome]:
    """By a gateway of another network."""
    here = view.machine
    if not policies.lets_out(here, view.pod, endpoint.address, endpoint.port):
        return [SILENT]
    found = proxies.reach(here, endpoint.address, endpoint.port)
    if found.answer == "silent":
        return [SILENT]
    if found.answer == "refused" or found.machine is None or not found.pods:
        return [REFUSED]
    there, gateway = found.machine, found.pods[0]
    if there is not here and not policies.lets_in(there, gateway, found.port, here.node_address):
        return [SILENT]
    behind = passed_on(found, endpoint.peers, service.namespace, service.name, port.number)
    return [_inside(view, there, gateway, backend, service, port) for backend in behind] or [RESET]


def _inside(view: View, there: Machine, gateway: Object, backend: Backend, service: Service, port: Port) -> Outcome:
    """From the gateway on to a Pod that stands behind it."""
    own = backend.machine is there
    if not policies.lets_out(there, gateway, backend.address, backend.port, backend.pod if own else None):
        return SILENT
    address = _address(gateway)
    if not policies.lets_in(backend.machine, backend.pod or {}, backend.port, address, gateway if own else None):
        return SILENT
    return _served(view, backend, "mutual", _request(view, backend, "mutual", address, service, port))


def passed_on(found: Reached, peers: Sequence[Machine], namespace: str, name: str, number: int) -> list[Backend]:
    """The Pods of these machines that the gateway which was reached passes a connection on to that asks for a port of that
    Service; none where it closes it.
    """
    if found.machine is None or not found.pods:
        return []
    there, gateway = found.machine, found.pods[0]
    control = proxies.control_plane(there, gateway)
    if control is None:
        return []
    view = View(there, gateway, control)
    service = view.service(namespace, name)
    port = service.ports.get(number) if service else None
    if (
        service is None
        or port is None
        or not view.sees(service)
        or not _opens(found, service)
        or _forbids(view, number)
    ):
        return []
    forced = rules.tls_mode(view.rule(service), "", number)
    return [
        backend
        for peer in peers
        if mesh.leads_to(there, control, peer)
        for backend in backends(peer, service, port, {})
        if view.mutual(backend, forced)
    ]


def _opens(found: Reached, service: Service) -> bool:
    """Whether a Gateway tells the proxy that was reached to pass on what is meant for this Service."""
    return any(
        (server.get("tls") or {}).get("mode") == "AUTO_PASSTHROUGH"
        and any(fnmatch(service.host, str(host).rpartition("/")[2]) for host in server.get("hosts") or [])
        for _, server in proxies.servers(found)
    )


def _forbids(view: View, number: int) -> bool:
    """Whether the gateway's own policies keep it from passing anything on."""
    if mesh.version_of(view.control) >= _GATEWAYS_WITHOUT_POLICIES:
        return False
    request = Request("", "", number, http=False)
    return authorization.denies(view.control, view.namespace, view.labels, request, view.root)


def _request(view: View, backend: Backend, tls: Tls, address: str, service: Service, port: Port) -> Request:
    """What the server's proxy sees of it."""
    account = view.pod["spec"].get("serviceAccountName") or "default"
    identity = f"{mesh.trust_domain(view.control)}/ns/{view.namespace}/sa/{account}"
    host = f"{service.name}.{service.namespace}:{port.number}"
    return Request(identity if tls == "mutual" else "", address, backend.port, host, http=port.http)


def _served(view: View | None, backend: Backend, tls: Tls, request: Request) -> Outcome:
    """What the Pod says that was reached. `view`: of the client's proxy, None: it has none."""
    pod = backend.pod or {}
    answer = Outcome(f"{_hello(pod)}\n", status=200)
    if not istiod.has_sidecar(pod):
        return answer if tls == "plain" else PLAINTEXT
    server = proxies.control_plane(backend.machine, pod)
    if server is None:
        return answer if tls == "plain" else CERTIFICATE
    metadata = pod["metadata"]
    labels, root = metadata.get("labels") or {}, mesh.root_of(mesh.config_of(server))
    mode = authentication.mode(server, metadata["namespace"], labels, backend.port, root)
    if tls == "mutual":
        if mode == authentication.DISABLE:
            return PLAINTEXT
        if view is None or not mesh.trusts(view.control, server):
            return CERTIFICATE
    elif mode == authentication.STRICT and tls == "plain":
        return TERMINATED
    elif tls == "simple":
        # Of TLS a server with HTTP takes only Istio's own; one that takes none hands it to the application.
        return PLAINTEXT if mode == authentication.DISABLE else RESET
    if authorization.denies(server, metadata["namespace"], labels, request, root):
        return DENIED if request.http else TERMINATED
    return answer


def in_tcp(outcome: Outcome) -> Outcome:
    """What curl gets of it where its proxy reads no HTTP, and so cannot say anything."""
    return outcome if outcome.answers or not outcome.ends else replace(CUT_OFF, connected=outcome.connected)


def _hello(pod: Object) -> str:
    version = (pod["metadata"].get("labels") or {}).get("version", "v1")
    for container in pod["spec"]["containers"]:
        for variable in container.get("env") or []:
            if variable["name"] == "SERVICE_VERSION":
                version = variable.get("value", version)
    return f"Hello version: {version}, instance: {pod['metadata']['name']}"
