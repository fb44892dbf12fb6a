"""Can istiod read its configuration?"""

from __future__ import annotations

from collections.abc import Iterable

from wizard import kinds
from wizard.checks.finding import Pair
from wizard.checks.standing.check import Check, Fault
from wizard.checks.standing.istiods import mesh_config_of, parsed, runs_istiod, served_clusters
from wizard.checks.standing.view import Here
from wizard.messages import msg
from wizard.text import quoted

_KEYS = ("mesh", "meshNetworks")


def find(here: Here) -> Iterable[Fault]:
    if not runs_istiod(here):
        return
    ref = mesh_config_of(here)
    told = {"cluster": here.name, "object": str(ref)}
    live = here.get(ref)
    if live is None:
        yield _fault(
            here,
            msg(
                "{cluster}: {object} is gone: istiod works with its defaults, which know neither the other networks nor the "
                "mesh's trust domain",
                **told,
            ),
            kinds.INSTALL.id(here.name),
        )
        return
    data = live.get("data") or {}
    if "mesh" not in data:
        yield _fault(
            here,
            msg("{cluster}: {object} has no mesh configuration (key `mesh`): istiod works with its defaults", **told),
        )
    for key in _KEYS:
        if parsed(data.get(key, "")) is None:
            step = kinds.MESH_NETWORKS.id(here.name) if key == "meshNetworks" else None
            yield _fault(
                here,
                msg(
                    "{cluster}: `{key}` in {object} is no YAML mapping: istiod keeps what it read before, and as soon as it "
                    "restarts works with its defaults",
                    key=key,
                    **told,
                ),
                step,
            )


def _fault(here: Here, text: str, step: str | None = None) -> Fault:
    ref = mesh_config_of(here)
    tool = f"{here.kubectl} -n {quoted(ref.namespace)}"
    return Fault(
        text,
        str(ref),
        evidence=(msg("{object}, keys mesh and meshNetworks", object=str(ref)),),
        remedy=msg("Put back what it held before, or install Istio again with the same values."),
        commands=(f"{tool} get configmap {quoted(ref.name)} -o yaml", f"{tool} edit configmap {quoted(ref.name)}"),
        step=None if here.view.inferred else step,
        breaks=_breaks(here),
    )


def _breaks(here: Here) -> tuple[Pair, ...]:
    """What the defaults do not let pass: with another trust domain nothing, else what leads to other networks."""
    served, view = served_clusters(here), here.view
    if here.mesh.trust_domain != "cluster.local":
        return tuple(dict.fromkeys(pair for name in served for pair in (*view.out_of(name), *view.into(name))))
    return tuple((name, other.name) for name in served for other in here.mesh.beyond(name))


CHECK = Check(
    "meshconfig",
    "control-plane",
    "error",
    find,
    short=msg("istiod's configuration"),
    title="istiod can read its configuration",
    reads="ConfigMap `istio` (with a revision `istio-REVISION`) in `istio-system`, its keys `mesh` and `meshNetworks`.",
    means="Without it istiod works with its defaults: trust domain `cluster.local`, no meshNetworks. What it cannot read it "
    "ignores, until it restarts; then the defaults are used.",
    arises="The ConfigMap was deleted, edited by hand, or written by another install.",
    mend="Put back what stood there. `meshwizard apply` and `istioctl install` with the same values write it anew.",
)
