"""Can istiod use its intermediate, and do proxies accept what it signs with it?"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from wizard import kinds
from wizard.certificates.bundle import KEY, Inspection, inspect
from wizard.checks.finding import Pair
from wizard.checks.standing.check import Check, Fault
from wizard.checks.standing.istiods import runs_istiod, served_clusters
from wizard.checks.standing.roots import (
    distributed,
    is_generated,
    is_late,
    named,
    plugged_in,
    self_signed,
)
from wizard.checks.standing.view import Here
from wizard.clusters.kinds import Object
from wizard.messages import joined, msg
from wizard.objects.cacerts import CACERTS, SELF_SIGNED, files_in
from wizard.text import one_line


def find(here: Here) -> Iterable[Fault]:
    if not runs_istiod(here):
        return
    secret = here.get(CACERTS)
    if secret is None:
        yield from _missing(here)
    elif not is_generated(secret):
        yield from _flawed(here, secret)


def _missing(here: Here) -> Iterator[Fault]:
    """In a mesh of ours every primary has one. Where istiod signs for a root of its own by now, `roots` tells it."""
    given_out = distributed(here)
    if here.view.inferred or not given_out or given_out & self_signed(here):
        return
    yield Fault(
        msg(
            "{cluster}: {secret} is gone. istiod still signs for the mesh's root; when it starts anew, it makes a root of "
            "its own, which nobody else trusts",
            cluster=here.name,
            secret=str(CACERTS),
        ),
        str(CACERTS),
        evidence=(
            msg("{cluster}: neither {secret} nor {own}", cluster=here.name, secret=str(CACERTS), own=str(SELF_SIGNED)),
        ),
        remedy=msg("Make it again, with an intermediate of that root, before istiod starts anew."),
        step=kinds.INTERMEDIATE.id(here.name),
        severity="warning",
    )


def _flawed(here: Here, secret: Object) -> Iterator[Fault]:
    words = {"cluster": here.name, "secret": str(CACERTS)}
    try:
        found = inspect(files_in(secret), here.mesh.trust_domain, strict=False)
    except ValueError:
        text = msg("{cluster}: {secret} cannot be decoded: istiod will not start with it", **words)
        yield Fault(text, str(CACERTS), commands=_look(here))
        return
    evidence = (
        msg(
            "{secret} in {cluster}: certificate {certificate}, root {root}",
            **words,
            certificate=found.certificate[:16] or msg("none"),
            root=named(plugged_in(here)),
        ),
    )
    broken = joined((one_line(each.told) for each in found.of("broken")), "; ")
    if broken and _is_refused(found):
        yield Fault(
            msg("{cluster}: istiod cannot use {secret}, and will not start with it: {flaws}", flaws=broken, **words),
            str(CACERTS),
            evidence=evidence,
            remedy=_anew(),
            commands=_look(here),
        )
    elif broken:
        yield Fault(
            msg(
                "{cluster}: what istiod signs with {secret} is not accepted by proxies, and istiod will not start with it: "
                "{flaws}",
                flaws=broken,
                **words,
            ),
            str(CACERTS),
            evidence=evidence,
            remedy=_anew(),
            commands=_look(here),
            breaks=_all(here),
        )
    for each in found.of("worry"):
        yield Fault(
            msg(
                "{cluster}: {secret}: {flaw}. From then on no proxy of {cluster} is trusted, and istiod will not start",
                flaw=one_line(each.told),
                **words,
            ),
            str(CACERTS),
            evidence=evidence,
            remedy=_anew(),
            commands=_look(here),
            severity="warning",
        )


def _is_refused(found: Inspection) -> bool:
    """Whether istiod takes it up at no time, so that it goes on with what it had; else it signs with it."""
    return found.expires is None or any(each.file == KEY for each in found.of("broken"))


def _all(here: Here) -> tuple[Pair, ...]:
    """All traffic of what this istiod serves, unless it still signs with what it had before."""
    if is_late(here):
        return ()
    served = served_clusters(here)
    pairs = [pair for name in served for pair in (*here.view.into(name), *here.view.out_of(name), (name, name))]
    return tuple(dict.fromkeys(pairs))


def _anew() -> str:
    return msg(
        "Replace its content by a whole intermediate that the same root signed; istiod takes that up by itself since Istio 1.19, "
        "before it must be started anew. Workloads take theirs within a day, or when they start anew."
    )


def _look(here: Here) -> tuple[str, ...]:
    at = f"{here.kubectl} -n {CACERTS.namespace} get secret {CACERTS.name}"
    return (f"{at} -o jsonpath='{{.data.ca-cert\\.pem}}' | base64 -d | openssl x509 -noout -subject -issuer -dates",)


CHECK = Check(
    "cacerts",
    "trust",
    "error",
    find,
    short=msg("unusable certificates"),
    title="Secret cacerts holds a whole intermediate that is valid",
    reads="In each cluster with an istiod, Secret `cacerts` (`ca-cert.pem`, `ca-key.pem`, `cert-chain.pem`, "
    "`root-cert.pem`, or the form `kubernetes.io/tls`): key and certificate belong together, the chain leads up to the "
    "root, all of it is valid now and for 30 days more, and may sign for the mesh's trust domain. In a mesh that the "
    "wizard made, that it is there.",
    means="Of what istiod cannot use, it takes up nothing, and does not start with it. What it signs with an expired or "
    "unfit certificate, no proxy accepts.",
    arises="Intermediates expire; a copy was cut off; key and certificate are of two issues; a chain lacks a certificate.",
    mend="Replace the content of `cacerts` by an intermediate of the same root. istiod takes it up by itself since Istio "
    "1.19 (an older one must be started anew), and workloads get certificates of it when theirs are renewed or they start "
    "anew.",
)
