"""Does the gateway's proxy listen where its objects say so?"""

from __future__ import annotations

from collections.abc import Iterable

from wizard.checks.standing.check import Check, Fault
from wizard.checks.standing.exposed import gateways_of, opens
from wizard.checks.standing.gateways import labels_in, listening_port, ports_listened_on, ready_pods_of, service_of
from wizard.checks.standing.policies import sample_host
from wizard.checks.standing.view import Here
from wizard.clusters.typed import istioctl
from wizard.istio.proxies import has_sidecar
from wizard.messages import msg
from wizard.text import listing, one_line, quoted


def find(here: Here) -> Iterable[Fault]:
    if not here.mesh.has_gateway(here.name) or not here.mesh.beyond(here.name):
        return
    port, control = listening_port(service_of(here)), here.control
    host = sample_host(control)
    for pod in ready_pods_of(here):
        if not has_sidecar(pod) or not any(opens(each, labels_in(pod), port, host) for each in gateways_of(control)):
            continue
        heard = ports_listened_on(here, pod)
        if port in heard:
            continue
        name, namespace = one_line(pod["metadata"]["name"]), str(pod["metadata"]["namespace"])
        yield Fault(
            msg(
                "{cluster}: Pod {pod} of the gateway does not listen on {port}, although a Gateway opens it: it has "
                "not got, or refused, "
                "what istiod told it",
                cluster=here.name, pod=name, port=port,
            ),
            msg("Pod {pod} in {namespace}", pod=name, namespace=namespace),
            evidence=(msg("its admin page lists listeners at {ports}", ports=listing(map(str, sorted(heard))) or msg("none")),),
            remedy=msg("See what istiod told it, and whether it is connected; then start it anew:"),
            commands=(
                istioctl(control.member, "proxy-status"),
                f"{here.kubectl} -n {quoted(namespace)} delete pod {quoted(pod['metadata']['name'])}",
            ),
            breaks=here.view.beyond_into(here.name) if len(ready_pods_of(here)) == 1 else (),
        )  # fmt: skip


CHECK = Check(
    "gateway-listener",
    "gateway",
    "error",
    find,
    short=msg("gateway does not listen"),
    title="The gateway's proxy listens on the port that its Gateway opens",
    reads="The admin page `listeners` of each Ready Pod of the gateway.",
    means="The objects are right and the proxy does not follow them: it lost its istiod, or Envoy refused a listener. "
    "Whoever connects is refused.",
    arises="istiod was away when the Pod started, or the configuration as a whole was refused because of another object.",
    mend="`istioctl proxy-status` shows whether the proxy is connected and what it refused. Start the Pod anew once "
    "that is mended.",
    follows=True,
)
