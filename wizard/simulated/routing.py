"""What a proxy does with a request before it looks for an endpoint, as VirtualServices tell."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from math import gcd

from wizard.clusters.kinds import VIRTUAL_SERVICE, Object
from wizard.simulated import scope
from wizard.simulated.machine import Machine

_MESH = "mesh"  # the gateway that stands for all sidecars
_SECONDS = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h)")
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


@dataclass(frozen=True)
class Destination:
    """Where a route leads. `host`: in full; `port`: 0 where it is that of the request."""

    host: str
    subset: str = ""
    port: int = 0


def virtual_service(
    control: Machine, host: str, client: str, sidecar: Object | None, domain: str
) -> tuple[str, Object] | None:
    """(namespace, spec) of the VirtualService that routes what sidecars in namespace `client` ask of this host."""
    if not control.store.all(VIRTUAL_SERVICE):
        return None
    found = []
    for each in scope.in_order(control, VIRTUAL_SERVICE):
        namespace, spec = each["metadata"]["namespace"], scope.spec_of(each)
        if _MESH in (spec.get("gateways") or [_MESH]) and scope.exported(spec.get("exportTo") or [], namespace, client):
            names = [scope.resolved(str(name), namespace, domain) for name in spec.get("hosts") or []]
            found += [
                (name, namespace, spec) for name in names if scope.imports(sidecar, client, namespace, name.lstrip("*"))
            ]
    place = scope.closest([name for name, _, _ in found], host)
    return None if place is None else found[place][1:]


def route_of(spec: Object, port: int, path: str, client: str, labels: Mapping[str, str]) -> Object | None:
    """The route that takes the sample's request, which has no headers of interest; None where none does."""
    for route in spec.get("http") or []:
        matched = route.get("match") or []
        if not matched or any(_matches(each, port, path, client, labels) for each in matched):
            return dict(route)
    return None


def _matches(match: Object, port: int, path: str, client: str, labels: Mapping[str, str]) -> bool:
    wanted = match.get("sourceLabels") or {}
    return (
        _MESH in (match.get("gateways") or [_MESH])
        and match.get("port", port) == port
        and match.get("sourceNamespace") in (None, "", client)
        and wanted.items() <= labels.items()
        and _text(match.get("uri"), path)
        and _text(match.get("method"), "GET")
        and not match.get("headers")
        and not match.get("queryParams")
    )


def _text(match: Object | None, value: str) -> bool:
    if not match:
        return True
    if "exact" in match:
        return bool(match["exact"] == value)
    if "prefix" in match:
        return value.startswith(str(match["prefix"]))
    try:
        return re.fullmatch(str(match.get("regex", "")), value) is not None
    except re.error:
        return False


def destinations(route: Object, namespace: str, domain: str) -> list[tuple[Destination, int]]:
    """Where a route of a VirtualService in this namespace leads, each with its weight."""
    found = []
    for each in route.get("route") or []:
        told = each.get("destination") or {}
        number = (told.get("port") or {}).get("number") or 0
        host = scope.resolved(str(told.get("host", "")), namespace, domain)
        found.append((Destination(host, str(told.get("subset") or ""), int(number)), int(each.get("weight") or 0)))
    return [(one, 1) for one, _ in found] if len(found) == 1 else found


def befalls(fault: Object | None, turn: int) -> bool:
    """Whether a fault befalls this request: it has a percentage of all."""
    share = float(((fault or {}).get("percentage") or {}).get("value") or 0)
    return turn * 37 % 100 < share  # spread evenly


def seconds(text: object) -> float:
    """How long a duration such as `1m30s` is; 0 where it is none."""
    return sum(float(number) * _UNITS[unit] for number, unit in _SECONDS.findall(str(text or "")))


@lru_cache(maxsize=256)
def rotation(weights: tuple[int, ...]) -> tuple[int, ...]:
    """The order in which places with these weights have their turns: each as often as its weight, well mixed."""
    shared = gcd(*weights) or 1
    rounds = max(weights, default=0) // shared
    return tuple(place for each in range(rounds) for place, weight in enumerate(weights) if weight // shared > each)
