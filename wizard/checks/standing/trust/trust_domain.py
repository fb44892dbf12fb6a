"""Do the control planes accept each other's identities?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from wizard.checks.standing.answering import controls
from wizard.checks.standing.check import Check, Fault
from wizard.checks.standing.istiods import mesh_config_of
from wizard.checks.standing.restarting import istiod_again, proxies_again
from wizard.checks.standing.roots import apart
from wizard.checks.standing.trustdomains import trust_domains
from wizard.checks.standing.view import Here
from wizard.mesh.model import SYSTEM_NAMESPACE
from wizard.messages import msg
from wizard.text import listing, one_line, quoted


def find(here: Here) -> Iterable[Fault]:
    if here.member.role == "remote":
        return
    told = {there.name: found for there in controls(here) if (found := trust_domains(there))}
    own = told.get(here.name)
    if own is None:
        return
    config, meant = mesh_config_of(here), _meant(here, [found[0] for found in told.values()])
    others = [here.view.at(name) for name, found in told.items() if not accept(own, found)]
    if not others or own[0] == meant:
        return
    yield Fault(
        msg(
            "{cluster}: {object} names trust domain {domain}, that of {others} is another, and neither takes the other for an "
            "alias: they refuse each other's identities",
            cluster=here.name,
            object=str(config),
            domain=one_line(own[0]),
            others=listing(other.name for other in others),
        ),
        str(config),
        evidence=tuple(
            msg(
                "{object} in {cluster}: trustDomain {domain}, trustDomainAliases {aliases}",
                object=str(mesh_config_of(here.view.at(name))),
                cluster=name,
                domain=one_line(told[name][0]),
                aliases=listing(map(one_line, sorted(told[name][1]))) or msg("none"),
            )
            for name in (here.name, *(other.name for other in others[:3]))
        ),
        remedy=msg(
            "Let it say `trustDomain: {meant}`, or name in each of them the domain of the other under `trustDomainAliases`; then "
            "start istiod anew, and after it the gateways and all workloads:",
            meant=one_line(meant),
        ),
        commands=(
            f"{here.kubectl} -n {SYSTEM_NAMESPACE} edit configmap {quoted(config.name)}",
            *istiod_again(here),
            *proxies_again(here),
        ),
        breaks=apart(here, others),
    )


def accept(one: tuple[str, frozenset[str]], other: tuple[str, frozenset[str]]) -> bool:
    """Whether what two control planes serve accepts each other: a server asks for a known domain of its clients, and a client for
    one of its server.
    """
    return one[0] == other[0] or (one[0] in other[1] and other[0] in one[1])


def _meant(here: Here, domains: list[str]) -> str:
    """The domain that the mesh is to have: the wanted one, else that of most, of two the first."""
    wanted = here.mesh.trust_domain
    return wanted if not here.view.inferred and wanted in domains else Counter(domains).most_common(1)[0][0]


CHECK = Check(
    "trust-domain",
    "trust",
    "error",
    find,
    short=msg("another trust domain"),
    title="The control planes have one trust domain, or know each other's",
    reads="`trustDomain` and `trustDomainAliases` in the mesh configuration of each control plane: ConfigMap `istio`, or "
    "`istio-REVISION`.",
    means="A workload's identity begins with its trust domain. A proxy accepts identities of its own domain and of the aliases "
    "that its control plane names, so two clusters with different ones refuse each other, although their roots are the same.",
    arises="One cluster was installed with another `meshConfig.trustDomain`, or a platform sets one of its own.",
    mend="Give all clusters one trust domain, or name each other's as `trustDomainAliases` on both sides. Identities are given "
    "when a proxy starts: start istiod, gateways and workloads anew.",
)
