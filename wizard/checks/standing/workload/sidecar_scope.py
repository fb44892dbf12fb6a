"""Are the sample's clients told of its Service, or does a Sidecar leave it out?"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from wizard.checks.standing.check import Check, Fault
from wizard.checks.standing.meshconfig import root_namespace, setting
from wizard.checks.standing.policies import Policy, covers, edit, near, sample_host
from wizard.checks.standing.samples import labels_of
from wizard.checks.standing.view import Here
from wizard.clusters.kinds import SIDECAR
from wizard.mesh.sample import CLIENT, PORT
from wizard.messages import msg
from wizard.text import listing, one_line


def find(here: Here) -> Iterable[Fault]:
    view = here.view
    sidecars = near(here, SIDECAR) if here.control is here else []
    narrow: dict[Policy, list[str]] = {}  # → the clusters whose clients it is for
    for name in view.served_by(here.name) if sidecars else ():
        policy = scope(here, sidecars, labels_of(view.at(name), CLIENT)[0])
        if policy is not None and not _reaches(here, policy):
            narrow.setdefault(policy, []).append(name)
    for policy, names in narrow.items():
        hosts = [one_line(host) for egress in policy.spec["egress"] for host in egress.get("hosts") or []]
        breaks = [pair for name in names for pair in view.out_of(name)]
        if _closed(here, policy):
            breaks += [(name, name) for name in names]
        yield Fault(
            msg(
                "{cluster}: {sidecar} leaves the sample's Service out of what its clients are told, so what they ask does not go "
                "through the mesh",
                cluster=here.name, sidecar=policy.told,
            ),
            str(policy.ref),
            evidence=(
                msg("{sidecar} in {cluster}: egress hosts {hosts}; the Service is {host}", sidecar=policy.told, cluster=here.name,
                    hosts=listing(hosts) or "[]", host=f"{here.mesh.verify.namespace}/{sample_host(here)}"),
            ),
            remedy=msg("Add {hosts} to its egress hosts.", hosts=f"{here.mesh.verify.namespace}/*"),
            commands=(edit(here, policy.ref),),
            breaks=tuple(breaks),
        )  # fmt: skip


def scope(control: Here, sidecars: Iterable[Policy], labels: Mapping[str, str]) -> Policy | None:
    """The Sidecar that holds for Pods of the sample with these labels: one that selects them, then that of their namespace, then
    that of the mesh.
    """
    own, root = control.mesh.verify.namespace, root_namespace(control)
    selecting, of_namespace, of_mesh = [], [], []
    for each in sidecars:
        wanted = (each.spec.get("workloadSelector") or {}).get("labels") or {}
        if wanted:
            selecting += [each] if each.namespace == own and wanted.items() <= labels.items() else []
        elif each.namespace == own:
            of_namespace.append(each)
        elif each.namespace == root:
            of_mesh.append(each)
    return next(iter([*selecting, *of_namespace, *of_mesh]), None)


def _reaches(control: Here, policy: Policy) -> bool:
    """Whether what leaves these Pods may go to the sample. A Sidecar without egress leaves all as it is."""
    listed = policy.spec.get("egress") or []
    own, host = control.mesh.verify.namespace, sample_host(control)
    for egress in listed:
        if (egress.get("port") or {}).get("number", PORT) != PORT:
            continue
        for entry in egress.get("hosts") or []:
            namespace, _, pattern = entry.rpartition("/")
            is_ours = namespace in ("*", own, "") or (namespace == "." and policy.namespace == own)
            if is_ours and covers(pattern, host):
                return True
    return not listed


def _closed(control: Here, policy: Policy) -> bool:
    """Whether what a client is not told of is not even let through."""
    own = (policy.spec.get("outboundTrafficPolicy") or {}).get("mode")
    mode: str = own or str(setting(control, "outboundTrafficPolicy", "mode"))
    return mode == "REGISTRY_ONLY"


CHECK = Check(
    "sidecar-scope",
    "workload",
    "error",
    find,
    short=msg("a Sidecar leaves it out"),
    title="No Sidecar leaves the sample's Service out",
    reads="Sidecars of each primary, in the sample's namespace and in the root namespace: the one that holds for the "
    "client's Pods, and its `egress`.",
    means="A Sidecar says which Services its proxies are told of. What a proxy does not know it passes on as it is, "
    "to the Service's address in its own cluster: then only that cluster answers; with `outboundTrafficPolicy: "
    "REGISTRY_ONLY` nobody does.",
    arises="A Sidecar for the whole mesh or the namespace was narrowed to what applications needed, usually to save "
    "memory.",
    mend="Add the namespace of the Service to `egress.hosts`, in every primary.",
)
