"""Istio's policies and rules as an istiod reads them: in its own cluster, in its revision, the oldest first."""

from __future__ import annotations

import copy
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass

from wizard.checks.standing.meshconfig import cluster_domain, root_namespace, setting
from wizard.checks.standing.view import Here
from wizard.clusters.kinds import (
    AUTHORIZATION_POLICY,
    DESTINATION_RULE,
    NETWORK_POLICY,
    PEER_AUTHENTICATION,
    SIDECAR,
    VIRTUAL_SERVICE,
    Kind,
    Object,
    Ref,
)
from wizard.clusters.shapes import Misshapen, Shape, shaped
from wizard.mesh.sample import SERVICE
from wizard.text import one_line, quoted

_LABELS: Shape = {str: str}
_SELECTOR: Shape = {"matchLabels": _LABELS}
_LOCALITY: Shape = {
    "enabled": bool,
    "distribute": [{"from": str, "to": {str: int}}],
    "failoverPriority": [str],
}
_COMPONENTS: Shape = {
    "tls": {"mode": str},
    "outlierDetection": dict,
    "loadBalancer": {"localityLbSetting": _LOCALITY},
}
_TRAFFIC: Shape = {**_COMPONENTS, "portLevelSettings": [{**_COMPONENTS, "port": {"number": int}}]}
_PORTS: Shape = [dict]
_PEERS: Shape = [{"podSelector": dict, "namespaceSelector": dict, "ipBlock": dict}]
_TEXT: Shape = {"exact": str, "prefix": str}
_MATCH: Shape = {
    "uri": {str: str},
    "method": _TEXT,
    "scheme": _TEXT,
    "headers": {str: dict},
    "port": int,
    "sourceNamespace": str,
    "sourceLabels": _LABELS,
    "gateways": [str],
}
_SPECS: Mapping[Kind, Shape] = {
    PEER_AUTHENTICATION: {
        "selector": _SELECTOR,
        "mtls": {"mode": str},
        "portLevelMtls": {str: {"mode": str}},
    },
    DESTINATION_RULE: {
        "host": str,
        "exportTo": [str],
        "workloadSelector": _SELECTOR,
        "trafficPolicy": _TRAFFIC,
        "subsets": [{"name!": str, "labels": _LABELS}],
    },
    VIRTUAL_SERVICE: {
        "hosts": [str],
        "gateways": [str],
        "exportTo": [str],
        "http": [
            {
                "match": [_MATCH],
                "route": [
                    {"destination": {"host": str, "subset": str, "port": {"number": int}}, "weight": int}
                ],
                "fault": {"abort": dict, "delay": dict},
                "redirect": dict,
                "directResponse": dict,
                "delegate": dict,
            }
        ],
    },
    AUTHORIZATION_POLICY: {
        "selector": _SELECTOR,
        "targetRef": dict,
        "targetRefs": [dict],
        "action": str,
        "rules": [
            {"from": [{"source": {str: [str]}}], "to": [{"operation": {str: [str]}}], "when": [dict]}
        ],
    },
    SIDECAR: {
        "workloadSelector": {"labels": _LABELS},
        "egress": [{"hosts": [str], "port": {"number": int}}],
        "outboundTrafficPolicy": {"mode": str},
    },
    NETWORK_POLICY: {
        "podSelector": {"matchLabels": _LABELS, "matchExpressions": [dict]},
        "policyTypes": [str],
        "ingress": [{"from": _PEERS, "ports": _PORTS}],
        "egress": [{"to": _PEERS, "ports": _PORTS}],
    },
}  # fmt: skip
_DEFAULTS = {
    VIRTUAL_SERVICE: "defaultVirtualServiceExportTo",
    DESTINATION_RULE: "defaultDestinationRuleExportTo",
}


@dataclass(frozen=True, eq=False)
class Policy:
    """One such object. `spec`: has the shape that its kind asks for."""

    ref: Ref
    spec: Object
    annotations: Mapping[str, str]

    @property
    def namespace(self) -> str:
        return self.ref.namespace

    @property
    def told(self) -> str:
        """What it is called, printable."""
        return one_line(str(self.ref))


def read(control: Here, kind: Kind, namespaces: Iterable[str]) -> list[Policy]:
    """Those of the kind in these namespaces of this cluster, of each the oldest first; an empty one stands for all. What is of
    another revision, or has not the shape that it must have, istiod passes over, too. Not to be changed.
    """
    wanted = tuple(dict.fromkeys(namespaces))
    return control.once(
        (kind, wanted), lambda: [each for namespace in wanted for each in _read(control, kind, namespace)]
    )


def _read(control: Here, kind: Kind, namespace: str) -> Iterator[Policy]:
    revision = control.mesh.istio.revision or "default"
    listed = control.objects(kind, namespace)
    for live in sorted(
        listed, key=lambda each: (each["metadata"].get("creationTimestamp", ""), each["metadata"]["name"])
    ):
        metadata = live["metadata"]
        if (metadata.get("labels") or {}).get("istio.io/rev", revision) != revision:
            continue
        try:
            spec = shaped(copy.deepcopy(live.get("spec") or {}), _SPECS[kind])
        except Misshapen:
            continue
        yield Policy(
            Ref(kind, str(metadata["name"]), str(metadata["namespace"])), spec, metadata.get("annotations") or {}
        )


def near(control: Here, kind: Kind) -> list[Policy]:
    """Those in the sample's namespace and in the root namespace, which is for the whole mesh."""
    return read(control, kind, (control.mesh.verify.namespace, root_namespace(control)))


def matches(selector: Object | None, labels: Mapping[str, str]) -> bool:
    """Whether this selector of Istio selects what has these labels. None selects everything."""
    return ((selector or {}).get("matchLabels") or {}).items() <= labels.items()


# -- hosts


def sample_host(control: Here) -> str:
    """The sample's Service as this istiod names it."""
    return f"{SERVICE}.{control.mesh.verify.namespace}.svc.{cluster_domain(control)}"


def full_host(host: str, policy: Policy, control: Here) -> str:
    """What istiod makes of a host in a policy: a name without a dot is a Service beside it."""
    if host == "*" or "." in host:
        return host
    return f"{host}.{policy.namespace}.svc.{cluster_domain(control)}"


def covers(pattern: str, host: str) -> bool:
    """Whether a host of a policy, which may begin with `*`, means this one."""
    return host.endswith(pattern[1:]) if pattern.startswith("*") else host == pattern


def most_specific(patterns: Collection[str], host: str) -> str | None:
    """That of the patterns which istiod takes for the host; None where none covers it."""
    return max(
        (each for each in patterns if covers(each, host)), key=lambda each: (each[:1] != "*", len(each)), default=None
    )


# -- who sees what


def is_visible(policy: Policy, namespace: str, control: Here) -> bool:
    """Whether proxies of that namespace are told of it, as far as its exportTo goes."""
    return exported(policy.spec.get("exportTo") or [], policy.namespace, namespace, control, _DEFAULTS[policy.ref.kind])


def exported(listed: Iterable[str], own: str, namespace: str, control: Here, default: str) -> bool:
    """Whether what is in namespace `own` and names these in its exportTo is seen from the other namespace. `default`: the
    field of the mesh configuration that holds where it names none.
    """
    wanted = [one.strip() for one in listed]
    if not wanted:
        given = setting(control, default)
        wanted = [str(one) for one in given] if isinstance(given, list) and given else ["*"]
    return "*" in wanted or namespace in wanted or ("." in wanted and own == namespace)


def destination_rules(
    control: Here, rules: Iterable[Policy], namespace: str, labels: Mapping[str, str]
) -> list[Policy]:
    """Those of these rules that istiod merges for the sample's Service, as it tells a proxy with these labels in that namespace:
    the proxy's own namespace is asked first, then the Service's, then the root namespace.
    """
    host = sample_host(control)
    own = control.mesh.verify.namespace
    seen = [
        rule
        for rule in rules
        if is_visible(rule, namespace, control) and matches(rule.spec.get("workloadSelector"), labels)
    ]
    for place in dict.fromkeys((namespace, own, root_namespace(control))):
        if place == root_namespace(control) == namespace != own:
            continue  # a gateway beside istiod has no rules of its own for the Services of others
        hosts = {
            each.ref: full_host(str(each.spec.get("host")), each, control) for each in seen if each.namespace == place
        }
        chosen = most_specific(set(hosts.values()), host)
        if chosen is not None:
            return [each for each in seen if hosts.get(each.ref) == chosen]
    return []


def traffic_policy(rules: Iterable[Policy], port: int) -> Iterator[tuple[Policy, Object]]:
    """(the rule, its traffic policy) that holds of merged ones for a port of the Service: the first that has one. What it says
    of the port itself wins.
    """
    for rule in rules:
        policy = rule.spec.get("trafficPolicy")
        if policy:
            own: Object = next(
                (
                    each
                    for each in policy.get("portLevelSettings") or []
                    if (each.get("port") or {}).get("number") == port
                ),
                {},
            )
            yield rule, {**policy, **own}
            return


# -- what a person types


def edit(control: Here, ref: Ref) -> str:
    """Open it, to change or delete what is in the way."""
    return f"{control.kubectl} -n {quoted(ref.namespace)} edit {ref.kind.resource} {quoted(ref.name)}"


def shown_by(control: Here, ref: Ref) -> str:
    """Look at it."""
    return f"{control.kubectl} -n {quoted(ref.namespace)} get {ref.kind.resource} {quoted(ref.name)} -o yaml"
