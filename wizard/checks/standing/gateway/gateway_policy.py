"""Does a policy keep the gateway from passing traffic on?"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from wizard.checks.standing.check import Check, Fault
from wizard.checks.standing.gateways import gateway_labels, listening_port, service_of
from wizard.checks.standing.policies import Policy, edit, read
from wizard.checks.standing.view import Here
from wizard.clusters.kinds import NETWORK_POLICY, Object
from wizard.clusters.selectors import selects
from wizard.mesh.model import SYSTEM_NAMESPACE
from wizard.messages import msg


def find(here: Here) -> Iterable[Fault]:
    labels = gateway_labels(here)
    if not here.mesh.has_gateway(here.name) or not labels:
        return
    isolating = [each for each in read(here, NETWORK_POLICY, (SYSTEM_NAMESPACE,)) if _isolates(each, dict(labels))]
    if isolating:
        yield from _closed(here, isolating)


def _closed(here: Here, isolating: list[Policy]) -> Iterator[Fault]:
    port = listening_port(service_of(here))
    rules = [rule for each in isolating for rule in each.spec.get("ingress") or []]
    if any(_lets_in(rule, port) for rule in rules):
        return
    pairs = here.view.beyond_into(here.name)
    passing = bool(here.view.traffic) and not here.view.broken & set(pairs)
    yield Fault(
        msg(
            "{cluster}: {policy} lets nobody reach the gateway's Pods on {port}",
            cluster=here.name, policy=isolating[0].told, port=port,
        ),
        str(isolating[0].ref),
        evidence=tuple(
            msg("{policy}: {count} rules for ingress", policy=each.told, count=len(each.spec.get("ingress") or []))
            for each in isolating
        ),
        remedy=msg("Let everybody in to port {port}: who may pass is decided by the certificates behind it.", port=port),
        commands=(edit(here, isolating[0].ref),),
        breaks=() if passing else pairs,
        # Rules may name whoever stands before the node; and some network plugins hold to no policy.
        severity="warning" if passing else "unsure" if rules else None,
    )  # fmt: skip


def _isolates(policy: Policy, labels: dict[str, str]) -> bool:
    types = policy.spec.get("policyTypes") or ["Ingress"]
    return "Ingress" in types and selects(policy.spec.get("podSelector"), labels)


def _lets_in(rule: Object, port: int) -> bool:
    ports = rule.get("ports") or []
    return not rule.get("from") and (not ports or any(each.get("port", port) == port for each in ports))


CHECK = Check(
    "gateway-policy",
    "gateway",
    "error",
    find,
    short=msg("policy closes the gateway"),
    title="No NetworkPolicy keeps other networks from the east-west gateway",
    reads="NetworkPolicies in `istio-system` that select the gateway's Pods.",
    means="Pods that a policy selects take only those connections that a rule allows. Traffic of other networks comes "
    "from outside the cluster, "
    "so a rule must allow it to port 15443 from anywhere.",
    arises="A policy that denies by default in all namespaces.",
    mend="Add a policy that allows TCP to the gateway's port from everywhere.",
)
