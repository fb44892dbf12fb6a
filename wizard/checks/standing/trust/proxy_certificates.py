"""Do the proxies hold what their istiod gives out now?"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime

from wizard.certificates.bundle import ROOT
from wizard.checks.finding import Pair
from wizard.checks.standing.answering import answering, controls
from wizard.checks.standing.check import Check, Fault
from wizard.checks.standing.proxies import Held, held
from wizard.checks.standing.roots import DISTRIBUTED, is_late, serials_in, trust_of
from wizard.checks.standing.trust.trust_domain import accept
from wizard.checks.standing.trustdomains import trust_domains
from wizard.checks.standing.view import Here
from wizard.messages import joined, msg
from wizard.text import listing, one_line, quoted


def find(here: Here) -> Iterable[Fault]:
    proxies = held(here)
    now = here.version().date or datetime.now(UTC)
    for proxy in proxies:
        if proxy.expires is not None and proxy.expires < now:
            yield _expired(here, proxy, proxy.expires)
    if here.control not in controls(here):
        return
    if _agree(here):
        yield from _stale(here, proxies)
    yield from _renamed(here, proxies)


def _agree(here: Here) -> bool:
    """Whether the control planes have one trust: where they do not, that is the cause of what proxies hold."""
    trusts = [trust_of(there) for there in controls(here)]
    first = trusts[0]
    return all(first and trust and first.with_(trust) for trust in trusts) and not any(map(is_late, controls(here)))


def _expired(here: Here, proxy: Held, end: datetime) -> Fault:
    return Fault(
        msg(
            "{cluster}: the certificate of {pod} expired on {date} UTC, and it got no other: other proxies refuse it",
            cluster=here.name,
            pod=str(proxy.pod),
            date=f"{end:%Y-%m-%d %H:%M}",
        ),
        str(proxy.pod),
        short=msg("a proxy's certificate expired"),
        evidence=(_read(here, proxy),),
        remedy=msg("See that its istiod answers, and start it anew:"),
        commands=_again(here, proxy),
        breaks=_of(here, proxy, (each.name for each in here.mesh.clusters)),
    )


def _stale(here: Here, proxies: list[Held]) -> Iterator[Fault]:
    """A proxy that was started under another root keeps that until it gets its next certificate, or starts anew."""
    current = serials_in(((here.control.get(DISTRIBUTED) or {}).get("data") or {}).get(ROOT, ""))
    for proxy in proxies:
        if not current or not proxy.roots or proxy.roots & current:
            continue
        against = [there.name for there in answering(here.view.all) if _opposite(there, proxy)]
        breaks = _of(here, proxy, against)
        words = {"cluster": here.name, "pod": str(proxy.pod), "held": _serials(proxy.roots), "root": _serials(current)}
        yield Fault(
            msg(
                "{cluster}: {pod} still trusts the root that was before (serial number {held}; it is {root} now), and those of "
                "{others} do not",
                others=listing(against),
                **words,
            )
            if breaks
            else msg(
                "{cluster}: {pod} still trusts the root that was before (serial number {held}; it is {root} now): whoever holds "
                "the present one, and it do not trust each other",
                **words,
            ),
            str(proxy.pod),
            short=msg("a proxy with an old root"),
            evidence=(_read(here, proxy),),
            remedy=msg("Start it anew, as every Pod that is older than the root:"),
            commands=_again(here, proxy),
            breaks=breaks,
            severity="error" if breaks else "warning",
        )


def _opposite(there: Here, proxy: Held) -> bool:
    """Whether those whom this proxy meets in that cluster trust none of its roots."""
    met = {"client": "server", "server": "client"}.get(proxy.role)
    return any(each.role == met and each.roots and not each.roots & proxy.roots for each in held(there))


def _renamed(here: Here, proxies: list[Held]) -> Iterator[Fault]:
    """A proxy keeps the trust domain with which it was injected."""
    own = trust_domains(here.control)
    others = [found for there in controls(here) if (found := trust_domains(there))]
    if own is None or not all(accept(own, other) for other in others):
        return
    known = {own[0], *own[1]}
    for proxy in proxies:
        strange = sorted(proxy.domains - known)
        if strange:
            yield Fault(
                msg(
                    "{cluster}: {pod} is known as one of trust domain {domain}, and the mesh has {wanted}: others refuse it",
                    cluster=here.name,
                    pod=str(proxy.pod),
                    domain=listing(map(one_line, strange)),
                    wanted=one_line(own[0]),
                ),
                str(proxy.pod),
                short=msg("a proxy of an old domain"),
                evidence=(_read(here, proxy),),
                remedy=msg("Start it anew, as every Pod that is older than the change:"),
                commands=_again(here, proxy),
                breaks=_of(here, proxy, (each.name for each in here.mesh.clusters)),
            )


def _of(here: Here, proxy: Held, others: Iterable[str]) -> tuple[Pair, ...]:
    """The traffic between this proxy and those of these clusters. A gateway passes TLS on, and ends none of the mesh's."""
    if proxy.role == "gateway":
        return ()
    return tuple((here.name, name) if proxy.role == "client" else (name, here.name) for name in others)


def _read(here: Here, proxy: Held) -> str:
    return msg(
        "{pod} in {cluster}, `certs` of its proxy: trusts {roots}, is of {domains}",
        pod=str(proxy.pod),
        cluster=here.name,
        roots=_serials(proxy.roots),
        domains=listing(map(one_line, sorted(proxy.domains))),
    )


def _serials(numbers: frozenset[int]) -> str:
    return joined((f"{number:x}" for number in sorted(numbers)), ", ")


def _again(here: Here, proxy: Held) -> tuple[str, ...]:
    return (f"{here.kubectl} -n {quoted(proxy.pod.namespace)} delete pod {quoted(proxy.pod.name)}",)


CHECK = Check(
    "proxy-certificates",
    "trust",
    "error",
    find,
    short=msg("an old proxy certificate"),
    title="The proxies hold certificates of the present root and trust domain",
    reads="The page `certs` of Envoy in the Pods of the east-west gateway and of the sample, against ConfigMap "
    "`istio-ca-root-cert` and the trust domain of the control plane.",
    means="A proxy keeps the root, and the trust domain in its identity, with which it was started. After either changed, it "
    "and the Pods that were started since do not trust each other. A gateway passes the mesh's TLS on, so of it this is a "
    "warning.",
    arises="The root or the trust domain was changed and Pods were not started anew; or a proxy has lost its istiod for so long "
    "that its certificate expired.",
    mend="Delete the Pod, for another to be made; so with every Pod that is older than the change.",
)
