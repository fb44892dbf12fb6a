"""TLS with a gateway, as a program speaks it that has no workload's certificate: it ends with the peer workload asking for one,
where the gateway passes it on.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from itertools import pairwise
from urllib.parse import urlsplit

from wizard.clusters.kinds import SERVICE, Object, Ref
from wizard.clusters.port import Executed
from wizard.mesh.addresses import bracketed
from wizard.simulated import istiod, mesh, network, policies, proxies
from wizard.simulated.machine import Machine
from wizard.simulated.network import Reached

REQUEST = 0.06  # seconds
# By what it offers beside the SNI a gateway tells mTLS of the mesh from other TLS (Istio: `allIstioMtlsALPNs`).
_ISTIO = {"istio", "istio-peer-exchange", "istio-http/1.0", "istio-http/1.1", "istio-h2"}
_SNI = re.compile(r"outbound_\.(\d+)_\._\.([a-z0-9-]+)\.([a-z0-9-]+)\.svc\.(.+)")
_MOVED = re.compile(r"([^:]+):(\d+):\[?(.+?)\]?:(\d+)")


@dataclass(frozen=True)
class _Target:
    address: str
    port: int

    def __str__(self) -> str:
        return f"{bracketed(self.address)}:{self.port}"


def curl(machine: Machine, pod: Object, url: str, moved: str, connect: float, *, spoken: bool) -> Executed:
    """`curl -k --connect-to MOVED URL`, with that many (scaled) seconds to connect; `spoken`: with what `-v` adds. It offers
    HTTP and nothing of Istio's, so that a gateway passes none of it on.
    """
    parts, found = urlsplit(url), _MOVED.fullmatch(moved)
    if not found or (found[1], int(found[2])) != (parts.hostname, parts.port or 443):
        return Executed("", f"* Could not resolve host: {parts.hostname}\n" if spoken else "", 6)
    target = _Target(found[3], int(found[4]))
    met = _met(machine, pod, target)
    machine.pace.sleep(connect if met.answer == "silent" else REQUEST)
    told = f"* Connecting to hostname: {target.address}\n* Connecting to port: {target.port}\n*   Trying {target}...\n"
    code = {"open": 35, "refused": 7, "silent": 28}[met.answer]
    if met.answer == "open":
        told += (
            f"* Connected to {target.address} ({target.address}) port {target.port}\n* ALPN: offers h2,http/1.1\n"
            "* TLSv1.3 (OUT), TLS handshake, Client hello (1):\n* Recv failure: Connection reset by peer\n"
            f"* OpenSSL SSL_connect: Connection reset by peer in connection to {parts.hostname}:{parts.port or 443} \n"
        )
    elif met.answer == "refused":
        told += (
            f"* connect to {target.address} port {target.port} failed: Connection refused\n"
            f"* Failed to connect to {target.address} port {target.port} after 0 ms: Couldn't connect to server\n"
        )
    else:
        told += (
            f"* Failed to connect to {target.address} port {target.port} after {int(connect * 1000) + 1} ms: "
            "Timeout was reached\n"
        )
    return Executed("", f"{told}* Closing connection\n" if spoken else "", code)


def openssl(machine: Machine, pod: Object, arguments: Sequence[str], seconds: float) -> Executed:
    """`openssl s_client -connect ADDRESS:PORT -servername SNI -alpn PROTOCOLS -brief`, with nothing to send. It has no timeout of
    its own: where nobody answers it does not end within the (scaled) seconds.
    """
    options = dict(pairwise(arguments))
    address, _, port = options.get("-connect", "").rpartition(":")
    if list(arguments[:1]) != ["s_client"] or not port.isdigit():
        return Executed("", "s_client: Use -help for summary. (simulated)\n", 1)
    met = _met(machine, pod, _Target(address.strip("[]"), int(port)))
    if met.answer == "silent":
        machine.pace.sleep(seconds)
        return Executed("", f"\nno end within {seconds:.0f} s", -1)
    machine.pace.sleep(REQUEST)
    if met.answer == "refused":
        told = "40C7BF6B8A7F0000:error:8000006F:system library:BIO_connect:Connection refused:calling connect()\n"
        return Executed("", f"{told}connect:errno=111\n", 1)
    offered = set(options.get("-alpn", "").split(","))
    if not (offered & _ISTIO and any(_asking(met, options.get("-servername", "")))):
        return Executed("", "write:errno=104\n", 1)
    return Executed(
        "",
        "depth=0 \nverify error:num=20:unable to get local issuer certificate\nCONNECTION ESTABLISHED\n"
        "Protocol version: TLSv1.3\nCiphersuite: TLS_AES_256_GCM_SHA384\nPeer certificate: \nHash used: SHA256\n"
        "Signature type: RSA-PSS\nVerification error: unable to get local issuer certificate\n"
        "Server Temp Key: X25519, 253 bits\nDONE\n",
        0,
    )


def _met(machine: Machine, pod: Object, target: _Target) -> Reached:
    for each in machine.universe.machines:
        with each.settled():
            pass
    if not policies.lets_out(machine, pod, target.address, target.port):
        return network.SILENT
    return proxies.reach(machine, target.address, target.port)


def _asking(met: Reached, sni: str) -> Iterator[Object]:
    """The Pods to which a gateway that was met passes on what is meant for this SNI; their proxies ask for a certificate."""
    asked, there = _SNI.fullmatch(sni), met.machine
    control = proxies.control_plane(there, met.pods[0]) if there and met.pods else None
    if asked is None or there is None or control is None or asked[4] != istiod.domain(control):
        return
    host = sni.partition("_._.")[2]
    for _, server in proxies.servers(met):
        passes = (server.get("tls") or {}).get("mode") == "AUTO_PASSTHROUGH"
        if passes and any(fnmatch(host, str(each)) for each in server.get("hosts") or []):
            for peer in mesh.read_by(control):
                if mesh.leads_to(there, control, peer):
                    yield from _behind(peer, Ref(SERVICE, asked[2], asked[3]), int(asked[1]))


def _behind(peer: Machine, service: Ref, port: int) -> list[Object]:
    """The Pods with a sidecar behind a Service's port: to others no gateway passes on."""
    record = peer.store.find(service)
    found = network.reach(peer, str(record.manifest["spec"].get("clusterIP")), port) if record else network.SILENT
    return [pod for pod in found.pods if istiod.has_sidecar(pod)]
