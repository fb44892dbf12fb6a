"""Whether a workload takes a request, as AuthorizationPolicies tell its istiod."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from wizard.clusters.kinds import AUTHORIZATION_POLICY, Object
from wizard.clusters.selectors import selects
from wizard.simulated import scope
from wizard.simulated.machine import Machine
from wizard.simulated.policies import within


@dataclass(frozen=True)
class Request:
    """What the server's proxy sees of a request. `principal`: the client's identity without `spiffe://`, empty without mTLS;
    `address`: whoever opened the connection; `http`: whether the proxy reads HTTP, else it sees the connection only.
    """

    principal: str
    address: str
    port: int
    host: str = ""
    method: str = "GET"
    path: str = "/hello"
    http: bool = True

    @property
    def namespace(self) -> str:
        """That of the client's account, empty where it is unknown."""
        parts = self.principal.split("/")
        return parts[2] if len(parts) > 2 else ""


_HTTP_ONLY = frozenset({"hosts", "methods", "paths", "requestPrincipals"})
_SOURCE: Mapping[str, Callable[[Request], str]] = {
    "principals": lambda request: request.principal,
    "namespaces": lambda request: request.namespace,
    "requestPrincipals": lambda request: "",
}
_OPERATION: Mapping[str, Callable[[Request], str]] = {
    "hosts": lambda request: request.host,
    "ports": lambda request: str(request.port),
    "methods": lambda request: request.method,
    "paths": lambda request: request.path,
}
_CONDITIONS: Mapping[str, Callable[[Request], str]] = {
    "source.principal": _SOURCE["principals"],
    "source.namespace": _SOURCE["namespaces"],
    "destination.port": _OPERATION["ports"],
}
_BLOCKS = ("ipBlocks", "remoteIpBlocks")


def denies(control: Machine, namespace: str, labels: Mapping[str, str], request: Request, root: str) -> bool:
    """Whether the policies of this control plane keep the request from a workload. `root`: the mesh's root namespace."""
    if not control.store.all(AUTHORIZATION_POLICY):
        return False
    specs = [
        spec
        for place in dict.fromkeys((namespace, root))
        for spec in map(scope.spec_of, scope.in_order(control, AUTHORIZATION_POLICY, place))
        if selects(spec.get("selector"), labels) and not spec.get("targetRef") and not spec.get("targetRefs")
    ]
    denying = [spec for spec in specs if spec.get("action") == "DENY"]
    allowing = [spec for spec in specs if spec.get("action", "ALLOW") == "ALLOW"]
    if any(_matches(spec, request, denying=True) for spec in denying):
        return True
    return bool(allowing) and not any(_matches(spec, request, denying=False) for spec in allowing)


def _matches(spec: Object, request: Request, *, denying: bool) -> bool:
    return any(_rule(rule or {}, request, denying) for rule in spec.get("rules") or [])


def _rule(rule: Object, request: Request, denying: bool) -> bool:
    sources = [each.get("source") or {} for each in rule.get("from") or []]
    operations = [each.get("operation") or {} for each in rule.get("to") or []]
    return (
        (not sources or any(_source(each, request, denying) for each in sources))
        and (not operations or any(_held(each, _OPERATION, request, denying) for each in operations))
        and all(_condition(each, request) for each in rule.get("when") or [])
    )


def _source(source: Object, request: Request, denying: bool) -> bool:
    for key in _BLOCKS:
        inside = [within(request.address, str(block)) for block in source.get(key) or []]
        outside = [within(request.address, str(block)) for block in source.get(f"not{key[0].upper()}{key[1:]}") or []]
        if (inside and not any(inside)) or any(outside):
            return False
    return _held(source, _SOURCE, request, denying)


def _held(told: Object, fields: Mapping[str, Callable[[Request], str]], request: Request, denying: bool) -> bool:
    """What is told of each field holds. Of a connection without HTTP no policy that allows can say what only HTTP has, and one
    that denies is taken without it.
    """
    for key, value in fields.items():
        wanted, unwanted = told.get(key), told.get(f"not{key[0].upper()}{key[1:]}")
        if key in _HTTP_ONLY and not request.http and (wanted or unwanted):
            if denying:
                continue
            return False
        if (wanted and not _any(wanted, value(request))) or (unwanted and _any(unwanted, value(request))):
            return False
    return True


def _condition(told: Object, request: Request) -> bool:
    key, values, unwanted = str(told.get("key")), told.get("values"), told.get("notValues")
    if key in ("source.ip", "remote.ip"):
        inside = [within(request.address, str(block)) for block in values or []]
        return (not inside or any(inside)) and not any(within(request.address, str(block)) for block in unwanted or [])
    value = _CONDITIONS.get(key)
    found = value(request) if value else ""  # what a request may have beside is not in the sample's
    return not (values and not _any(values, found)) and not (unwanted and _any(unwanted, found))


def _any(patterns: Iterable[object], value: str) -> bool:
    return any(_is(str(pattern), value) for pattern in patterns)


def _is(pattern: str, value: str) -> bool:
    if pattern == "*":
        return bool(value)
    if pattern.startswith("*"):
        return value.endswith(pattern[1:])
    return value.startswith(pattern[:-1]) if pattern.endswith("*") else value == pattern
