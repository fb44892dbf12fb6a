"""The proxies between which the traffic of a mesh passes, and the certificates that each of them really holds."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from urllib.parse import urlsplit

from wizard.checks.standing.gateways import ready_pods_of
from wizard.checks.standing.samples import pods_of
from wizard.checks.standing.view import Here
from wizard.clusters.kinds import POD, Object, Ref
from wizard.clusters.shapes import Shape
from wizard.istio.proxies import has_sidecar
from wizard.mesh.sample import CLIENT
from wizard.mesh.sample import SERVICE as SERVER
from wizard.objects.pods import is_ready

Role = Literal["client", "server", "gateway"]
_CERTS: Shape = {
    "certificates": [
        {
            "ca_cert": [{"serial_number": str}],
            "cert_chain": [{"subject_alt_names": [{"uri": str}], "expiration_time": str}],
        }
    ]
}


@dataclass(frozen=True)
class Held:
    """What a proxy holds of the mesh. `roots`: the serial numbers of those that it trusts; `domains`: the trust domains in its
    own identity; `expires`: when its own certificate does, None where it does not tell.
    """

    pod: Ref
    role: Role
    roots: frozenset[int]
    domains: frozenset[str]
    expires: datetime | None


def held(here: Here) -> list[Held]:
    """The certificates of the east-west gateway's proxies, and of the sample's."""
    return [_of(role, pod, here.envoy_page(pod, "certs", _CERTS)) for role, pod in proxies(here)]


def proxies(here: Here) -> Iterator[tuple[Role, Object]]:
    """The Pods that are ready and have a proxy: the sample's, and those of the east-west gateway."""
    roles: list[tuple[Role, list[Object]]] = [
        ("client", pods_of(here, CLIENT)),
        ("server", pods_of(here, SERVER)),
        ("gateway", ready_pods_of(here)),
    ]
    for role, pods in roles:
        for pod in pods:
            if is_ready(pod) and has_sidecar(pod):
                yield role, pod


def _of(role: Role, pod: Object, page: Any) -> Held:
    roots: set[int] = set()
    domains: set[str] = set()
    ends: list[datetime] = []
    for each in page.get("certificates") or []:
        chain = each.get("cert_chain") or []
        told = {_domain(name.get("uri", "")) for own in chain for name in own.get("subject_alt_names") or []} - {""}
        if told:  # else it is none of the mesh's, such as one that a gateway shows to browsers
            domains |= told
            roots |= {number for one in each.get("ca_cert") or [] if (number := _number(one.get("serial_number", "")))}
            ends += [end for own in chain if (end := _time(own.get("expiration_time", "")))]
    ref = Ref(POD, str(pod["metadata"]["name"]), str(pod["metadata"]["namespace"]))
    return Held(ref, role, frozenset(roots), frozenset(domains), min(ends, default=None))


def _domain(uri: str) -> str:
    try:
        parts = urlsplit(uri)
    except ValueError:
        return ""
    return parts.netloc if parts.scheme == "spiffe" else ""


def _number(serial: str) -> int:
    try:
        return int(serial, 16)
    except ValueError:
        return 0


def _time(text: str) -> datetime | None:
    try:
        read = datetime.fromisoformat(text)
    except ValueError:
        return None
    return read if read.tzinfo else None
