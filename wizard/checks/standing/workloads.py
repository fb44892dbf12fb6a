"""The Deployments that the traffic of a mesh lives from, and why Pods of them are missing."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from wizard.checks.finding import Pair
from wizard.checks.standing.istiods import cut_off, istiod_of, runs_istiod, served_clusters
from wizard.checks.standing.samples import out_and_within, within
from wizard.checks.standing.view import Here
from wizard.clusters.kinds import DEPLOYMENT, SERVICE, Object, Ref
from wizard.mesh.model import GATEWAY_NAME, NETWORK_LABEL, SYSTEM_NAMESPACE
from wizard.mesh.sample import CLIENT
from wizard.mesh.sample import SERVICE as SERVER
from wizard.probes.unready import Cause

CLIENTS = (CLIENT, "sleep")  # ours, and that of Istio's own samples
_NOT_CALLED = re.compile(r'failed calling webhook "(?P<name>[^"]+)"')


@dataclass(frozen=True)
class Workload:
    """One of them. `breaks`: the traffic that cannot pass without it."""

    ref: Ref
    live: Object
    breaks: tuple[Pair, ...]

    @property
    def wanted(self) -> int:
        """How many Pods it should have."""
        return int(self.live["spec"].get("replicas", 1))

    @property
    def ready(self) -> int:
        """How many of them are Ready."""
        return int((self.live.get("status") or {}).get("readyReplicas") or 0)


@dataclass(frozen=True)
class Lacking:
    """One that has not all of its Pods Ready, and why."""

    workload: Workload
    cause: Cause

    @property
    def breaks(self) -> tuple[Pair, ...]:
        """The traffic that does not pass for it: none while one Pod serves."""
        return () if self.workload.ready else self.workload.breaks

    @property
    def webhook(self) -> str:
        """The admission webhook that did not answer, so that a Pod was refused; empty where that is not why."""
        found = _NOT_CALLED.search(self.cause.text) if self.cause.layer == "refused" else None
        return found["name"] if found else ""


def workloads(here: Here) -> Iterator[Workload]:
    """Those that stand here: istiod, the gateways to other networks, the sample's server and client."""
    view = here.view
    if runs_istiod(here):
        ref, live = istiod_of(here)
        if live is not None:
            yield Workload(ref, live, cut_off(view, served_clusters(here)))
    remotes = tuple(each.name for each in here.mesh.remotes_of(here.name))
    through = (*view.beyond_into(here.name), *cut_off(view, remotes))
    yield from (Workload(_ref(each), each, tuple(dict.fromkeys(through))) for each in gateways(here))
    for each in here.objects(DEPLOYMENT, here.mesh.verify.namespace):
        app = (each["metadata"].get("labels") or {}).get("app", each["metadata"]["name"])
        if app == SERVER:
            yield Workload(_ref(each), each, within(view, here.name))
        elif app in CLIENTS:
            yield Workload(_ref(each), each, out_and_within(view, here.name))


def gateways(here: Here) -> list[Object]:
    """The Deployments of the gateways to other networks: by name, or behind a Service that istiod takes for one."""
    chosen = [
        (each.get("spec") or {}).get("selector") or {}
        for each in here.objects(SERVICE, SYSTEM_NAMESPACE)
        if NETWORK_LABEL in (each["metadata"].get("labels") or {})
    ]

    def leads(live: Object) -> bool:
        labels = (live["spec"]["template"].get("metadata") or {}).get("labels") or {}
        return any(selector and selector.items() <= labels.items() for selector in chosen)

    standing = here.objects(DEPLOYMENT, SYSTEM_NAMESPACE)
    return [each for each in standing if each["metadata"]["name"] == GATEWAY_NAME or leads(each)]


def lacking(here: Here) -> Iterator[Lacking]:
    """Those that have not all of their Pods Ready, where the cluster tells why."""
    for each in workloads(here):
        cause = here.unready(each.ref) if each.ready < each.wanted else None
        if cause is not None:
            yield Lacking(each, cause)


def _ref(live: Object) -> Ref:
    return Ref(DEPLOYMENT, str(live["metadata"]["name"]), str(live["metadata"]["namespace"]))
