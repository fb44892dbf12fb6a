"""Does the next connection to the gateways of the other networks get through?"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from wizard.checks.finding import Pair, Severity
from wizard.checks.standing.answering import answering
from wizard.checks.standing.check import Check, Fault
from wizard.checks.standing.exposed import gateways_of, opens
from wizard.checks.standing.gateways import (
    Place,
    gateway_labels,
    listening_port,
    ready_pods_of,
    service_of,
    service_ref,
)
from wizard.checks.standing.networks import merged, spelled
from wizard.checks.standing.policies import sample_host
from wizard.checks.standing.samples import client_proxies
from wizard.checks.standing.view import Here
from wizard.clusters.kinds import Object
from wizard.fanout import of_each
from wizard.istio.proxies import PROXY, has_sidecar
from wizard.mesh.addresses import bracketed
from wizard.mesh.sample import PORT
from wizard.messages import msg
from wizard.text import one_line

SECONDS = 6
_MOST = 8  # peers that one cluster tries, unless traffic to them is broken
_ESTABLISHED = "CONNECTION ESTABLISHED"
_REFUSED = re.compile(r"errno=111\b|[Cc]onnection refused")
_TIMED_OUT = 124  # of `timeout`
_NO_PROGRAM = (126, 127, -1)

Met = Literal["open", "refused", "silent", "closed", "untried"]


@dataclass(frozen=True)
class Tried:
    """One address of a peer's gateway, tried from a Pod. `said`: what the program printed last."""

    place: Place
    met: Met
    said: str = ""


def find(here: Here) -> Iterable[Fault]:
    asker = _asker(here)
    if asker is None:
        return
    known = _gateways_known(here)
    peers = [there for there in _peers(here) if known.get(there.member.network) and ready_pods_of(there)]
    todo = [(there, place) for there in peers for place in sorted(known[there.member.network])]
    tried = of_each(todo, lambda each: _try(here, asker, each[1]), at_once=_MOST)
    for there in peers:
        mine = [each for (whose, _), each in zip(todo, tried, strict=True) if whose is there]
        yield from _told(here, there, asker, mine)


def _asker(here: Here) -> Object | None:
    """A Pod with a proxy, from whose side of the proxy nothing is captured: the client's, else the gateway's."""
    pods = [*client_proxies(here), *(pod for pod in ready_pods_of(here) if has_sidecar(pod))]
    return pods[0] if pods else None


def _peers(here: Here) -> list[Here]:
    """The clusters on other networks that are tried: of many, those that do not answer."""
    peers = answering(here.view.at(each.name) for each in here.mesh.beyond(here.name))
    if len(peers) <= _MOST:
        return peers
    missed = [there for there in peers if (here.name, there.name) in here.view.broken]
    return missed[:_MOST]


def _gateways_known(here: Here) -> dict[str, set[Place]]:
    """network → where the istiod that serves this cluster takes its gateways to be."""
    found: dict[str, set[Place]] = {}
    for _, known in merged(here.control):
        for each in known:
            found.setdefault(each.network, set()).add(each.place)
    return found


def _try(here: Here, asker: Object, place: Place) -> Tried:
    # Istio's gateways pass on only who speaks one of Istio's protocols, which openssl can say and curl cannot.
    sni = f"outbound_.{PORT}_._.{sample_host(here.control)}"
    address = f"{bracketed(place[0])}:{place[1]}"
    argv = (
        "timeout",
        str(SECONDS),
        "openssl",
        "s_client",
        "-connect",
        address,
        "-servername",
        sni,
        "-alpn",
        "istio",
        "-brief",
    )
    _, err, code = here.executed(asker, PROXY, argv, seconds=SECONDS + 4)
    said = one_line(err.strip().splitlines()[-1] if err.strip() else "", 200)
    if _ESTABLISHED in err:
        return Tried(place, "open", said)
    if code in _NO_PROGRAM:
        return Tried(place, "untried", said)
    if code == _TIMED_OUT:
        return Tried(place, "silent", msg("no answer within {seconds} s", seconds=SECONDS))
    return Tried(place, "refused" if _REFUSED.search(err) else "closed", said)


def _told(here: Here, there: Here, asker: Object, tried: list[Tried]) -> Iterator[Fault]:
    bad = [each for each in tried if each.met in ("refused", "silent", "closed")]
    if not bad:
        return
    first = bad[0]
    all_of_them = len(bad) == len(tried)
    pairs: tuple[Pair, ...] = ((here.name, there.name),)
    severity: Severity | None = None if all_of_them else "warning"
    told = {"cluster": here.name, "peer": there.name, "place": spelled(first.place)}
    if first.met == "silent":
        text = msg(
            "nothing answers {cluster} at {place}, the gateway of {peer}: what it sends is dropped on the way (a "
            "firewall, or a missing route)",
            **told,
        )
        short = msg("gateway's port is closed")
    elif first.met == "refused":
        text = msg(
            "{cluster} is refused at {place}, the gateway of {peer}: nobody listens there, or a firewall resets it",
            **told,
        )
        short = msg("gateway refuses")
    else:
        text = msg(
            "{cluster} reaches {place}, the gateway of {peer}, and it closes the connection: it has nobody to pass it on to",
            **told,
        )
        short = msg("gateway closes")
        # Most often a lower layer knows why, or a check of the workloads does.
        severity = "unsure"
    if first.met == "refused" and not _is_opened(there):
        severity = "unsure"  # it listens where it is told to, which is told elsewhere
    yield Fault(
        text,
        msg("{place} of {service}", place=spelled(first.place), service=str(service_ref(there))),
        short=short,
        evidence=(
            msg(
                "TLS to {place} from Pod {pod}, for the sample's Service: {said}",
                place=spelled(first.place), pod=one_line(asker["metadata"]["name"]), said=first.said or msg("nothing"),
            ),
        ),
        remedy=msg("Let TCP from the nodes of {cluster} through to {place}, and look whether it leads to the gateway:", **told),
        commands=(f"{there.kubectl} -n {service_ref(there).namespace} get service,endpointslices -o wide",),
        breaks=pairs if all_of_them else (),
        severity=severity,
    )  # fmt: skip


def _is_opened(there: Here) -> bool:
    labels, port = gateway_labels(there), listening_port(service_of(there))
    return any(opens(each, labels, port, sample_host(there.control)) for each in gateways_of(there.control))


CHECK = Check(
    "gateway-path",
    "gateway",
    "error",
    find,
    short=msg("gateway not reached"),
    title="The next connection from each cluster to the gateways of the other networks gets through",
    reads="A TLS handshake, by `openssl` in the proxy's container of the sample's client (or of the cluster's own "
    "gateway), to each address that istiod "
    "uses for the other networks, with the name and protocol by which a proxy asks for the sample's Service.",
    means="Proxies keep connections that stand, so traffic may pass although the next connection would not. Silence "
    "is a firewall or a missing "
    "route; a refusal, that nobody listens; a connection that is closed at once, that the gateway has nobody to pass "
    "it on to.",
    arises="Firewalls and security groups, an address that is not routed from there, kube-proxy that is missing, a "
    "gateway that has no "
    "endpoint behind it. With more than eight other clusters, those alone are tried that do not answer.",
    mend="Open the port from the nodes of the asking cluster to the address that is named.",
    follows=True,
)
