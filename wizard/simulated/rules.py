"""How proxies are to reach a host, as DestinationRules tell: in which TLS, which of its Pods make a subset, which come first."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from wizard.clusters.kinds import DESTINATION_RULE, Object
from wizard.clusters.selectors import selects
from wizard.simulated import scope
from wizard.simulated.machine import Machine

MUTUAL = "ISTIO_MUTUAL"


def rule_of(
    control: Machine, host: str, owner: str, client: str, labels: Mapping[str, str], *, root: str, domain: str
) -> Object | None:
    """The spec of the DestinationRule for this host: that of the client's namespace, else one of the Service's (`owner`) or of
    the root namespace that is exported to the client.
    """
    if not control.store.all(DESTINATION_RULE):
        return None

    def best(namespace: str, wanted: Callable[[list[str]], bool]) -> Object | None:
        specs = [
            spec
            for spec in map(scope.spec_of, scope.in_order(control, DESTINATION_RULE, namespace))
            if wanted(spec.get("exportTo") or []) and _selects(spec, namespace, client, labels)
        ]
        place = scope.closest([scope.resolved(str(spec.get("host")), namespace, domain) for spec in specs], host)
        return None if place is None else specs[place]

    def to_client(namespace: str) -> Object | None:
        return best(namespace, lambda to: scope.exported(to, namespace, client))

    own = best(root, lambda to: to == ["."]) if client == root else to_client(client)
    return own or to_client(owner) or to_client(root)


def _selects(spec: Object, namespace: str, client: str, labels: Mapping[str, str]) -> bool:
    selector = spec.get("workloadSelector")
    return not selector or (namespace == client and selects(selector, labels))


def subset_labels(rule: Object | None, subset: str) -> dict[str, str] | None:
    """The labels of the Pods that make this subset; None where the rule knows no such subset."""
    if not subset:
        return {}
    found = _subset(rule, subset)
    return None if found is None else dict(found.get("labels") or {})


def tls_mode(rule: Object | None, subset: str, port: int) -> str | None:
    """The TLS that the rule prescribes; None where it leaves that to Istio."""
    found = _setting(rule, subset, port, "tls")
    return None if found is None else str(found.get("mode") or "DISABLE")


def fails_over(rule: Object | None, subset: str, port: int) -> bool:
    """Whether endpoints may be found unhealthy, without which those of other places are as good as near ones."""
    return _setting(rule, subset, port, "outlierDetection") is not None


def looks_at_places(rule: Object | None, subset: str, port: int, config: Object) -> bool:
    """Whether endpoints are told apart by where they are, if they may fail over: the rule says so, or the mesh."""
    own = (_setting(rule, subset, port, "loadBalancer") or {}).get("localityLbSetting")
    told = own if own is not None else config.get("localityLbSetting") or {}
    return told.get("enabled") is not False


def _subset(rule: Object | None, name: str) -> Object | None:
    return next((each for each in (rule or {}).get("subsets") or [] if each.get("name") == name), None)


def _setting(rule: Object | None, subset: str, port: int, key: str) -> Object | None:
    """A part of the traffic policy: what is said of the subset goes over the rest, and of the port over the whole."""
    for source in (_subset(rule, subset) if subset else None, rule):
        policy = (source or {}).get("trafficPolicy") or {}
        for each in policy.get("portLevelSettings") or []:
            if (each.get("port") or {}).get("number") == port and each.get(key) is not None:
                return dict(each[key])
        if policy.get(key) is not None:
            return dict(policy[key])
    return None
