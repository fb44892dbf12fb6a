"""Do the endpoints that the client's proxy knows answer it?"""

from __future__ import annotations

from collections.abc import Iterable

from wizard.checks.finding import Pair
from wizard.checks.standing.check import Check, Fault
from wizard.checks.standing.endpoints import PAGE, Endpoint, inner_addresses, known, outer_addresses, read_again
from wizard.checks.standing.samples import unproven
from wizard.checks.standing.view import Here
from wizard.messages import counted, msg
from wizard.text import listing, one_line


def find(here: Here) -> Iterable[Fault]:
    lacking = unproven(here.view, here.view.out_of(here.name))
    told = known(here) if lacking else None
    if told is None or not told.endpoints:
        return
    pod = one_line(str(told.pod))
    for endpoint in told.endpoints:
        problem = _problem(endpoint)
        if problem:
            yield Fault(
                msg(
                    "{cluster}: from the proxy of {pod}, endpoint {place} {problem}",
                    cluster=here.name, pod=pod, place=one_line(endpoint.place), problem=problem,
                ),
                one_line(endpoint.place),
                evidence=(
                    msg("{pod} in {cluster}: {page}: {place}: cx_connect_fail {failed}, rq_success {answered}, health {health}",
                        pod=pod, cluster=here.name, page=PAGE, place=one_line(endpoint.place), failed=endpoint.failed,
                        answered=endpoint.answered, health=one_line(endpoint.health) or "-"),
                ),
                remedy=msg("Connections that fail point to the way: an address, a port, a firewall."),
                commands=(read_again(here, told.pod, PAGE),),
                breaks=_leading_to(here, endpoint, lacking),
            )  # fmt: skip
    waiting = [each for each in told.endpoints if each.priority > 0]
    if waiting and len(waiting) < len(told.endpoints):
        yield Fault(
            msg(
                "{cluster}: the proxy of {pod} keeps {places} for the day when the nearer endpoints fail",
                cluster=here.name, pod=pod, places=listing(one_line(each.place) for each in waiting),
            ),
            str(told.pod),
            short=msg("only the near ones are asked"),
            evidence=(msg("{pod} in {cluster}: {page}: priority > 0", pod=pod, cluster=here.name, page=PAGE),),
            remedy=msg("A DestinationRule with outlierDetection, or localityLbSetting, has it so."),
            commands=(read_again(here, told.pod, PAGE),),
            severity="warning",
        )  # fmt: skip


def _leading_to(here: Here, endpoint: Endpoint, lacking: tuple[Pair, ...]) -> tuple[Pair, ...]:
    """The traffic that goes to this endpoint; where nobody knows, all."""
    view, mesh = here.view, here.mesh

    def leads(target: str) -> bool:
        network = mesh.cluster(target).network
        if network == here.member.network:
            return endpoint.address in inner_addresses(view.at(target))
        return endpoint.address in (outer_addresses(view, network) or ())

    return tuple(pair for pair in lacking if leads(pair[1])) or lacking


def _problem(endpoint: Endpoint) -> str:
    """What is wrong with it; empty where nothing is."""
    if endpoint.failed and not endpoint.answered:
        return counted(
            "never answered, and {count} connection failed", "never answered, and {count} connections failed",
            endpoint.failed,
        )  # fmt: skip
    if not endpoint.is_serving:
        return msg("is left out: it failed too often") if endpoint.ejected else msg("is told to be unhealthy")
    return ""


CHECK = Check(
    "endpoint-health",
    "data-path",
    "unsure",
    find,
    short=msg("an endpoint fails"),
    title="The endpoints answer the client's proxy",
    reads="The admin page `clusters` of the client's proxy: of each endpoint of the sample's Service its health, "
    "connections that failed, requests that were answered, and priority. Only while answers are missing.",
    means="An endpoint to which connections fail is not reached: nothing listens there, or something in between "
    "drops or resets them. One that was ejected failed too often. Endpoints of a higher priority are asked only when "
    "the others fail.",
    arises="A NodePort or address that changed, a firewall, a gateway without Pods; for priorities a DestinationRule "
    "with outlier detection.",
    mend="See what was found of gateways and networks; the counts are since the proxy knows the endpoint.",
)
