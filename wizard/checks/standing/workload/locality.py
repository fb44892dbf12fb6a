"""Are answers of other clusters kept for the day when the own ones fail?"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from wizard.checks.finding import Pair
from wizard.checks.standing.check import Check, Fault
from wizard.checks.standing.meshconfig import setting
from wizard.checks.standing.policies import destination_rules, edit, near, traffic_policy
from wizard.checks.standing.samples import labels_of, pods_of, service_of, service_ref
from wizard.checks.standing.view import Here
from wizard.clusters.kinds import DESTINATION_RULE, NODE, Object, Ref
from wizard.mesh.sample import CLIENT, PORT, SERVICE
from wizard.messages import msg
from wizard.text import listing, one_line

_NETWORK, _CLUSTER = "topology.istio.io/network", "topology.istio.io/cluster"
_PARTS = ("topology.kubernetes.io/region", "topology.kubernetes.io/zone", "topology.istio.io/subzone")
_DISTRIBUTION = "networking.istio.io/traffic-distribution"
_BEFORE = "failure-domain.beta.kubernetes.io/"  # what regions and zones were called by old Kubernetes


@dataclass(frozen=True)
class Place:
    """Where Pods are, as Istio compares it: by label."""

    labels: tuple[tuple[str, str], ...]

    def get(self, key: str) -> str:
        return dict(self.labels).get(key, "")

    @property
    def told(self) -> str:
        """`region/zone/subzone`, as far as they are known."""
        return "/".join(self.get(part) for part in _PARTS).rstrip("/")


def find(here: Here) -> Iterable[Fault]:
    if here.control is not here:
        return
    view = here.view
    rules = near(here, DESTINATION_RULE)
    preferring = _preferring(here)
    kept: dict[Ref, list[Pair]] = {}  # what keeps requests near → the traffic that waits
    for name in view.served_by(here.name) if rules or preferring else ():
        labels = labels_of(view.at(name), CLIENT)[0]
        told = destination_rules(here, rules, here.mesh.verify.namespace, labels)
        rule, policy = next(traffic_policy(told, PORT), (None, {}))
        own = (policy.get("loadBalancer") or {}).get("localityLbSetting")
        if preferring and own is None:
            kept.setdefault(service_ref(view), []).extend(_failing_over(here, name, preferring))
        elif rule is not None:
            kept.setdefault(rule.ref, []).extend(_kept_near(here, name, policy, own))
    for ref, pairs in kept.items():
        is_missed = bool(view.broken & set(pairs))
        # Of Services only newer versions of Istio read it.
        if pairs and (is_missed or ref.kind == DESTINATION_RULE):
            yield _fault(here, ref, tuple(pairs), is_missed)


def _fault(here: Here, ref: Ref, pairs: tuple[Pair, ...], is_missed: bool) -> Fault:
    told = one_line(str(ref))
    names = dict.fromkeys(name for pair in pairs for name in pair)
    found = {name: _place(here.view.at(name), SERVICE) for name in names}
    places = listing(f"{name} {one_line(place.told) or '-'}" for name, place in found.items() if place is not None)
    return Fault(
        msg(
            "{cluster}: {object} has proxies prefer what is near ({places}): other clusters are asked only when the near ones "
            "fail",
            cluster=here.name, object=told, places=places,
        ),
        str(ref),
        evidence=(
            msg("{object} in {cluster}: outlierDetection, localityLbSetting or trafficDistribution", object=told,
                cluster=here.name),
            msg("regions and zones of the nodes: {places}", places=places),
        ),
        remedy=msg("That may be what is wanted. To hear every cluster take it out, or set localityLbSetting.enabled to false."),
        commands=(edit(here, ref),),
        breaks=pairs,
        severity="error" if is_missed else "warning",
    )  # fmt: skip


def _preferring(control: Here) -> list[str]:
    """The labels by which the Service itself asks for what is near; none where it does not."""
    service = service_of(control) or {}
    noted = ((service.get("metadata") or {}).get("annotations") or {}).get(_DISTRIBUTION)
    wanted = str((service.get("spec") or {}).get("trafficDistribution") or noted or "")
    return [_NETWORK, *_PARTS[:2]] if wanted.lower().startswith("prefer") else []


def _kept_near(control: Here, source: str, policy: Object, own: Object | None) -> list[Pair]:
    """The traffic from this cluster that this traffic policy keeps near. `own`: its settings of localities."""
    wanted = own if own is not None else setting(control, "localityLbSetting")
    wanted = wanted if isinstance(wanted, dict) else {}
    if wanted.get("enabled") is False:
        return []
    asking = _place(control.view.at(source), CLIENT)
    shares = _shares(wanted, asking) if asking else None
    if shares is not None:
        targets = _targets(control)
        return [(source, name) for name, place in targets.items() if not any(_within(place, one) for one in shares)]
    if policy.get("outlierDetection") is None:
        return []
    priorities = wanted.get("failoverPriority")
    return _failing_over(control, source, list(map(str, priorities)) if isinstance(priorities, list) else [])


def _failing_over(control: Here, source: str, keys: list[str]) -> list[Pair]:
    """The traffic from this cluster that waits until nearer Pods fail, as these labels tell what is near."""
    asking = _place(control.view.at(source), CLIENT)
    if asking is None:
        return []
    away = {name: _away(asking, place, keys or list(_PARTS)) for name, place in _targets(control).items()}
    return [(source, name) for name in away if away[name] > min(away.values())]


def _targets(control: Here) -> dict[str, Place]:
    """Where the servers of each cluster are."""
    found = {there.name: _place(there, SERVICE) for there in control.view.all}
    return {name: place for name, place in found.items() if place is not None}


def _away(one: Place, other: Place, keys: list[str]) -> int:
    """How far apart they are: the first of these labels that differs decides."""
    return next((len(keys) - index for index, key in enumerate(keys) if one.get(key) != other.get(key)), 0)


def _shares(wanted: Mapping[str, object], asking: Place) -> list[str] | None:
    """The localities over which requests from this one are spread, None where nothing says so."""
    listed = wanted.get("distribute")
    for each in listed if isinstance(listed, list) else ():
        if isinstance(each, dict) and isinstance(each.get("to"), dict) and _within(asking, str(each.get("from"))):
            return [str(one) for one, share in each["to"].items() if share]
    return None


def _within(place: Place, locality: str) -> bool:
    prefix = locality.rstrip("*/")
    return not prefix or f"{place.told}/".startswith(f"{prefix}/")


def _place(there: Here, app: str) -> Place | None:
    """Where the first of these Pods is, by its node; None where there is none."""
    pods = pods_of(there, app)
    if not pods:
        return None
    nodes = {str(node["metadata"]["name"]): node["metadata"].get("labels") or {} for node in there.objects(NODE)}
    labels = nodes.get(str((pods[0].get("spec") or {}).get("nodeName")), {})
    found = {part: labels.get(part) or labels.get(f"{_BEFORE}{part.rpartition('/')[2]}", "") for part in _PARTS}
    return Place((*found.items(), (_NETWORK, there.member.network), (_CLUSTER, there.name)))


CHECK = Check(
    "locality",
    "workload",
    "error",
    find,
    short=msg("only the near ones are asked"),
    title="Nothing keeps requests to the own region",
    reads="DestinationRules of each primary that cover the sample's Service: `outlierDetection` and "
    "`localityLbSetting`; the latter in the mesh configuration; region and zone of the nodes on which the sample's "
    "Pods are.",
    means="With outlier detection Istio switches locality failover on: endpoints in the client's own region and zone "
    "are asked as long as they are healthy. Where clusters are in different regions only the own cluster answers. It "
    "is a warning while nobody misses an answer, and an error where one is missing.",
    arises="A DestinationRule with `outlierDetection` was added, for this host or by a wildcard.",
    mend="To hear every cluster, set `trafficPolicy.loadBalancer.localityLbSetting.enabled: false` in the rule, or "
    "verify without it.",
)
