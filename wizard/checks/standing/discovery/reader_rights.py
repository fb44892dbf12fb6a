"""May the account with whose token others read this cluster read it?"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from wizard import kinds
from wizard.checks.finding import Pair, Severity
from wizard.checks.standing.answering import controls
from wizard.checks.standing.check import Check, Fault
from wizard.checks.standing.istiods import version_of
from wizard.checks.standing.reader import READER, account_of
from wizard.checks.standing.secrets import lost, usable
from wizard.checks.standing.view import Here
from wizard.clusters.kinds import CLUSTER_ROLE, CLUSTER_ROLE_BINDING, Object, Ref
from wizard.istio.versions import minor_of
from wizard.messages import joined, msg
from wizard.text import quoted

_STEM = "istio-reader"
_SLICES_ALONE = (1, 20)  # since then istiod asks for no Endpoints, whatever the cluster's version
_READING = ("list", "watch")


class Wanted(NamedTuple):
    """Something that istiod does there."""

    group: str
    resource: str
    verbs: tuple[str, ...] = _READING

    def __str__(self) -> str:
        return f"{self.resource}.{self.group}" if self.group else self.resource


AnyOf = tuple[Wanted, ...]  # of which one will do
NEEDED: tuple[AnyOf, ...] = tuple((Wanted("", each),) for each in ("namespaces", "nodes", "pods", "services"))
ENDPOINTS, SLICES = Wanted("", "endpoints"), Wanted("discovery.k8s.io", "endpointslices")
REVIEWS = Wanted("authentication.k8s.io", "tokenreviews", ("create",))  # for the proxies of a remote
SECRETS = Wanted("", "secrets")  # for certificates of gateways; without them istiod says that it could not read all


def find(here: Here) -> Iterable[Fault]:
    readers = [there for there in controls(here) if here.member in here.mesh.read_by(there.name)]
    by_account: dict[Ref, list[Here]] = {}
    for there in readers:
        by_account.setdefault(_account(here, there), []).append(there)
    for account, those in by_account.items():
        yield from _of(here, account, those)


def _account(here: Here, reading: Here) -> Ref:
    held = usable(reading, here)
    return account_of(here, held[1].token) if held else READER


def _of(here: Here, account: Ref, readers: list[Here]) -> Iterator[Fault]:
    breaks = tuple(dict.fromkeys(pair for there in readers for pair in lost(there, here)))
    if here.get(account) is None:
        yield _missing(here, account, account, breaks)
        return
    bindings = here.objects(CLUSTER_ROLE_BINDING)
    own = [_role(each) for each in bindings if _names(each, account)]
    rules = [
        rule
        for role in (*own, *(_role(each) for each in bindings if _includes(each, account)))
        for rule in (here.get(role) or {}).get("rules") or []
    ]
    lacking = [each for each in _needed(here) if not _allowed(rules, each)]
    gone = [role for role in own if here.get(role) is None]
    if lacking and not own:
        yield _missing(here, account, Ref(CLUSTER_ROLE_BINDING, _usual(here)), breaks)
    elif lacking and gone:
        yield _missing(here, account, gone[0], breaks)
    elif lacking:
        yield _trimmed(here, account, _meant(own), lacking, breaks)
    elif not _allowed(rules, (SECRETS,)):
        yield _trimmed(here, account, _meant(own) if own else _usual_role(here), [(SECRETS,)], (), "unsure")


def _needed(here: Here) -> Iterator[AnyOf]:
    yield from NEEDED
    version = minor_of(version_of(here.control)) or _SLICES_ALONE
    yield (SLICES,) if version >= _SLICES_ALONE else (SLICES, ENDPOINTS)
    if here.member.role == "remote":
        yield (REVIEWS,)


def _allowed(rules: list[Object], wanted: AnyOf) -> bool:
    return any(all(any(_allows(rule, each, verb) for rule in rules) for verb in each.verbs) for each in wanted)


def _allows(rule: Object, wanted: Wanted, verb: str) -> bool:
    """Whether this rule allows it for all objects of the kind."""
    return not rule.get("resourceNames") and all(
        value in told or "*" in told
        for value, told in (
            (wanted.group, rule.get("apiGroups") or []),
            (wanted.resource, rule.get("resources") or []),
            (verb, rule.get("verbs") or []),
        )
    )


def _role(binding: Object) -> Ref:
    return Ref(CLUSTER_ROLE, str((binding.get("roleRef") or {}).get("name") or ""))


def _names(binding: Object, account: Ref) -> bool:
    """Whether it gives its role to this very account."""
    user = f"system:serviceaccount:{account.namespace}:{account.name}"
    return any(
        (each.get("kind"), each.get("name"), each.get("namespace"))
        == ("ServiceAccount", account.name, account.namespace)
        or (each.get("kind"), each.get("name")) == ("User", user)
        for each in binding.get("subjects") or []
    )


def _includes(binding: Object, account: Ref) -> bool:
    """Whether it gives its role to a group that the account is in."""
    groups = _groups(account)
    return any(each.get("kind") == "Group" and each.get("name") in groups for each in binding.get("subjects") or [])


def _groups(account: Ref) -> tuple[str, ...]:
    return "system:authenticated", "system:serviceaccounts", f"system:serviceaccounts:{account.namespace}"


def _usual_role(here: Here) -> Ref:
    return Ref(CLUSTER_ROLE, _usual(here))


def _usual(here: Here) -> str:
    """The name of role and binding in Istio's charts."""
    revision = f"-{here.mesh.istio.revision}" if here.mesh.istio.revision else ""
    return f"{_STEM}-clusterrole{revision}-{READER.namespace}"


def _meant(roles: list[Ref]) -> Ref:
    return next((role for role in roles if role.name.startswith(_STEM)), roles[0])


def _missing(here: Here, account: Ref, gone: Ref, breaks: tuple[Pair, ...]) -> Fault:
    return Fault(
        msg(
            "{cluster}: {object} is gone, so nobody may read the cluster as {account}: the istiods of the others learn of no Pod "
            "here any more",
            cluster=here.name,
            object=str(gone),
            account=str(account),
        ),
        str(gone),
        evidence=(msg("{object} in {cluster}", object=str(gone), cluster=here.name),),
        remedy=msg("Istio's install makes it; have it made again."),
        commands=(f"{here.kubectl} get clusterrole,clusterrolebinding -l app={_STEM}",),
        step=None if here.view.inferred else kinds.INSTALL.id(here.name),
        breaks=breaks,
    )


def _trimmed(
    here: Here,
    account: Ref,
    role: Ref,
    lacking: list[AnyOf],
    breaks: tuple[Pair, ...],
    severity: Severity | None = None,
) -> Fault:
    wanted = [each[0] for each in lacking]
    user = f"system:serviceaccount:{account.namespace}:{account.name}"
    return Fault(
        msg(
            "{cluster}: {role} does not allow {rights} to {account}: the istiods of the others see none of it here, and "
            "may learn of no Pod any more",
            cluster=here.name,
            role=str(role),
            rights=joined((f"{'/'.join(each.verbs)} {each}" for each in wanted), ", "),
            account=str(account),
        ),
        str(role),
        evidence=(
            msg("rules of all ClusterRoles that {cluster} binds to {account}", cluster=here.name, account=str(account)),
        ),
        remedy=msg("Put the role back as Istio's charts have it. Whether it is enough:"),
        commands=tuple(
            f"{here.kubectl} auth can-i {each.verbs[0]} {quoted(str(each))} -A --as={quoted(user)}" for each in wanted
        ),
        breaks=breaks,
        severity=severity,
    )


CHECK = Check(
    "reader-rights",
    "discovery",
    "error",
    find,
    short=msg("reader's role trimmed"),
    title="The account by which others read the cluster may read what istiod needs",
    reads="In each cluster that istiods of others read: the account of the token in their remote secrets (else "
    "`istio-reader-service-account`), the ClusterRoleBindings that name it or a group that it is in, and the rules of their "
    "ClusterRoles.",
    means="istiod must list and watch Namespaces, Nodes, Pods, Services and EndpointSlices of the cluster, and have the "
    "tokens of a remote's proxies reviewed. Without one of them it does not get ready with the cluster, or learns of no "
    "change any more; what it knew it keeps until it restarts.",
    arises="Somebody trimmed the role, removed the binding or the account, or an uninstall of another revision took them along.",
    mend="Put role, binding and account back as Istio's charts have them; installing Istio again does.",
)
