"""Is the sample's Service kept within each cluster?"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from wizard.checks.standing.check import Check, Fault
from wizard.checks.standing.istiods import mesh_config_of
from wizard.checks.standing.meshconfig import setting
from wizard.checks.standing.policies import most_specific, sample_host
from wizard.checks.standing.samples import is_wanted, service_ref
from wizard.checks.standing.view import Here
from wizard.mesh.model import SYSTEM_NAMESPACE
from wizard.messages import msg
from wizard.text import one_line, quoted

_ALWAYS = "kube-system"  # istiod keeps all Services there within their clusters


def find(here: Here) -> Iterable[Fault]:
    if here.control is not here or not is_wanted(here):
        return
    view, ref = here.view, mesh_config_of(here)
    breaks = tuple(pair for name in view.served_by(here.name) for pair in view.out_of(name))
    told = dict(_settings(here))
    decided = most_specific(told, sample_host(here))
    if decided is not None and told[decided]:
        yield Fault(
            msg(
                "{cluster}: {config} keeps {host} within each cluster (serviceSettings, clusterLocal), so only a client's own "
                "cluster answers it",
                cluster=here.name, config=str(ref), host=one_line(decided),
            ),
            str(ref),
            evidence=(msg("{config} in {cluster}: serviceSettings", config=str(ref), cluster=here.name),),
            remedy=msg("Take the host out of meshConfig.serviceSettings, in what Istio is installed with, too."),
            commands=(f"{here.kubectl} -n {SYSTEM_NAMESPACE} edit configmap {quoted(ref.name)}",),
            breaks=breaks,
        )  # fmt: skip
    elif decided is None and here.mesh.verify.namespace == _ALWAYS:
        yield Fault(
            msg(
                "{cluster}: {service} is in {namespace}, whose Services istiod keeps within each cluster: only a client's own "
                "cluster answers it",
                cluster=here.name, service=str(service_ref(view)), namespace=_ALWAYS,
            ),
            str(service_ref(view)),
            remedy=msg("Have the sample in another namespace."),
            breaks=breaks,
        )  # fmt: skip


def _settings(control: Here) -> Iterator[tuple[str, bool]]:
    """(a host, whether it is kept within its cluster), as the mesh configuration says, whatever else stands there."""
    listed = setting(control, "serviceSettings")
    for each in listed if isinstance(listed, list) else ():
        settings, hosts = (each.get("settings"), each.get("hosts")) if isinstance(each, dict) else (None, None)
        local = settings.get("clusterLocal") if isinstance(settings, dict) else None
        for host in hosts if isinstance(hosts, list) else ():
            yield str(host), local is True


CHECK = Check(
    "cluster-local",
    "workload",
    "error",
    find,
    short=msg("kept within its cluster"),
    title="The sample's Service is not kept within each cluster",
    reads="`serviceSettings` of the mesh configuration of each primary, and the sample's namespace.",
    means="For a Service that is cluster-local istiod gives a proxy only the endpoints of the proxy's own cluster.",
    arises="A host with a wildcard in `serviceSettings` covers more than was meant; or the Service is in "
    "`kube-system`, whose Services are always cluster-local.",
    mend="Take the host out of `meshConfig.serviceSettings`, or set `clusterLocal: false` for it: the more specific "
    "host wins.",
)
