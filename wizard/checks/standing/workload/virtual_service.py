"""Does a VirtualService turn requests to the sample away from it?"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from wizard.checks.finding import Pair, Severity
from wizard.checks.standing.check import Check, Fault
from wizard.checks.standing.policies import Policy, destination_rules, edit, full_host, near, read, sample_host
from wizard.checks.standing.routes import chosen, deciding, is_too_long, share
from wizard.checks.standing.samples import labels_of, unproven
from wizard.checks.standing.view import Here
from wizard.clusters.kinds import DESTINATION_RULE, VIRTUAL_SERVICE, Object
from wizard.mesh.sample import CLIENT, PORT, SERVICE
from wizard.messages import msg
from wizard.text import listing, one_line


@dataclass(frozen=True)
class Wrong:
    """What a rule does to requests. `targets`: the clusters that are not reached for it; none: only some requests fail."""

    text: str
    targets: tuple[str, ...]


def find(here: Here) -> Iterable[Fault]:
    view = here.view
    policies = read(here, VIRTUAL_SERVICE, ("",)) if here.control is here else []
    found: dict[tuple[str, bool], list[Pair]] = {}  # what goes wrong, and whether for sure → for which traffic
    policy = deciding(here, policies)
    rules = policy.spec.get("http") or [] if policy else []
    if policy is None or not rules:
        return
    for name in view.served_by(here.name):
        labels = labels_of(view.at(name), CLIENT)[0]
        met = chosen(rules, here.mesh.verify.namespace, labels)
        for wrong in _wrongs(here, policy, met.rule, labels):
            found.setdefault((wrong.text, met.sure), []).extend((name, target) for target in wrong.targets)
    for (text, sure), pairs in found.items():
        if not sure and not unproven(view, pairs):
            continue
        severity: Severity | None = "unsure" if not sure else None if pairs else "warning"
        yield Fault(
            msg(
                "{cluster}: {policy} takes requests to the sample: {what}",
                cluster=here.name,
                policy=policy.told,
                what=text,
            ),
            str(policy.ref),
            evidence=(msg("{policy} in {cluster}: spec.http", policy=policy.told, cluster=here.name),),
            remedy=msg("Mend the rule, or delete it; in every primary."),
            commands=(edit(here, policy.ref),),
            breaks=tuple(pairs),
            severity=severity,
        )


def _wrongs(here: Here, policy: Policy, rule: Object | None, labels: dict[str, str]) -> Iterator[Wrong]:
    everywhere = tuple(each.name for each in here.mesh.clusters)
    if rule is None:
        yield Wrong(msg("none of its rules is for them, so they are answered with 404"), everywhere)
        return
    if rule.get("redirect") is not None or rule.get("directResponse") is not None:
        yield Wrong(msg("they are answered without asking it"), everywhere)
        return
    fault = rule.get("fault") or {}
    abort, delay = fault.get("abort") or {}, fault.get("delay") or {}
    told = [(share(abort), msg("{share:g} % of them are aborted", share=share(abort)))] if abort else []
    if is_too_long(delay):
        text = msg("{share:g} % of them are delayed for longer than anybody waits", share=share(delay))
        told.append((share(delay), text))
    for hit, text in told:
        if hit > 0:
            yield Wrong(text, everywhere if hit >= 100 else ())
    if rule.get("route"):
        yield from _routed(here, policy, rule["route"], labels)


def _routed(here: Here, policy: Policy, routes: Iterable[Object], labels: dict[str, str]) -> Iterator[Wrong]:
    rules = destination_rules(here, near(here, DESTINATION_RULE), here.mesh.verify.namespace, labels)
    subsets = {
        each["name"]: each.get("labels") or {} for rule in reversed(rules) for each in rule.spec.get("subsets") or []
    }
    reached: set[str] = set()
    places: list[str] = []
    is_dead = False  # whether some requests reach nobody
    for route in routes:
        destination = route.get("destination") or {}
        if route.get("weight") == 0:
            continue
        host = full_host(destination.get("host") or "", policy, here)
        port = (destination.get("port") or {}).get("number", PORT)
        subset = destination.get("subset")
        if host != sample_host(here):
            places.append(one_line(host) or "?")
        elif port != PORT:
            places.append(msg("port {port}", port=port))
        elif subset and subset not in subsets:
            places.append(msg("subset {subset}, which no DestinationRule defines", subset=one_line(subset)))
        else:
            reached |= _with(here, subsets[subset] if subset else {})
            places += [msg("subset {subset}", subset=one_line(subset))] if subset else []
            continue
        is_dead = True
    left = tuple(each.name for each in here.mesh.clusters if each.name not in reached)
    if left:
        yield Wrong(msg("they go to {places} only", places=listing(dict.fromkeys(places))), left)
    elif is_dead:
        yield Wrong(msg("some of them go to {places}", places=listing(dict.fromkeys(places))), ())


def _with(here: Here, wanted: Mapping[str, str]) -> set[str]:
    """The clusters with a server that has these labels."""
    return {
        there.name
        for there in here.view.all
        if any(wanted.items() <= labels.items() for labels in labels_of(there, SERVICE))
    }


CHECK = Check(
    "virtual-service",
    "workload",
    "error",
    find,
    short=msg("a rule turns requests away"),
    title="No VirtualService turns requests to the sample away",
    reads="VirtualServices of each primary, of all namespaces, whose hosts cover the sample's Service and that hold "
    "for sidecars (`mesh`): the first HTTP rule that a `GET /hello` of the client meets, its faults, and its "
    "destinations with the subsets that DestinationRules define for them.",
    means="Requests meet the first rule that matches: they are aborted, delayed for too long, answered by the proxy, "
    "sent to another Service, to a subset that nobody defined (503), or to one that only some clusters' Pods belong "
    "to.",
    arises="A rule for a canary, a test with faults, or a wildcard host; often it was applied to one primary and its "
    "DestinationRule to another.",
    mend="Mend or delete the rule, in every primary: an istiod reads rules in its own cluster only.",
)
