"""Does a DestinationRule keep proxies from mutual TLS to the sample?"""

from __future__ import annotations

from collections.abc import Iterable

from wizard.checks.finding import Pair
from wizard.checks.standing.check import Check, Fault
from wizard.checks.standing.policies import Policy, destination_rules, edit, near, traffic_policy
from wizard.checks.standing.samples import labels_of
from wizard.checks.standing.view import Here
from wizard.clusters.kinds import DESTINATION_RULE
from wizard.mesh.model import SYSTEM_NAMESPACE
from wizard.mesh.sample import CLIENT, PORT
from wizard.messages import msg
from wizard.text import one_line

_MUTUAL = "ISTIO_MUTUAL"


def find(here: Here) -> Iterable[Fault]:
    if here.control is not here:
        return
    rules = near(here, DESTINATION_RULE)
    if not rules:
        return
    view, mesh = here.view, here.mesh
    served = view.served_by(here.name)
    found: dict[Policy, tuple[str, list[Pair]]] = {}  # the rule → its mode, and what does not pass for it
    for name in served:
        labels = labels_of(view.at(name), CLIENT)[0]
        for rule, mode in _off(destination_rules(here, rules, mesh.verify.namespace, labels)):
            broken = found.setdefault(rule, (mode, []))[1]
            broken += [(name, peer.name) for peer in mesh.beyond(name)]
            if mode != "DISABLE":  # TLS that is not Istio's own is taken by no sidecar
                same = [each.name for each in mesh.clusters if each.network == mesh.cluster(name).network]
                broken += [(name, peer) for peer in same]
    for rule, mode in _off(destination_rules(here, rules, SYSTEM_NAMESPACE, {})):
        found.setdefault(rule, (mode, []))[1].extend(pair for name in served for pair in view.beyond_into(name))
    for rule, (mode, broken) in found.items():
        if broken:
            yield Fault(
                msg(
                    "{cluster}: {rule} has proxies reach the sample with TLS mode {mode}, and only Istio's own mutual TLS "
                    "passes a gateway: no other network is reached",
                    cluster=here.name, rule=rule.told, mode=one_line(mode),
                ),
                str(rule.ref),
                evidence=(
                    msg("{rule} in {cluster}: host {host}, trafficPolicy.tls.mode {mode}", rule=rule.told, cluster=here.name,
                        host=one_line(rule.spec.get("host")), mode=one_line(mode)),
                ),
                remedy=msg("Make the mode ISTIO_MUTUAL, or leave tls out: then proxies use mutual TLS where it is taken."),
                commands=(edit(here, rule.ref),),
                breaks=tuple(dict.fromkeys(broken)),
            )  # fmt: skip


def _off(rules: Iterable[Policy]) -> Iterable[tuple[Policy, str]]:
    for rule, policy in traffic_policy(rules, PORT):
        mode = policy["tls"].get("mode") or "DISABLE" if policy.get("tls") is not None else _MUTUAL
        if mode != _MUTUAL:
            yield rule, mode


CHECK = Check(
    "destination-rule",
    "workload",
    "error",
    find,
    short=msg("a rule without mutual TLS"),
    title="No DestinationRule keeps proxies from mutual TLS",
    reads="DestinationRules of each primary, in the sample's namespace and in the root namespace, whose host covers "
    "the sample's Service, with their `exportTo` and `workloadSelector`; of them `trafficPolicy.tls`, and that of "
    "the port.",
    means="A rule that sets the mode of TLS decides for all endpoints. With DISABLE, SIMPLE or MUTUAL proxies speak "
    "no mutual TLS of Istio, and istiod leaves out all endpoints on other networks: only the own network answers.",
    arises="Such a rule was often written to reach a workload without a sidecar, or has a host with a wildcard that "
    "covers more than was meant.",
    mend="Set `ISTIO_MUTUAL`, or leave `tls` out.",
)
