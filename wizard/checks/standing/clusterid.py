"""What the proxies of a cluster, and the istiod that serves them, call it: the name by which a remote secret must register it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from wizard.checks.standing.istiods import environment, istiod_of, runs_istiod
from wizard.checks.standing.view import Here
from wizard.clusters.kinds import MUTATING_WEBHOOK, Object, Ref
from wizard.istio import names

_DEFAULT = "Kubernetes"  # where istiod is told none
_INJECTED = re.compile(r"/cluster/(?P<cluster>[^/]+)")


@dataclass(frozen=True)
class Called:
    """A cluster's name, and the object that says it."""

    name: str
    by: Ref


def called(here: Here) -> Called | None:
    """Its name; None where nothing tells."""
    return _by_istiod(here) if runs_istiod(here) else _by_injection(here)


def _by_istiod(here: Here) -> Called | None:
    ref, istiod = istiod_of(here)
    if istiod is None:
        return None
    told = environment(istiod).get("CLUSTER_ID", _DEFAULT)
    return None if told is None else Called(told or _DEFAULT, ref)


def _by_injection(here: Here) -> Called | None:
    """A remote's proxies are told by the path at which its webhook asks for them."""
    ref = Ref(MUTATING_WEBHOOK, names.injector_name(here.mesh, here.member))
    found = set(_paths(here.get(ref) or {}))
    return Called(found.pop(), ref) if len(found) == 1 else None


def _paths(webhook: Object) -> Iterator[str]:
    for hook in webhook.get("webhooks") or []:
        client = hook.get("clientConfig") or {}
        path = (client.get("service") or {}).get("path") or client.get("url") or ""
        told = _INJECTED.search(path)
        if told:
            yield told["cluster"]
