"""Do two Gateways open the same port for the same hosts?"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import combinations

from wizard.checks.standing.check import Check, Fault
from wizard.checks.standing.exposed import gateways_of, opens, served_with_gateway
from wizard.checks.standing.gateways import gateway_labels, listening_port, service_of
from wizard.checks.standing.policies import sample_host
from wizard.checks.standing.view import Here
from wizard.messages import msg
from wizard.text import quoted


def find(here: Here) -> Iterable[Fault]:
    if here.control is not here:
        return
    host = sample_host(here)
    for there in served_with_gateway(here):
        labels, port = gateway_labels(there), listening_port(service_of(there))
        both = [each for each in gateways_of(here) if labels and opens(each, labels, port, host)]
        for one, other in list(combinations(both, 2))[:1]:
            yield Fault(
                msg(
                    "{cluster}: {one} and {other} open port {port} of the gateway of {there} for the same hosts; "
                    "Envoy may refuse such a "
                    "listener as a whole",
                    cluster=here.name, one=str(one.ref), other=str(other.ref), port=port, there=there.name,
                ),
                str(other.ref),
                evidence=(one.told, other.told),
                remedy=msg("Keep one of them:"),
                commands=(
                    f"{here.kubectl} -n {quoted(other.ref.namespace)} delete gateways.networking.istio.io "
                    "{quoted(other.ref.name)}",
                ),
            )  # fmt: skip


CHECK = Check(
    "gateway-conflict",
    "gateway",
    "warning",
    find,
    short=msg("two Gateways, one port"),
    title="One Gateway opens the east-west gateway's port",
    reads="Istio's Gateways that pass TLS through on the gateway's port for the mesh's Services.",
    means="istiod makes one listener of both; with the same hosts it has filter chains that match the same, which "
    "Envoy refuses. Then "
    "the gateway keeps its old listener, or has none once it starts anew.",
    arises="`expose-services.yaml` was applied twice under different names, by two tools.",
    mend="Delete one of them, whichever of the two tools no longer looks after its own.",
)
