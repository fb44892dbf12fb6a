"""Are istiod and its proxies, and the istiods among each other, of versions that go together?"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from wizard import kinds
from wizard.checks.standing.answering import answering, controls
from wizard.checks.standing.check import Check, Fault
from wizard.checks.standing.istiods import istiod_of, version_of
from wizard.checks.standing.view import Here
from wizard.clusters.kinds import POD, Ref
from wizard.istio.proxies import outdated
from wizard.istio.versions import minor_of
from wizard.mesh.model import SYSTEM_NAMESPACE
from wizard.messages import counted, msg
from wizard.objects.pods import is_going
from wizard.text import one_line, quoted


def find(here: Here) -> Iterable[Fault]:
    if here.member.role == "primary":
        yield from _beside_others(here)
    if answering((here.control,)):
        yield from _of_proxies(here)


def _beside_others(here: Here) -> Iterator[Fault]:
    """Whether another primary is more than one minor version ahead."""
    own = minor_of(version_of(here))
    others = [(found, each.name) for each in controls(here) if (found := minor_of(version_of(each)))]
    newest = max(others, default=None)
    if own is None or newest is None or newest[0] <= (own[0], own[1] + 1):
        return
    ref, _ = istiod_of(here)
    yield Fault(
        msg(
            "{cluster}: {object} is of Istio {own}, and {other} is on {newest}; more than one minor version between control "
            "planes is tested by nobody",
            cluster=here.name,
            object=str(ref),
            own=f"{own[0]}.{own[1]}",
            other=newest[1],
            newest=f"{newest[0][0]}.{newest[0][1]}",
        ),
        str(ref),
        evidence=(msg("the images of istiod in the primaries"),),
        remedy=msg("Upgrade {cluster}, one minor version after the other.", cluster=here.name),
        commands=(f"{here.kubectl} -n {SYSTEM_NAMESPACE} get deployment {quoted(ref.name)} -o jsonpath='{{..image}}'",),
    )


def _of_proxies(here: Here) -> Iterator[Fault]:
    """The proxies of each namespace that are of another minor version than their istiod."""
    version = version_of(here.control)
    mesh = replace(here.mesh, istio=replace(here.mesh.istio, version=version))
    sample = here.mesh.verify.namespace
    steps = {SYSTEM_NAMESPACE: kinds.INSTALL.id(here.name), sample: kinds.SAMPLE.id(here.name)}
    for namespace, step in steps.items():
        pods = [pod for pod in here.objects(POD, namespace) if not is_going(pod)]
        found = [(pod, old) for pod in pods if (old := outdated(pod, mesh))]
        if not version or not found:
            continue
        pod, old = found[0]
        name = str(pod["metadata"]["name"])
        ref = Ref(POD, one_line(name), namespace)
        yield Fault(
            counted(
                "{cluster}: the proxy of {object} is of Istio {old}, its istiod of {version}",
                "{cluster}: the proxies of {count} Pods in {namespace}, such as {object}, are not of the Istio {version} of "
                "their istiod but of {old}",
                len(found),
                cluster=here.name,
                object=str(ref),
                namespace=one_line(namespace),
                old=old,
                version=one_line(version),
            ),
            str(ref),
            evidence=(msg("the images of the proxies, and that of istiod in {primary}", primary=here.control.name),),
            remedy=msg("Have the Pods made anew: a proxy keeps its version as long as its Pod lives."),
            commands=(f"{here.kubectl} -n {quoted(namespace)} delete pod {quoted(name)}",),
            step=None if here.view.inferred else step,
        )


CHECK = Check(
    "versions",
    "control-plane",
    "warning",
    find,
    short=msg("versions apart"),
    title="istiod and proxies are of one version",
    reads="The images of istiod in all primaries, and of the proxies in `istio-system` and in the sample's namespace.",
    means="Proxies of another minor version than their istiod mostly work; Istio's project allows them one version behind for "
    "the time of an upgrade. More than one minor version between primaries is tested by nobody.",
    arises="An upgrade after which Pods were not restarted, or that not all clusters had.",
    mend="Restart the Pods, the gateways first; upgrade the clusters that are behind, one minor version after the other.",
)
