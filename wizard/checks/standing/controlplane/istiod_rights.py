"""May istiod read what it tells proxies of?"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from wizard import kinds
from wizard.checks.standing.check import Check, Fault
from wizard.checks.standing.istiods import cut_off, istiod_of, runs_istiod, served_clusters, version_of
from wizard.checks.standing.view import Here
from wizard.clusters.kinds import CLUSTER_ROLE, CLUSTER_ROLE_BINDING, ROLE, ROLE_BINDING, Kind, Object, Ref
from wizard.istio.versions import reads_endpoints
from wizard.mesh.model import SYSTEM_NAMESPACE
from wizard.messages import msg
from wizard.text import listing, one_line, quoted

_CORE, _SLICES = "", "discovery.k8s.io"
_READING = ("list", "watch")
_NETWORKING, _SECURITY = "networking.istio.io", "security.istio.io"


@dataclass(frozen=True)
class Needed:
    """A right that every istiod from 1.9 on needs, by one of these (API group, resource)."""

    resources: tuple[tuple[str, str], ...]
    verbs: tuple[str, ...] = _READING


_ENDPOINTS = Needed(((_SLICES, "endpointslices"), (_CORE, "endpoints")))
_NEEDED = (
    *(Needed(((_CORE, each),)) for each in ("services", "pods", "nodes", "namespaces", "configmaps", "secrets")),
    _ENDPOINTS,
    *(Needed(((_NETWORKING, each),)) for each in ("gateways", "virtualservices", "destinationrules", "serviceentries")),
    *(Needed(((_SECURITY, each),)) for each in ("peerauthentications", "authorizationpolicies")),
    Needed((("apiextensions.k8s.io", "customresourcedefinitions"),)),
    Needed((("authentication.k8s.io", "tokenreviews"),), ("create",)),
)


def find(here: Here) -> Iterable[Fault]:
    ref, istiod = istiod_of(here)
    if not runs_istiod(here) or istiod is None:
        return
    account = str(istiod["spec"]["template"]["spec"].get("serviceAccountName") or "default")
    bindings = [each for each in here.objects(CLUSTER_ROLE_BINDING) if _binds(each, account)]
    roles = {name: here.get(Ref(CLUSTER_ROLE, name)) for name in dict.fromkeys(map(_role_of, bindings))}
    rules = [rule for role in roles.values() for rule in (role or {}).get("rules") or []]
    # What concerns its own namespace alone may also be given there.
    own = [*rules, *_rules_in_namespace(here, account)]
    lacked = [
        one_line(".".join(name for name in reversed(each.resources[0]) if name))
        for each in _NEEDED
        if not _allowed(_of_version(here, each), own if each.resources[0] == (_CORE, "secrets") else rules)
    ]
    if not lacked:
        return
    mended = _mended(here, ref, roles)
    told = {"cluster": here.name, "object": str(mended), "account": one_line(account), "resources": listing(lacked)}
    is_gone = here.get(mended) is None
    yield Fault(
        msg(
            "{cluster}: {object} is gone, so istiod (account {account}) has no right to {resources}: what changes there reaches "
            "no proxy, and an istiod that restarts never gets ready",
            **told,
        )
        if is_gone
        else msg(
            "{cluster}: {object} gives istiod (account {account}) no right to {resources}: what changes there reaches no proxy, "
            "and an istiod that restarts never gets ready",
            **told,
        ),
        str(mended),
        evidence=(
            msg(
                "the ClusterRoles that are bound to ServiceAccount {account} in istio-system", account=one_line(account)
            ),
        ),
        remedy=msg("Give it the rules of the charts of this Istio again."),
        commands=(
            f"{here.kubectl} auth can-i list services --as={quoted(f'system:serviceaccount:{SYSTEM_NAMESPACE}:{account}')}",
            f"{here.kubectl} get {mended.kind.kind.lower()} {quoted(mended.name)} -o yaml",
        ),
        step=kinds.INSTALL.id(here.name) if is_gone and not here.view.inferred else None,
        breaks=cut_off(here.view, served_clusters(here)),
    )


def _of_version(here: Here, needed: Needed) -> Needed:
    """The right as the Istio that stands here needs it."""
    if needed is _ENDPOINTS and not reads_endpoints(version_of(here)):
        return Needed(_ENDPOINTS.resources[:1])
    return needed


def _mended(here: Here, istiod: Ref, roles: dict[str, Object | None]) -> Ref:
    """The role or binding that a person has to change: that of the charts, which has had two names."""
    revision = istiod.name.removeprefix("istiod")
    names = (f"istiod-clusterrole{revision}-{SYSTEM_NAMESPACE}", f"istiod-{SYSTEM_NAMESPACE}")
    bound = [name for name in names if name in roles]
    if bound:
        return Ref(CLUSTER_ROLE, bound[0])
    standing = [name for name in names if here.get(Ref(CLUSTER_ROLE, name)) is not None]
    return Ref(CLUSTER_ROLE_BINDING, (standing or names)[0])


def _rules_in_namespace(here: Here, account: str) -> Iterator[Object]:
    for each in here.objects(ROLE_BINDING, SYSTEM_NAMESPACE):
        if _binds(each, account):
            kind = ROLE if (each.get("roleRef") or {}).get("kind") == ROLE.kind else CLUSTER_ROLE
            yield from (here.get(_place(kind, _role_of(each))) or {}).get("rules") or []


def _place(kind: Kind, name: str) -> Ref:
    return Ref(kind, name, SYSTEM_NAMESPACE if kind.namespaced else "")


def _role_of(binding: Object) -> str:
    return str((binding.get("roleRef") or {}).get("name", ""))


def _binds(binding: Object, account: str) -> bool:
    """Whether it is for this account of istio-system, by its name or by a group that it is in."""
    groups = ("system:serviceaccounts", f"system:serviceaccounts:{SYSTEM_NAMESPACE}", "system:authenticated")
    user = f"system:serviceaccount:{SYSTEM_NAMESPACE}:{account}"
    for each in binding.get("subjects") or []:
        kind, name = each.get("kind"), each.get("name")
        if kind == "ServiceAccount" and (name, each.get("namespace", SYSTEM_NAMESPACE)) == (account, SYSTEM_NAMESPACE):
            return True
        if (kind == "Group" and name in groups) or (kind == "User" and name == user):
            return True
    return False


def _allowed(needed: Needed, rules: Sequence[Object]) -> bool:
    return any(
        all(any(_gives(rule, group, resource, verb) for rule in rules) for verb in needed.verbs)
        for group, resource in needed.resources
    )


def _gives(rule: Object, group: str, resource: str, verb: str) -> bool:
    return (
        bool({"*", group} & set(rule.get("apiGroups") or []))
        and bool({"*", resource} & set(rule.get("resources") or []))
        and bool({"*", verb} & set(rule.get("verbs") or []))
        and not rule.get("resourceNames")
    )


CHECK = Check(
    "istiod-rights",
    "control-plane",
    "error",
    find,
    short=msg("istiod may not read"),
    title="istiod may read what it tells proxies of",
    reads="The ClusterRoleBindings and RoleBindings of istiod's ServiceAccount, and the rules of their roles.",
    means="istiod keeps what it read until its connection to the API server is renewed, some minutes. Then changes of what it "
    "may not read reach no proxy, and an istiod that restarts waits for it for ever and never gets ready.",
    arises="A role was trimmed by hand or by a policy, its binding was deleted, or it belongs to another release of Istio.",
    mend="Apply the ClusterRole `istiod-clusterrole-istio-system` (with a revision "
    "`istiod-clusterrole-REVISION-istio-system`) and its binding from the charts of the same Istio.",
)
