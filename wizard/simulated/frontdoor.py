"""What answers where an API server is asked over TLS: the API server itself, or a proxy that stands before it."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

from wizard.clusters.kinds import NAMESPACE, SECRET, SERVICE, SERVICE_ACCOUNT, Object, Ref
from wizard.mesh.model import SYSTEM_NAMESPACE
from wizard.simulated.machine import Machine
from wizard.simulated.network import Reached

READER_TOKEN = "istio-reader-service-account-istio-remote-secret-token"  # noqa: S105 - a name
UNKNOWN_AUTHORITY = "SSL certificate problem: unable to get local issuer certificate"


@dataclass(frozen=True)
class Answered:
    """`problem`: why TLS failed, in curl's words and by its exit code. Else the HTTP status and the body."""

    code: int = 0
    problem: str = ""
    status: int = 0
    body: str = ""


def authority_of(machine: Machine) -> str:
    """The API server's certificate authority: recognisably no certificate."""
    return (
        "-----BEGIN CERTIFICATE-----\n"
        + base64.b64encode(f"simulated API server of {machine.context}".encode()).decode()
        + "\n-----END CERTIFICATE-----\n"
    )


def untrusted(found: Reached, host: str, authority: str, server_name: str = "") -> str:
    """Why a client that trusts this authority does not trust what it meets there, in curl's words; empty where it does."""
    machine = found.machine
    if machine is None:
        return UNKNOWN_AUTHORITY
    front = machine.universe.fronts.get(host)
    if authority.split() != (front.authority if front else authority_of(machine)).split():
        return UNKNOWN_AUTHORITY
    name = server_name or host
    if front or name in _names(machine):
        return ""
    return f"SSL: no alternative certificate subject name matches target host name '{name}'"


def ask(found: Reached, url: str, *, authority: str | None, server_name: str = "", token: str = "") -> Answered:
    """What `found`, which is an API server's place, answers to a GET from a client with these. `authority` None: it verifies
    nothing.
    """
    parts, machine = urlsplit(url), found.machine
    host = parts.hostname or ""
    front = machine.universe.fronts.get(host) if machine else None
    if machine is None or (front and front.resets):
        return Answered(
            35, f"OpenSSL SSL_connect: Connection reset by peer in connection to {host}:{parts.port or 443}"
        )
    problem = "" if authority is None else untrusted(found, host, authority, server_name)
    if problem:
        return Answered(60, problem)
    if front and front.status:
        return Answered(status=front.status, body="<html>who knows</html>")
    if token and not takes(machine, token):
        return Answered(status=401, body=_status("Unauthorized", 401))
    if parts.path == "/version":
        return Answered(status=200, body=json.dumps({"major": "1", "minor": "34", "gitVersion": "v1.34.4"}))
    if not token:
        return Answered(status=403, body=_status("Forbidden", 403))
    record = machine.store.find(Ref(NAMESPACE, parts.path.rpartition("/")[2]))
    if record is None:
        return Answered(status=404, body=_status("NotFound", 404))
    return Answered(status=200, body=json.dumps({"kind": "Namespace", "apiVersion": "v1", **record.show()}))


def takes(machine: Machine, token: str) -> bool:
    """Whether this token is one of an account here."""
    return account_of(machine, token) is not None


def account_of(machine: Machine, token: str) -> Ref | None:
    """The account here whose token this is; None where it is nobody's."""
    encoded = base64.b64encode(token.encode()).decode()
    for secret in _tokens(machine):
        if (secret.get("data") or {}).get("token") == encoded:
            name = (secret["metadata"].get("annotations") or {}).get("kubernetes.io/service-account.name", "")
            return Ref(SERVICE_ACCOUNT, name, SYSTEM_NAMESPACE)
    return None


def _tokens(machine: Machine) -> Iterator[Object]:
    # There may be as many secrets as clusters, so the one that is nearly always meant comes first.
    usual = machine.store.find(Ref(SECRET, READER_TOKEN, SYSTEM_NAMESPACE))
    if usual:
        yield usual.manifest
    for record in machine.store.all(SECRET, SYSTEM_NAMESPACE):
        if record.manifest.get("type") == "kubernetes.io/service-account-token":
            yield record.manifest


def _names(machine: Machine) -> set[str]:
    """For which names and addresses the API server has a certificate."""
    own = machine.store.find(Ref(SERVICE, "kubernetes", "default"))
    service = str(own.manifest["spec"].get("clusterIP")) if own else ""
    nodes = {address for address, at in machine.universe.nodes.items() if at is machine}
    return {service, *nodes, "kubernetes", "kubernetes.default", "kubernetes.default.svc"}


def _status(reason: str, code: int) -> str:
    return json.dumps({"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": reason, "code": code})
