"""Does an AuthorizationPolicy refuse the sample's client?"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from wizard.checks.finding import Pair, Severity
from wizard.checks.standing.check import Check, Fault
from wizard.checks.standing.policies import Policy, edit, matches, near
from wizard.checks.standing.requests import Asking, asking, meets
from wizard.checks.standing.samples import labels_of, unproven
from wizard.checks.standing.view import Here
from wizard.clusters.kinds import AUTHORIZATION_POLICY
from wizard.mesh.sample import SERVICE
from wizard.messages import msg

_DRY_RUN = "istio.io/dry-run"


@dataclass(frozen=True)
class Refusal:
    """What refuses a request, and why; `sure`: it does, whatever stands in the rules that could not be judged."""

    policy: Policy
    text: str
    sure: bool


def find(here: Here) -> Iterable[Fault]:
    view, mesh = here.view, here.mesh
    policies = near(here, AUTHORIZATION_POLICY) if here.control is here else []
    policies = [each for each in policies if _counts(each)]
    if not policies:
        return
    clients: dict[Asking, list[str]] = {}
    for there in view.all:
        clients.setdefault(asking(there), []).append(there.name)
    found: dict[Refusal, list[Pair]] = {}
    for target in view.served_by(here.name):
        # One Pod that answers is enough for an answer.
        pods = labels_of(view.at(target), SERVICE)
        for who, names in clients.items():
            refusals = [
                _refusal([each for each in policies if matches(each.spec.get("selector"), labels)], who)
                for labels in pods
            ]
            if all(refusals) and refusals[0]:
                found.setdefault(refusals[0], []).extend((name, target) for name in names)
    for refusal, pairs in found.items():
        breaks = tuple(pairs) if refusal.sure else unproven(view, pairs)
        if not breaks:
            continue
        severity: Severity = "error" if refusal.sure else "unsure"
        yield Fault(
            msg("{cluster}: {policy} {does}", cluster=here.name, policy=refusal.policy.told, does=refusal.text),
            str(refusal.policy.ref),
            evidence=tuple(
                msg("{policy} in {cluster}: action {action}", policy=each.told, cluster=here.name, action=_action(each))
                for each in policies
            ),
            remedy=msg("Allow namespace {namespace} to ask {service}, in every primary.", namespace=mesh.verify.namespace,
                       service=SERVICE),
            commands=(edit(here, refusal.policy.ref),),
            breaks=breaks,
            severity=severity,
        )  # fmt: skip


def _counts(policy: Policy) -> bool:
    """Whether sidecars go by it: not what is for a gateway or waypoint, only recorded, or only tried."""
    aimed = policy.spec.get("targetRef") or policy.spec.get("targetRefs")
    return not aimed and _action(policy) in ("ALLOW", "DENY", "CUSTOM") and policy.annotations.get(_DRY_RUN) != "true"


def _action(policy: Policy) -> str:
    return policy.spec.get("action") or "ALLOW"


def _refusal(policies: list[Policy], who: Asking) -> Refusal | None:
    """What refuses this client at a Pod with these policies, what does for sure before what may."""
    return min(_refusals(policies, who), key=lambda refusal: not refusal.sure, default=None)


def _refusals(policies: list[Policy], who: Asking) -> Iterator[Refusal]:
    allowing = [each for each in policies if _action(each) == "ALLOW"]
    for policy in policies:
        met = meets(policy, who)
        if _action(policy) == "CUSTOM" and met is not False:
            yield Refusal(policy, msg("has somebody else asked whether the sample's Pods may answer"), sure=False)
        elif _action(policy) == "DENY" and met is not False:
            text = msg("denies what the sample's client asks") if met else msg("may deny what the sample's client asks")
            yield Refusal(policy, text, sure=met is True)
    allowed = [meets(policy, who) for policy in allowing]
    if allowing and True not in allowed:
        if None in allowed:
            policy = allowing[allowed.index(None)]
            yield Refusal(policy, msg("may not allow what the sample's client asks, and nothing else does"), sure=False)
        elif any(policy.spec.get("rules") for policy in allowing):
            policy = next(policy for policy in allowing if policy.spec.get("rules"))
            yield Refusal(policy, msg("allows others than the sample's client, and nothing allows that"), sure=True)
        else:
            yield Refusal(allowing[0], msg("has no rule, and so allows nobody to ask the sample's Pods"), sure=True)


CHECK = Check(
    "authorization",
    "workload",
    "error",
    find,
    short=msg("a policy denies it"),
    title="No AuthorizationPolicy refuses the sample's client",
    reads="AuthorizationPolicies of each primary, in the sample's namespace and in the root namespace, that select "
    "the server's Pods; the service account of the client's Pods, and the trust domain.",
    means="The server's proxy answers 403, `RBAC: access denied`. A DENY policy with an empty rule denies "
    "everything; an ALLOW policy without rules allows nothing; where any ALLOW policy selects a Pod, what none of "
    "them allows is denied. What depends on more than namespace, account, path, method and port (an address, a "
    "header, a token, an outside authorizer) is told as unsure, and only while answers are missing.",
    arises="A policy for the namespace or the mesh that denies by default, without one that allows this traffic; or "
    "a principal with the trust domain of another mesh.",
    mend="Allow the client's namespace or principal, in each primary: a Pod goes by the policies of the istiod that "
    "serves it.",
)
