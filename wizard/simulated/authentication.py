"""Which TLS a workload takes, as PeerAuthentications tell its istiod."""

from __future__ import annotations

from collections.abc import Mapping

from wizard.clusters.kinds import PEER_AUTHENTICATION, Object
from wizard.clusters.selectors import selects
from wizard.simulated import scope
from wizard.simulated.machine import Machine

PERMISSIVE, STRICT, DISABLE = "PERMISSIVE", "STRICT", "DISABLE"


def mode(control: Machine, namespace: str, labels: Mapping[str, str], port: int, root: str) -> str:
    """The mode of a workload's port: its own policy goes over that of its namespace, and that over the mesh's; of several the
    oldest counts. `root`: the mesh's root namespace.
    """
    if not control.store.all(PEER_AUTHENTICATION):
        return PERMISSIVE
    local = [scope.spec_of(each) for each in scope.in_order(control, PEER_AUTHENTICATION, namespace)]
    wide = [scope.spec_of(each) for each in scope.in_order(control, PEER_AUTHENTICATION, root)]
    found = PERMISSIVE
    for specs in (wide, local if namespace != root else []):
        whole = next((spec for spec in specs if not _selector(spec)), None)
        found = _set(whole, found)
    chosen = (spec for spec in local if namespace != root and _selector(spec) and selects(spec["selector"], labels))
    own = next(chosen, None)
    found = _set(own, found)
    # Keys of YAML may be numbers or texts.
    by_port = {str(number): each for number, each in ((own or {}).get("portLevelMtls") or {}).items()}
    return _set({"mtls": by_port.get(str(port))}, found)


def _selector(spec: Object) -> Object:
    found: Object = (spec.get("selector") or {}).get("matchLabels") or {}
    return found


def _set(spec: Object | None, otherwise: str) -> str:
    told = ((spec or {}).get("mtls") or {}).get("mode") or "UNSET"
    return otherwise if told == "UNSET" else str(told)
