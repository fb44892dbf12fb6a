"""Is the sample's Service shown to its clients, and to the gateway?"""

from __future__ import annotations

from collections.abc import Iterable

from wizard.checks.finding import Pair
from wizard.checks.standing.check import Check, Fault
from wizard.checks.standing.istiods import mesh_config_of
from wizard.checks.standing.meshconfig import setting
from wizard.checks.standing.policies import exported
from wizard.checks.standing.samples import in_namespace, mending_step, service_of, service_ref
from wizard.checks.standing.view import Here
from wizard.mesh.model import SYSTEM_NAMESPACE
from wizard.mesh.sample import SERVICE
from wizard.messages import msg
from wizard.text import listing, one_line, quoted

ANNOTATION = "networking.istio.io/exportTo"
_DEFAULT = "defaultServiceExportTo"


def find(here: Here) -> Iterable[Fault]:
    # An istiod goes by the Service in its own cluster; from other clusters it takes endpoints only.
    service = service_of(here) if here.control is here else None
    if service is None:
        return
    view, own = here.view, here.mesh.verify.namespace
    given = (service["metadata"].get("annotations") or {}).get(ANNOTATION)
    listed = [part for part in (given or "").split(",") if part.strip()]
    hidden = [
        namespace for namespace in (own, SYSTEM_NAMESPACE) if not exported(listed, own, namespace, here, _DEFAULT)
    ]
    served = view.served_by(here.name)
    breaks: list[Pair] = []
    if own in hidden:
        breaks += [pair for name in served for pair in view.out_of(name)]
    if SYSTEM_NAMESPACE in hidden:  # where the gateways are, which pass on only what they are told of
        breaks += [pair for name in served for pair in view.beyond_into(name)]
    if not breaks:
        return
    ref = service_ref(view) if listed else mesh_config_of(here)
    value = one_line(given) if listed else listing(map(one_line, setting(here, _DEFAULT) or ()))
    yield Fault(
        msg(
            "{cluster}: {object} shows the sample's Service to some namespaces only ({value}), and not to {hidden}: proxies "
            "there are told nothing of it",
            cluster=here.name, object=str(ref), value=value, hidden=listing(hidden),
        ),
        str(ref),
        evidence=(
            msg("{object} in {cluster}: {field} {value}", object=str(ref), cluster=here.name,
                field=ANNOTATION if listed else _DEFAULT, value=value),
        ),
        remedy=msg("Show it to all namespaces, or name the client's and that of the gateway ({namespace}).",
                   namespace=SYSTEM_NAMESPACE),
        commands=(
            f"{in_namespace(here)} annotate service {SERVICE} {ANNOTATION}-"
            if listed
            else f"{here.kubectl} -n {SYSTEM_NAMESPACE} edit configmap {quoted(ref.name)}",
        ),
        step=mending_step(here) if listed else None,
        breaks=tuple(dict.fromkeys(breaks)),
    )  # fmt: skip


CHECK = Check(
    "export-to",
    "workload",
    "error",
    find,
    short=msg("the Service is not shown"),
    title="The sample's Service is shown to clients and gateways",
    reads="Annotation `networking.istio.io/exportTo` of the sample's Service in each primary, and "
    "`defaultServiceExportTo` of its mesh configuration.",
    means="Proxies are told of a Service only where it is exported to their namespace. A gateway between networks "
    "passes on only what it is told of, so the namespace of the gateway counts as well as that of the client: with "
    "`.` the Pods beside the Service know it, and no other network reaches it.",
    arises="Somebody narrowed the Service, or the default of the mesh, to save memory or to hide it.",
    mend="Take the annotation away, or name the namespaces of clients and gateways. Mind every primary.",
)
