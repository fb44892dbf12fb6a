"""Do the sample's Pods take mutual TLS, as istiod reads it of PeerAuthentications?"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from wizard.checks.finding import Pair
from wizard.checks.standing.check import Check, Fault
from wizard.checks.standing.meshconfig import root_namespace
from wizard.checks.standing.policies import Policy, edit, matches, near
from wizard.checks.standing.samples import labels_of
from wizard.checks.standing.view import Here
from wizard.clusters.kinds import PEER_AUTHENTICATION, Object
from wizard.mesh.sample import PORT, SERVICE
from wizard.messages import msg
from wizard.text import listing


def find(here: Here) -> Iterable[Fault]:
    view, mesh = here.view, here.mesh
    policies = near(here, PEER_AUTHENTICATION) if here.control is here else []
    off: dict[Policy, list[str]] = {}  # what switches it off → for whose Pods
    for there in view.all if policies else ():
        for labels in labels_of(there, SERVICE):
            policy = deciding(here, policies, labels)
            if policy is not None and there.name not in off.setdefault(policy, []):
                off[policy].append(there.name)
    for policy, targets in off.items():
        breaks = tuple(
            (source.name, target)
            for target in targets
            for source in mesh.peers(target)
            if _is_broken(here, (source.name, target))
        )
        if breaks:
            reached = dict.fromkeys(target for _, target in breaks)
            yield Fault(
                msg(
                    "{cluster}: {policy} switches mutual TLS off for the sample's Pods, and only what is mutual TLS passes a "
                    "gateway: {targets} cannot be reached from where that istiod decides",
                    cluster=here.name, policy=policy.told, targets=listing(reached),
                ),
                str(policy.ref),
                evidence=(msg("{policy} in {cluster}: mode {mode}", policy=policy.told, cluster=here.name, mode="DISABLE"),),
                remedy=msg("Make it PERMISSIVE or STRICT, or let it select other Pods."),
                commands=(edit(here, policy.ref),),
                breaks=breaks,
            )  # fmt: skip


def deciding(control: Here, policies: Iterable[Policy], labels: Mapping[str, str]) -> Policy | None:
    """The policy for which these Pods of the sample take no mutual TLS; None where they do. What selects them goes before what is
    for their namespace, and that before what is for the mesh; of equals the oldest is taken, and UNSET asks the next.
    """
    own, root = control.mesh.verify.namespace, root_namespace(control)
    selecting = [
        each for each in policies if each.namespace == own and _selector(each) and matches(_selector(each), labels)
    ]
    of_namespace = [each for each in policies if each.namespace == own and not _selector(each)]
    of_mesh = [each for each in policies if each.namespace == root and not _selector(each)]
    for level, found in enumerate((selecting, of_namespace, of_mesh)):
        for policy in found[:1]:
            port = (policy.spec.get("portLevelMtls") or {}).get(str(PORT)) or {}
            modes = [(policy.spec.get("mtls") or {}).get("mode")]
            modes = [port.get("mode"), *modes] if level == 0 else modes  # of ports only what selects Pods may speak
            decided = next((mode for mode in modes if mode not in (None, "UNSET")), None)
            if decided is not None:
                return policy if decided == "DISABLE" else None
    return None


def _selector(policy: Policy) -> Object | None:
    selector: Object = policy.spec.get("selector") or {}
    return selector if selector.get("matchLabels") else None


def _is_broken(here: Here, pair: Pair) -> bool:
    """Whether this traffic cannot pass when the istiod here takes the target for one without mutual TLS. To other networks only
    mutual TLS passes, as the istiod of either side sees it. On one network whoever is told by the same istiod asks in plain text;
    who is told by another does not.
    """
    source, target = (here.mesh.control_plane(name).name for name in pair)
    if here.mesh.cluster(pair[0]).network != here.mesh.cluster(pair[1]).network:
        return here.name in (source, target)
    return target == here.name != source


CHECK = Check(
    "mtls",
    "workload",
    "error",
    find,
    short=msg("mutual TLS is off"),
    title="No PeerAuthentication switches mutual TLS off",
    reads="PeerAuthentications in the sample's namespace and in the root namespace of each primary, by Istio's "
    "order: what selects the Pods, then the namespace, then the mesh; the labels of the sample's Pods.",
    means="Between networks only mutual TLS passes, since gateways go by the name in it. Where an istiod reads that "
    "the Pods of a Service take none, it gives out none of their addresses to proxies on other networks, and a "
    "gateway does not pass on to them. An istiod reads policies in its own cluster only: one that stands in the "
    "client's counts as well as one in the server's.",
    arises="Somebody set `mtls.mode: DISABLE` for the mesh, a namespace or a workload, often while looking for "
    "another fault.",
    mend="Use PERMISSIVE where plain text must be taken, too. Apply policies to every primary.",
)
