"""What of the mesh a proxy is to see: what Services and configuration are exported to, and what the proxy's Sidecar takes in."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from wizard.clusters.kinds import SIDECAR, Kind, Object
from wizard.clusters.selectors import selects
from wizard.simulated.machine import Machine

EVERYTHING: tuple[str, ...] = ("*/*",)
_EXPORT = "networking.istio.io/exportTo"


def in_order(control: Machine, kind: Kind, namespace: str = "") -> list[Object]:
    """The objects of a kind in this cluster as istiod takes them: the oldest first."""
    found = control.store.all(kind, namespace)
    return [record.manifest for record in sorted(found, key=lambda record: record.born)]


def spec_of(manifest: Object) -> Object:
    """The object's spec, empty where it has none."""
    return manifest.get("spec") or {}


def exported(to: Iterable[str], owner: str, namespace: str) -> bool:
    """Whether what stands in namespace `owner` may be used from `namespace`."""
    wanted = list(to)
    return not wanted or "*" in wanted or namespace in wanted or ("." in wanted and owner == namespace)


def is_exported(service: Object, namespace: str) -> bool:
    """Whether this Service may be used from there."""
    told = str((service["metadata"].get("annotations") or {}).get(_EXPORT, ""))
    return exported(
        [part.strip() for part in told.split(",") if part.strip()], service["metadata"]["namespace"], namespace
    )


def resolved(host: str, namespace: str, domain: str) -> str:
    """A host as configuration in this namespace names it: a name without a dot is that of a Service there."""
    return host if "." in host or host == "*" else f"{host}.{namespace}.svc.{domain}"


def matches(pattern: str, host: str) -> bool:
    """Whether a host, of which the beginning may be `*`, stands for this one."""
    return host.endswith(pattern[1:]) if pattern.startswith("*") else pattern == host


def closest(patterns: Sequence[str], host: str) -> int | None:
    """The place of the pattern that says most about the host, the first of equal ones; None: none is about it."""
    found = [place for place, pattern in enumerate(patterns) if matches(pattern, host)]
    return max(found, key=lambda place: (patterns[place] == host, len(patterns[place]), -place), default=None)


def sidecar_of(control: Machine, namespace: str, labels: Mapping[str, str], root: str) -> Object | None:
    """The Sidecar (its spec) of a proxy in this namespace: one that selects it, that of its namespace, or that of the mesh."""
    own = [spec_of(each) for each in in_order(control, SIDECAR, namespace)]
    for spec in sorted(own, key=lambda spec: not spec.get("workloadSelector")):
        wanted = (spec.get("workloadSelector") or {}).get("labels") or {}
        if selects({"matchLabels": wanted}, labels):
            return spec
    if namespace == root:
        return None
    wide = [spec_of(each) for each in in_order(control, SIDECAR, root)]
    return next((spec for spec in wide if not spec.get("workloadSelector")), None)


def imports(sidecar: Object | None, own: str, namespace: str, host: str, port: int | None = None) -> bool:
    """Whether a proxy in namespace `own` takes in this host of this namespace. `port`: where it matters which."""
    for listener in (sidecar or {}).get("egress") or [{"hosts": EVERYTHING}]:
        number = (listener.get("port") or {}).get("number")
        if None not in (number, port) and number != port:
            continue
        for wanted in listener.get("hosts") or ():
            where, _, pattern = str(wanted).partition("/")
            there = where in ("*", namespace) or (where == "." and own == namespace)
            if there and matches(pattern, host):
                return True
    return False


def passes_unknown(sidecar: Object | None, config: Object) -> bool:
    """Whether a proxy lets pass what it knows no host for."""
    own = ((sidecar or {}).get("outboundTrafficPolicy") or {}).get("mode")
    return (own or (config.get("outboundTrafficPolicy") or {}).get("mode")) != "REGISTRY_ONLY"
