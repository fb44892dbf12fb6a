"""Do the clusters trust each other?"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from wizard.checks.standing.answering import controls
from wizard.checks.standing.check import Check, Fault
from wizard.checks.standing.istiods import runs_istiod
from wizard.checks.standing.restarting import istiod_again, proxies_again
from wizard.checks.standing.roots import (
    DISTRIBUTED,
    Roots,
    Trust,
    apart,
    distributed,
    is_generated,
    is_late,
    named,
    plugged_in,
    strangers_to,
    trust_of,
)
from wizard.checks.standing.view import Here
from wizard.clusters.kinds import Object
from wizard.messages import msg
from wizard.objects.cacerts import CACERTS, SELF_SIGNED
from wizard.text import listing


def find(here: Here) -> Iterable[Fault]:
    if here.member.role == "primary":
        if here in _apart(here):
            yield _fault(here)
    elif here.control not in controls(here):
        return
    elif not runs_istiod(here):
        yield from _unlike_its_primary(here)
    elif here.control in strangers_to(here) and not is_late(here):
        yield _fault(here)


def _apart(here: Here) -> list[Here]:
    """The control planes that stand apart from the others. One whose istiod was started before its Secret is told elsewhere."""
    everyone = controls(here)
    if len({distributed(there) for there in everyone}) == 1 and distributed(here):
        return []  # who has the same bundle trusts all that it holds
    groups: dict[Trust, list[Here]] = {}
    for there in everyone:
        trust = trust_of(there)
        if trust is not None and not is_late(there):
            groups.setdefault(trust, []).append(there)
    if len(groups) < 2:
        return []
    weights = {trust: (len(members), _is_given(members[0])) for trust, members in groups.items()}
    likely = [trust for trust, weight in weights.items() if weight == max(weights.values())]
    meant = min(likely, key=lambda trust: _written(groups[trust][0].get(CACERTS)))
    return [there for trust, members in groups.items() if not trust.with_(meant) for there in members]


def _is_given(here: Here) -> bool:
    """Whether its root was given to it, and not made by its istiod."""
    secret = here.get(CACERTS)
    return secret is not None and not is_generated(secret)


def _written(secret: Object | None) -> str:
    """When it was written last; times in the API server's form compare as texts."""
    metadata = (secret or {}).get("metadata") or {}
    times = [metadata.get("creationTimestamp"), *(each.get("time") for each in metadata.get("managedFields") or [])]
    return max((str(time) for time in times if time), default="")


def _fault(here: Here) -> Fault:
    others = strangers_to(here)
    own, told = trust_of(here), listing(other.name for other in others)
    roots: Roots = own.trusted if own else frozenset()
    words = {"cluster": here.name, "secret": str(CACERTS), "root": named(roots), "others": told}
    if _is_given(here):
        text = msg(
            "{cluster}: istiod signs for the root of {secret} ({root}), which is not that of {others}: there is no "
            "mutual TLS between them",
            **words,
        )
    else:
        text = msg(
            "{cluster}: no {secret} was given to istiod, so it signs for a root of its own ({root}), which is not that of "
            "{others}: there is no mutual TLS between them",
            **words,
        )
    return Fault(
        text,
        str(CACERTS),
        evidence=tuple(_evidence([here, *others[:3]])),
        remedy=msg(
            "Give {cluster} a {secret} with an intermediate that the root of the others signed; then start istiod anew, and "
            "after it the gateways and all workloads:",
            cluster=here.name,
            secret=str(CACERTS),
        ),
        commands=(*istiod_again(here), *proxies_again(here)),
        breaks=apart(here, others),
    )


def _evidence(clusters: Iterable[Here]) -> Iterator[str]:
    for there in clusters:
        trust = trust_of(there)
        where = str(DISTRIBUTED) if distributed(there) else str(CACERTS) if plugged_in(there) else str(SELF_SIGNED)
        root = named(trust.trusted if trust else frozenset())
        yield msg("{object} in {cluster}: {root}", object=where, cluster=there.name, root=root)


def _unlike_its_primary(here: Here) -> Iterator[Fault]:
    """The root that its primary's istiod writes here is what proxies here trust."""
    control = here.control
    trust, found = trust_of(control), distributed(here)
    if trust is None or not found or trust.signing & found:
        return
    yield Fault(
        msg(
            "{cluster}: {object} holds another root ({root}) than that of its primary {primary} ({wanted}): proxies "
            "that start here do not trust istiod, and get nothing from it",
            cluster=here.name,
            object=str(DISTRIBUTED),
            root=named(found),
            primary=control.name,
            wanted=named(trust.signing),
        ),
        str(DISTRIBUTED),
        evidence=tuple(_evidence([here, control])),
        remedy=msg(
            "istiod of {primary} writes it where it looks after {cluster}: see that it does, and delete what is there for it "
            "to be written anew:",
            primary=control.name,
            cluster=here.name,
        ),
        commands=(f"{here.kubectl} -n {DISTRIBUTED.namespace} delete configmap {DISTRIBUTED.name}",),
        breaks=(*here.view.into(here.name), *here.view.out_of(here.name)),
    )


CHECK = Check(
    "roots",
    "trust",
    "error",
    find,
    short=msg("another root certificate"),
    title="All clusters trust each other's root certificate",
    reads="In each cluster with an istiod, the fingerprints (SHA-256) of the certificates in ConfigMap "
    "`istio-ca-root-cert`, which istiod writes and proxies trust; where there is none yet, those of Secret `cacerts`, else "
    "of `istio-ca-secret`. In a remote, ConfigMap `istio-ca-root-cert`, against that of its primary. Of several "
    "certificates in a bundle, those count as signing that stand above the signing certificate.",
    means="Proxies of the clusters refuse each other's certificates (`CERTIFICATE_VERIFY_FAILED`), so that no request passes "
    "between them. Named is the cluster that differs from most; of two, the one whose root was not given to it, or is newer.",
    arises="An istiod that finds no Secret `cacerts` when it starts makes a root of its own; or the clusters were given "
    "certificates of different roots.",
    mend="Give the cluster a `cacerts` with an intermediate of the common root, then start its istiod, its gateways and all its "
    "workloads anew, in this order.",
)
