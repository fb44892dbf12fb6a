"""Does a NetworkPolicy keep connections from the sample's Pods?"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Literal

from wizard.checks.finding import Pair, Severity
from wizard.checks.standing.check import Check, Fault
from wizard.checks.standing.policies import Policy, edit, read
from wizard.checks.standing.samples import labels_of, out_and_within, unproven, within
from wizard.checks.standing.view import Here
from wizard.clusters.kinds import NETWORK_POLICY, Object
from wizard.clusters.selectors import selects
from wizard.mesh.sample import CLIENT, PORT, SERVICE
from wizard.messages import msg
from wizard.text import listing

Way = Literal["ingress", "egress"]


def find(here: Here) -> Iterable[Fault]:
    policies = read(here, NETWORK_POLICY, (here.mesh.verify.namespace,))
    if policies:
        yield from _isolated(here, policies, SERVICE, "ingress", within(here.view, here.name))
        yield from _isolated(here, policies, CLIENT, "egress", out_and_within(here.view, here.name))


def _isolated(here: Here, policies: Iterable[Policy], app: str, way: Way, pairs: tuple[Pair, ...]) -> Iterator[Fault]:
    labels = labels_of(here, app)[0]
    isolating = [each for each in policies if _isolates(each, labels, way)]
    rules = [rule for each in isolating for rule in each.spec.get(way) or []]
    if not isolating or any(_is_open(rule, way) for rule in rules):
        return
    lacking = unproven(here.view, pairs)
    # Where any of it passes, the network plugin does not hold to them, or not to connections that stand already.
    passes = len(lacking) < len(pairs)
    if rules and (passes or not lacking):
        return
    told = {"cluster": here.name, "policies": listing(each.told for each in isolating), "app": app}
    severity: Severity | None = None
    if rules:
        severity = "unsure"
        text = msg("{cluster}: {policies} limits whom the Pods of {app} reach, or who reaches them", **told)
    elif way == "ingress":
        text = msg("{cluster}: {policies} lets nobody reach the Pods of {app}", **told)
    else:
        text = msg("{cluster}: {policies} lets the Pods of {app} reach nobody", **told)
    if passes:
        severity = "warning"
        text = msg("{problem}; answers come all the same, until the network plugin holds to it", problem=text)
    yield Fault(
        text,
        str(isolating[0].ref),
        evidence=tuple(
            msg("{policy} in {cluster}: {count} rules for {way}", policy=each.told, cluster=here.name,
                count=len(each.spec.get(way) or []), way=way)
            for each in isolating
        ),
        remedy=msg("Let what comes from the east-west gateway and the own Pods in to port {port}, and what the client asks out.",
                   port=PORT),
        commands=(edit(here, isolating[0].ref),),
        breaks=() if passes else lacking,
        severity=severity,
    )  # fmt: skip


def _isolates(policy: Policy, labels: Mapping[str, str], way: Way) -> bool:
    types = policy.spec.get("policyTypes") or ["Ingress", *(["Egress"] if policy.spec.get("egress") else [])]
    return way.capitalize() in types and selects(policy.spec.get("podSelector"), labels)


def _is_open(rule: Object, way: Way) -> bool:
    """Whether it lets through whatever this traffic needs, as far as one can tell without knowing addresses."""
    peers = rule.get("from" if way == "ingress" else "to") or []
    ports = rule.get("ports") or []
    everybody = not peers or any(_is_everybody(each) for each in peers)
    # What leaves a client goes to other ports than the sample's: those of gateways, istiod and DNS.
    return everybody and (not ports or (way == "ingress" and any(each.get("port", PORT) == PORT for each in ports)))


def _is_everybody(peer: Object) -> bool:
    if "ipBlock" in peer:
        return peer["ipBlock"].get("cidr") in ("0.0.0.0/0", "::/0") and not peer["ipBlock"].get("except")
    return peer.get("namespaceSelector") == {} and not peer.get("podSelector")


CHECK = Check(
    "network-policy",
    "workload",
    "error",
    find,
    short=msg("a NetworkPolicy closes it"),
    title="No NetworkPolicy keeps connections from the sample's Pods",
    reads="NetworkPolicies in the sample's namespace of every cluster that select the sample's Pods: what comes in "
    "to the server, what leaves the client.",
    means="Pods that a policy selects take, or open, only those connections that a rule allows. Traffic of other "
    "networks comes from the east-west gateway in `istio-system`, and a client's proxy must reach istiod, DNS and "
    "gateways. A policy without rules closes everything; one with rules is told as unsure while answers are missing. "
    "Where answers come all the same it is a warning: the network plugin does not enforce policies, or keeps "
    "connections that were open.",
    arises="A policy that denies by default for all namespaces.",
    mend="Add rules for the gateway's namespace and the sample's own, or a policy that allows them beside the one "
    "that denies.",
)
