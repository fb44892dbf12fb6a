"""Namespaces that are being deleted: what still keeps them, as Kubernetes tells it in their conditions."""

from __future__ import annotations

from dataclasses import dataclass

from wizard.clusters.kinds import NAMESPACE, Object
from wizard.messages import msg
from wizard.text import one_line

# The namespace controller cannot go on until somebody mends what these tell of; what else it tells is work that it is at.
_STUCK = {
    "NamespaceDeletionDiscoveryFailure": msg(
        "An API that is served by something else does not answer: `kubectl get apiservices` shows it as not Available. Mend it, "
        "or delete that APIService where nobody needs it any more; the namespace then goes by itself."
    ),
    "NamespaceDeletionGroupVersionParsingFailure": msg(
        "`kubectl get apiservices` shows what the API server serves: mend or delete the one that the message names."
    ),
    "NamespaceDeletionContentFailure": msg(
        "What the message names cannot be deleted: see why, with `kubectl delete` of one such object, and mend that."
    ),
}
_WAITS = msg(
    "Let whoever put those finalizers there finish, or take away what the message names; where their controller is gone, "
    "nobody but you can."
)


@dataclass(frozen=True)
class Going:
    """A namespace that is being deleted. `stuck`: it will not go by itself."""

    what: str
    stuck: bool
    remedy: str


def going(live: Object | None) -> Going | None:
    """What is known of a namespace's end; None where it is not being deleted, or is no namespace."""
    if live is None or live.get("kind") != NAMESPACE.kind or not live["metadata"].get("deletionTimestamp"):
        return None
    conditions = (live.get("status") or {}).get("conditions") or []
    true = {each.get("type"): each for each in conditions if each.get("status") == "True"}
    stuck = next((kind for kind in _STUCK if kind in true), None)
    told = [true[stuck]] if stuck else list(true.values())
    why = "; ".join(f"{one_line(each.get('type'), 80)}: {one_line(each.get('message', ''), 400)}" for each in told[:3])
    name = one_line(live["metadata"]["name"])
    what = (
        msg("namespace {namespace} is being deleted (Terminating): {conditions}", namespace=name, conditions=why)
        if why
        else msg("namespace {namespace} is being deleted (Terminating)", namespace=name)
    )
    return Going(what, stuck is not None, _STUCK[stuck] if stuck else _WAITS)
