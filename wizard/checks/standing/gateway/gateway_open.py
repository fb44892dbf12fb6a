"""Does the east-west gateway let the mesh's Services in?"""

from __future__ import annotations

from collections.abc import Iterable

from wizard import kinds
from wizard.checks.finding import Pair
from wizard.checks.standing.check import Check, Fault
from wizard.checks.standing.exposed import Opened, gateways_of, opens, served_with_gateway
from wizard.checks.standing.gateways import gateway_labels, listening_port, service_of
from wizard.checks.standing.policies import sample_host
from wizard.checks.standing.view import Here
from wizard.clusters.kinds import ISTIO_GATEWAY, Ref
from wizard.mesh.model import SYSTEM_NAMESPACE
from wizard.messages import msg
from wizard.text import listing, one_line, quoted

_USUAL = Ref(ISTIO_GATEWAY, "cross-network-gateway", SYSTEM_NAMESPACE)
_MODE = "AUTO_PASSTHROUGH"


def find(here: Here) -> Iterable[Fault]:
    """Of a cluster with an istiod: what it opens on the gateways that it configures."""
    if here.control is not here:
        return
    closed = [there for there in served_with_gateway(here) if gateway_labels(there) and not _is_open(here, there)]
    if not closed:
        return
    listed = gateways_of(here)
    meant = _meant(here, listed)
    yield Fault(
        _text(here, closed, listed, meant),
        str(meant),
        evidence=tuple(each.told for each in listed[:5])
        or (msg("no Gateway with mode {mode} in {cluster}", mode=_MODE, cluster=here.name),),
        remedy=msg(
            "Have a Gateway that selects its Pods open port {port} with TLS mode {mode} for {host}, as Istio's "
            "expose-services.yaml does.",
            port=listening_port(service_of(closed[0])), mode=_MODE, host=sample_host(here),
        ),
        commands=(f"{here.kubectl} -n {quoted(meant.namespace)} get gateways.networking.istio.io -o yaml",),
        step=None if here.view.inferred else kinds.EXPOSE_SERVICES.id(here.name),
        breaks=_breaks(closed),
    )  # fmt: skip


def _is_open(control: Here, there: Here) -> bool:
    labels, port = gateway_labels(there), listening_port(service_of(there))
    return any(opens(each, labels, port, sample_host(control)) for each in gateways_of(control))


def _meant(here: Here, listed: list[Opened]) -> Ref:
    """The Gateway to mend: that of the usual name, else one that passes through at all, else the usual one, which is missing."""
    names = [each.ref for each in listed]
    passing = [each.ref for each in listed if each.passes]
    return next(iter((*(ref for ref in names if ref == _USUAL), *passing)), _USUAL)


def _text(here: Here, closed: list[Here], listed: list[Opened], meant: Ref) -> str:
    told = {"cluster": here.name, "object": str(meant), "closed": listing(each.name for each in closed)}
    if not any(each.ref == meant for each in listed):
        return msg(
            "{cluster}: {object} is missing, so the gateway of {closed} passes nothing on to the mesh's Services",
            **told,
        )
    one = next(each for each in listed if each.ref == meant)
    labels, port = gateway_labels(closed[0]), listening_port(service_of(closed[0]))
    if not one.selects(labels):
        selector = one_line(",".join(f"{key}={value}" for key, value in sorted(one.selector.items())))
        return msg(
            "{cluster}: {object} selects {selector}, which the gateway's Pods of {closed} are not",
            **told,
            selector=selector,
        )
    if not one.passes_at(port):
        return msg(
            "{cluster}: {object} does not open port {port} with TLS mode {mode} on the gateway of {closed}",
            **told, port=port, mode=_MODE,
        )  # fmt: skip
    return msg(
        "{cluster}: the hosts of {object} leave out {host} on the gateway of {closed}", **told, host=sample_host(here)
    )


def _breaks(closed: list[Here]) -> tuple[Pair, ...]:
    return tuple(pair for there in closed for pair in there.view.beyond_into(there.name))


CHECK = Check(
    "gateway-open",
    "gateway",
    "error",
    find,
    short=msg("gateway is not opened"),
    title="A Gateway object lets traffic for the mesh's Services through the east-west gateway",
    reads="Istio's Gateways in the cluster of the istiod that configures the gateway: selectors, ports, TLS modes and "
    "hosts, held against "
    "the labels of the gateway's Pods.",
    means="Without such a Gateway the proxy does not listen on 15443, or resets whoever comes. Connections that stand "
    "go on, so that "
    "it may be noticed late.",
    arises="The Gateway was never applied, was deleted, or selects labels that the gateway's Pods do not have; a "
    "primary's Gateway is what "
    "opens those of its remotes.",
    mend="Apply Istio's `expose-services.yaml`, with the labels of the gateway; `meshwizard resume` does in a mesh of "
    "its own.",
)
