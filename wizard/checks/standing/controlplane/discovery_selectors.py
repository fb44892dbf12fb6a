"""Does istiod look at the namespaces that the mesh needs?"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from wizard.checks.finding import Pair
from wizard.checks.standing.answering import answering
from wizard.checks.standing.check import Check, Fault
from wizard.checks.standing.istiods import mesh_config, mesh_config_of
from wizard.checks.standing.samples import within
from wizard.checks.standing.view import Here
from wizard.clusters.kinds import NAMESPACE, SERVICE, Ref
from wizard.istio.overlaid import matches
from wizard.mesh.model import NETWORK_LABEL, SYSTEM_NAMESPACE
from wizard.messages import msg
from wizard.text import one_line, quoted


def find(here: Here) -> Iterable[Fault]:
    selectors = mesh_config(here).get("discoverySelectors") if here.member.role == "primary" else None
    if not isinstance(selectors, list) or not selectors:
        return
    for other, namespace in _unseen(here, selectors):
        breaks = _of_sample(here, other) if namespace != SYSTEM_NAMESPACE else _of_system(here, other)
        if not breaks:
            continue
        ref = mesh_config_of(here)
        tool = f"{here.kubectl} -n {quoted(ref.namespace)}"
        yield Fault(
            msg(
                "{cluster}: discoverySelectors in {object} leave out namespace {namespace} of {other}: what stands there is not "
                "there for istiod of {cluster}",
                cluster=here.name,
                object=str(ref),
                namespace=one_line(namespace),
                other=other.name,
            ),
            str(ref),
            evidence=(
                msg("discoverySelectors of {object}", object=str(ref)),
                msg("the labels of namespace {namespace} in {other}", namespace=one_line(namespace), other=other.name),
            ),
            remedy=msg("Select it, too, or label it there as they ask."),
            commands=(
                f"{tool} get configmap {quoted(ref.name)} -o jsonpath='{{.data.mesh}}'",
                f"{other.kubectl} get namespace {quoted(namespace)} --show-labels",
            ),
            breaks=breaks,
        )


def _unseen(here: Here, selectors: list[object]) -> Iterator[tuple[Here, str]]:
    """The namespaces that the mesh needs and they leave out. An istiod asks them of the namespaces of every cluster."""
    for other in answering(here.view.all):
        for namespace in dict.fromkeys((SYSTEM_NAMESPACE, here.mesh.verify.namespace)):
            live = other.get(Ref(NAMESPACE, namespace))
            labels = ((live or {"metadata": {}})["metadata"]).get("labels") or {}
            if live is not None and not any(matches(each, labels) for each in selectors):
                yield other, namespace


def _of_sample(here: Here, other: Here) -> tuple[Pair, ...]:
    """The sample of that cluster is not seen: whom istiod here serves has no endpoint there; nor has a gateway that it serves."""
    served = here.view.served_by(here.name)
    return within(here.view, other.name) if other.name in served else here.view.into(other.name, served)


def _of_system(here: Here, other: Here) -> tuple[Pair, ...]:
    """istio-system is not seen: at home the Gateways of all whom istiod serves, elsewhere a gateway that only its label names."""
    served = here.view.served_by(here.name)
    if other is here:
        return tuple(pair for name in served for pair in here.view.beyond_into(name))
    labelled = [
        each
        for each in other.objects(SERVICE, SYSTEM_NAMESPACE)
        if NETWORK_LABEL in (each["metadata"].get("labels") or {})
    ]
    return tuple(pair for pair in here.view.beyond_into(other.name) if pair[0] in served) if labelled else ()


CHECK = Check(
    "discovery-selectors",
    "control-plane",
    "error",
    find,
    short=msg("namespace left out"),
    title="istiod looks at the namespaces that the mesh needs",
    reads="`discoverySelectors` in ConfigMap `istio` of each primary, and the labels of `istio-system` and of the sample's "
    "namespace in every cluster.",
    means="istiod acts as if what they leave out were not there, in each cluster that it reads: without `istio-system` gateways "
    "lose their listeners, without the sample's namespace its Services have no endpoints.",
    arises="Selectors that were written for the namespaces of applications, or a namespace whose label went away.",
    mend="Add `kubernetes.io/metadata.name` of the namespace to the selectors of every primary, or label the namespace as they "
    "ask.",
)
