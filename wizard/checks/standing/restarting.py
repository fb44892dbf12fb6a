"""The commands by which what runs takes up other certificates or mesh configuration: istiod first, then its proxies."""

from __future__ import annotations

from wizard.checks.standing.istiods import served_clusters
from wizard.checks.standing.view import Here
from wizard.istio import names
from wizard.mesh.model import SYSTEM_NAMESPACE
from wizard.text import quoted


def istiod_again(here: Here) -> tuple[str, ...]:
    """Start this cluster's istiod anew, and wait for it."""
    istiod = quoted(f"deployment/{names.istiod_name(here.mesh)}")
    at = f"{here.kubectl} -n {SYSTEM_NAMESPACE} rollout"
    return (f"{at} restart {istiod}", f"{at} status {istiod}")


def proxies_again(here: Here) -> tuple[str, ...]:
    """Start the proxies anew that it serves: the gateways', and the sample's; those of other Pods are for their owners."""
    others = f"-n {SYSTEM_NAMESPACE} rollout restart deployment -l {quoted('app!=istiod')}"
    sample = f"-n {quoted(here.mesh.verify.namespace)} rollout restart deployment"
    served = [here.view.at(name) for name in served_clusters(here)]
    return tuple(f"{there.kubectl} {what}" for there in served for what in (others, sample))
