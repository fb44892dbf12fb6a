"""Did Envoy take all that istiod told it?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

from wizard.checks.standing.check import Check, Fault
from wizard.checks.standing.proxies import proxies
from wizard.checks.standing.samples import unproven, within
from wizard.checks.standing.view import Here
from wizard.clusters.kinds import POD, Object, Ref
from wizard.clusters.shapes import Shape
from wizard.istio.proxies import PROXY
from wizard.messages import msg
from wizard.text import listing, one_line, quoted

PAGE = "stats?filter=update_rejected&format=json"
_PAGE: Shape = {"stats": [{"name": str}]}
_KINDS = {  # how names of the counts begin → what was rejected
    "cluster_manager.": "cds",
    "listener_manager.": "lds",
    "http.": "rds",
    "cluster.": "eds",
}


def find(here: Here) -> Iterable[Fault]:
    view = here.view
    concerned = {
        "client": view.out_of(here.name),
        "server": within(view, here.name),
        "gateway": view.beyond_into(here.name),
    }
    for role, pod in proxies(here):
        # The counts are since the proxy's start: of traffic that passes, what once was rejected says nothing.
        if unproven(view, concerned[role]):
            yield from _rejected(here, pod)


def _rejected(here: Here, pod: Object) -> Iterator[Fault]:
    counts = _counts(here.envoy_page(pod, PAGE, _PAGE))
    if not counts:
        return
    ref = Ref(POD, str(pod["metadata"]["name"]), str(pod["metadata"]["namespace"]))
    named = one_line(str(ref))
    told = listing(f"{kind} {count}" for kind, count in sorted(counts.items()))
    yield Fault(
        msg(
            "{cluster}: since it started, the proxy of {pod} rejected what its istiod told it ({counts}), and went on with what "
            "it had",
            cluster=here.name, pod=named, counts=told,
        ),
        str(ref),
        evidence=(msg("{pod} in {cluster}: {page}: {counts}", pod=named, cluster=here.name, page=PAGE, counts=told),),
        remedy=msg("The proxy's log says what was wrong with it. An EnvoyFilter, or two Gateways for one port, are usual."),
        commands=(f"{here.kubectl} -n {quoted(ref.namespace)} logs {quoted(ref.name)} -c {PROXY}",),
    )  # fmt: skip


def _counts(page: Any) -> Counter[str]:
    """What was rejected, and how often."""
    counts: Counter[str] = Counter()
    for stat in page.get("stats") or []:
        name, value = stat.get("name", ""), stat.get("value")
        kind = next((kind for beginning, kind in _KINDS.items() if name.startswith(beginning)), "")
        if kind and name.endswith("update_rejected") and isinstance(value, int):
            counts[kind] += value
    return +counts


CHECK = Check(
    "rejected",
    "data-path",
    "warning",
    find,
    short=msg("configuration was rejected"),
    title="Envoy takes what istiod tells it",
    reads="The counts `update_rejected` of the proxies of the sample and of the east-west gateway, for clusters "
    "(cds), listeners (lds), routes (rds) and endpoints (eds). Only while answers are missing: they are since the "
    "proxy started.",
    means="A proxy that rejects an update goes on with what it had before, so what was changed since does not reach "
    "it.",
    arises="An EnvoyFilter that does not fit the version; two Gateways that open the same port; a proxy of another "
    "version than istiod's.",
    mend="The proxy's log names the resource and the reason. Mend it; the proxy takes the next update.",
)
