"""Does a primary let its remotes' proxies reach its istiod through the gateway?"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from wizard import kinds
from wizard.checks.standing.check import Check, Fault
from wizard.checks.standing.exposed import gateways_of
from wizard.checks.standing.foreign import mapping, mappings, number
from wizard.checks.standing.gateways import gateway_labels, service_of, service_ref
from wizard.checks.standing.view import Here
from wizard.clusters.kinds import ISTIO_GATEWAY, VIRTUAL_SERVICE, Ref
from wizard.mesh.model import SYSTEM_NAMESPACE
from wizard.messages import msg
from wizard.text import listing

_PORTS = (15012, 15017)
_GATEWAY = Ref(ISTIO_GATEWAY, "istiod-gateway", SYSTEM_NAMESPACE)
_ROUTE = Ref(VIRTUAL_SERVICE, "istiod-vs", SYSTEM_NAMESPACE)


def find(here: Here) -> Iterable[Fault]:
    remotes = [each.name for each in here.mesh.remotes_of(here.name) if each.discovery is None]
    labels = gateway_labels(here)
    # What other hands made may lead its remotes to istiod in another way.
    if not remotes or not labels or here.view.inferred:
        return
    for ref, what in _wrong(here, labels):
        yield Fault(
            msg(
                "{cluster}: {what}, so the proxies of {remotes} reach its istiod no more: they go on with what they "
                "know, and whoever "
                "starts anew gets nothing",
                cluster=here.name, what=what, remotes=listing(remotes),
            ),
            str(ref),
            evidence=tuple(each.told for each in gateways_of(here)[:3]),
            remedy=msg("Put it back, as Istio's expose-istiod.yaml has it:"),
            commands=(f"{here.kubectl} -n {SYSTEM_NAMESPACE} get gateways.networking.istio.io,virtualservices -o yaml",),
            step=kinds.EXPOSE_ISTIOD.id(here.name),
            breaks=tuple(pair for name in remotes for pair in (*here.view.out_of(name), *here.view.into(name))),
        )  # fmt: skip
        return


def _wrong(here: Here, labels: object) -> Iterator[tuple[Ref, str]]:
    service = service_of(here)
    if service is not None:
        offered = {each["port"] for each in (service.get("spec") or {}).get("ports") or []}
        lost = [str(port) for port in _PORTS if port not in offered]
        if lost:
            told = {"object": str(service_ref(here)), "ports": listing(lost)}
            yield service_ref(here), msg("{object} has lost port {ports}", **told)
    selecting = [each for each in gateways_of(here) if each.selects(dict(labels))]  # type: ignore[call-overload]
    listened = {server.port for each in selecting for server in each.servers}
    if not set(_PORTS) <= listened:
        lost = [str(port) for port in _PORTS if port not in listened]
        yield _GATEWAY, msg("{object} does not open port {ports}", object=str(_GATEWAY), ports=listing(lost))
    routed = {
        number(match.get("port"))
        for live in here.objects(VIRTUAL_SERVICE)
        for route in mappings(mapping(live.get("spec")).get("tls"))
        for match in mappings(route.get("match"))
    }
    if not set(_PORTS) <= routed:
        lost = [str(port) for port in _PORTS if port not in routed]
        yield _ROUTE, msg("{object} does not lead port {ports} to istiod", object=str(_ROUTE), ports=listing(lost))


CHECK = Check(
    "discovery-open",
    "gateway",
    "error",
    find,
    short=msg("istiod is not exposed"),
    title="A primary's gateway leads the proxies of its remotes to istiod",
    reads="The Gateways and VirtualServices of a primary with remotes, and the ports of its gateway's Service: 15012 "
    "and 15017.",
    means="The remotes' proxies and API servers ask the primary's istiod through this gateway. Without it they keep "
    "what they have; new Pods are "
    "not injected, and whoever starts anew gets no certificate.",
    arises="`expose-istiod.yaml` was not applied, or was deleted; or the Service lost these ports in an install "
    "without them.",
    mend="Put it back; `meshwizard resume` does in a mesh of its own.",
)
