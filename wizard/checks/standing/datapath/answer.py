"""What the client was answered instead, and where that usually comes from."""

from __future__ import annotations

import re
from collections.abc import Iterable

from wizard.checks.standing.check import Check, Fault, Layer
from wizard.checks.standing.samples import client_of, in_namespace
from wizard.checks.standing.view import Here
from wizard.clusters.kinds import DEPLOYMENT, Ref
from wizard.messages import msg
from wizard.probes.traffic import url_of
from wizard.text import one_line, quoted

# The first that fits: what curl or Envoy says, what that most often means, and in which layer to look.
SIGNALS: tuple[tuple[str, str, Layer], ...] = (
    (
        r"CERTIFICATE_VERIFY_FAILED",
        msg("the other side's certificate comes from a root that is not trusted here, or names another trust domain"),
        "trust",
    ),
    (r"UNKNOWN_CA", msg("the other side does not trust the root of the certificate that it was shown"), "trust"),
    (
        r"WRONG_VERSION_NUMBER",
        msg("the other side answers in plain text: its Pod has no sidecar, or takes no mutual TLS"),
        "workload",
    ),
    (
        r"OPENSSL_internal:HTTP_REQUEST",
        msg("roots differ, or something in between takes the connection apart"),
        "trust",
    ),
    (r"RBAC: access denied", msg("an AuthorizationPolicy refuses the client"), "workload"),
    (r"fault filter abort", msg("a VirtualService aborts requests on purpose"), "workload"),
    (r"no healthy upstream", msg("the proxy has no endpoint that it may ask"), "discovery"),
    (
        r"Connection reset|connection termination",
        msg("the gateway passes nothing on: no Gateway opens it, or nothing is behind it; or a firewall resets"),
        "gateway",
    ),
    (
        r"[Cc]onnection refused|delayed connect error: 111",
        msg("nothing listens at the address of the gateway: its port or NodePort is another, or it has no Pod"),
        "gateway",
    ),
    (r"delayed connect error: 113|No route to host|unreachable", msg("there is no route to the address"), "network"),
    (
        r"timed out|[Tt]imeout",
        msg("something in between drops packets, or the address is that of a Pod on another network"),
        "gateway",
    ),
    (r"Could not resolve", msg("the Service is not in the client's cluster"), "workload"),
    (r"upstream connect error", msg("the endpoint is not reached"), "gateway"),
)


def find(here: Here) -> Iterable[Fault]:
    told = here.view.traffic.get(here.name)
    heard = told.heard if told else None
    breaks = tuple(sorted(pair for pair in here.view.broken if pair[0] == here.name))
    if heard is None or not heard.error or not breaks:
        return
    for pattern, means, layer in SIGNALS:
        if re.search(pattern, heard.error):
            said, client = one_line(heard.error), client_of(here)
            url = quoted(url_of(here.mesh.verify.namespace))
            yield Fault(
                msg(
                    "{cluster}: its client was answered: {answer} - which most often means that {means} (layer {layer})",
                    cluster=here.name, answer=said, means=means, layer=layer,
                ),
                str(Ref(DEPLOYMENT, client, here.mesh.verify.namespace)),
                evidence=(msg("curl in {cluster}: {answer}", cluster=here.name, answer=said),),
                remedy=msg("See what was found in layer {layer}.", layer=layer),
                commands=(f"{in_namespace(here)} exec {quoted(f'deploy/{client}')} -c {quoted(client)} -- curl -sS -m 5 {url}",),
                breaks=breaks,
            )  # fmt: skip
            return


CHECK = Check(
    "answer",
    "data-path",
    "unsure",
    find,
    short=msg("what was answered"),
    title="The client is answered by the sample",
    reads="What `curl` in the client's Pod heard last that was no answer of the sample: its own complaint, or the "
    "text that Envoy answered.",
    means="The text tells in which layer to look; it does not tell the cause. A certificate that cannot be verified "
    "points to trust, a refused or reset connection to the gateway, `no healthy upstream` to discovery, `RBAC` and "
    "`fault filter` to policies, plain text where TLS was meant to a Pod without a sidecar.",
    arises="Whatever keeps the traffic from passing.",
    mend="See what was found in the layer that it names.",
)
