"""Has each istiod a Secret for each cluster that it is to read?"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from wizard.checks.standing.answering import answering
from wizard.checks.standing.check import Check, Fault
from wizard.checks.standing.clusterid import called
from wizard.checks.standing.istiods import environment, istiod_of
from wizard.checks.standing.secrets import (
    Entry,
    anew,
    deleting,
    entry_of,
    id_of,
    lost,
    making,
    peers_of,
    registered,
    secret_of,
    step_of,
)
from wizard.checks.standing.view import Here
from wizard.clusters.kinds import SECRET, Object, Ref
from wizard.errors import NotAllowed
from wizard.mesh.addresses import place_of
from wizard.mesh.model import SYSTEM_NAMESPACE
from wizard.messages import msg
from wizard.registered import MARKED
from wizard.text import listing, one_line, quoted

_LABEL, _VALUE = MARKED.split("=")
_ALLOWED = "PILOT_INSECURE_MULTICLUSTER_KUBECONFIG_OPTIONS"  # istiod's variable that lets it take what it refuses else


def find(here: Here) -> Iterable[Fault]:
    for peer in peers_of(here):
        yield from faults(here, peer)


def faults(here: Here, peer: Here) -> Iterator[Fault]:
    """What keeps the istiod of this cluster from having the peer registered."""
    entry = entry_of(here, peer)
    if entry is not None:
        istiod = istiod_of(here)[1]
        if entry.said.refused and not (istiod and _ALLOWED in environment(istiod)):
            yield _unusable(here, peer, entry)
        return
    ref = secret_of(peer.name)
    secret = here.get(ref)
    other = by_another_name(here, peer)
    if other is not None:
        yield _misnamed(here, peer, other)
    elif secret is None:
        yield _missing(here, peer)
    elif ((secret["metadata"].get("labels") or {}).get(_LABEL)) != _VALUE:
        yield _unlabelled(here, peer, secret)
    else:
        yield _empty(here, peer, ref)


def _missing(here: Here, peer: Here) -> Fault:
    words = {"cluster": here.name, "peer": peer.name, "secret": str(secret_of(peer.name))}
    elsewhere = _elsewhere(here, peer)
    if elsewhere is not None:
        return Fault(
            msg(
                "{cluster}: {secret} is not there, where istiod looks for it, but {other} is: {cluster}'s istiod does not read "
                "{peer}, and its proxies know of no Pod there",
                other=str(elsewhere),
                **words,
            ),
            str(secret_of(peer.name)),
            evidence=(
                msg("Secrets with label {label} in all namespaces of {cluster}", label=MARKED, cluster=here.name),
            ),
            commands=(making(here, peer), deleting(here, elsewhere)),
            step=step_of(here, peer),
            breaks=lost(here, peer),
        )
    return Fault(
        msg(
            "{cluster}: {secret} is not there: istiod does not read {peer}, and its proxies know of no Pod there",
            **words,
        ),
        str(secret_of(peer.name)),
        evidence=(
            msg(
                "Secrets with label {label} in {namespace} of {cluster} register: {names}",
                label=MARKED,
                namespace=SYSTEM_NAMESPACE,
                cluster=here.name,
                names=_names(entry.key for entry in registered(here)),
            ),
        ),
        commands=(making(here, peer),),
        step=step_of(here, peer),
        breaks=lost(here, peer),
    )


def _unlabelled(here: Here, peer: Here, secret: Object) -> Fault:
    ref = secret_of(peer.name)
    return Fault(
        msg(
            "{cluster}: {secret} lacks label {label}, by which istiod finds it: istiod does not read {peer}, and its "
            "proxies know of no Pod there",
            cluster=here.name,
            secret=str(ref),
            label=MARKED,
            peer=peer.name,
        ),
        str(ref),
        short=msg("remote secret unlabelled"),
        evidence=(
            msg("labels of {secret} in {cluster}: {labels}", secret=str(ref), cluster=here.name,
                labels=_names(secret["metadata"].get("labels") or {})),
        ),
        commands=(
            f"{here.kubectl} -n {quoted(ref.namespace)} label secret {quoted(ref.name)} --overwrite {quoted(MARKED)}",
        ),
        step=step_of(here, peer),
        breaks=lost(here, peer),
    )  # fmt: skip


def _misnamed(here: Here, peer: Here, entry: Entry) -> Fault:
    """Its name in the Secret is not the one by which its proxies call it: of a mesh of ours, the one that the mesh does not give
    it is wrong.
    """
    own = called(peer)
    words = {
        "cluster": here.name, "peer": peer.name, "secret": str(entry.secret), "key": one_line(entry.key),
        "name": one_line(id_of(peer)),
    }  # fmt: skip
    evidence = [
        msg("keys of {secret} in {cluster}: {keys}", secret=str(entry.secret), cluster=here.name, keys=words["key"])
    ]
    if own is not None:
        evidence.append(
            msg("{object} in {peer} calls it {name}", object=str(own.by), peer=peer.name, name=words["name"])
        )
    if own is not None and entry.key == peer.name and not here.view.inferred:
        return Fault(
            msg(
                "{peer}: {object} calls the cluster {name}, and {secret} in {cluster} registers it as {key}: istiod of {cluster} "
                "does not know whose its Pods are",
                object=str(own.by),
                **words,
            ),
            str(own.by),
            short=msg("cluster under another name"),
            evidence=tuple(evidence),
            remedy=msg(
                "Install Istio in {peer} again with values.global.multiCluster.clusterName {key}, and start its gateways and "
                "workloads anew.",
                **words,
            ),
            breaks=lost(here, peer),
        )
    return Fault(
        msg(
            "{cluster}: {secret} registers {peer} as {key}, but that cluster is called {name}: istiod does not know whose its "
            "Pods are",
            **words,
        ),
        str(entry.secret),
        short=msg("remote secret misnamed"),
        evidence=tuple(evidence),
        remedy=msg(
            "Its key must be the name of the cluster. istiod takes up no other in place, so delete it and make it anew:"
        ),
        commands=anew(here, peer, entry.secret),
        step=step_of(here, peer) if entry.secret == secret_of(peer.name) else None,
        breaks=lost(here, peer),
    )


def _empty(here: Here, peer: Here, ref: Ref) -> Fault:
    return Fault(
        msg(
            "{cluster}: {secret} has no key {name}: istiod does not read {peer}, and its proxies know of no Pod there",
            cluster=here.name,
            secret=str(ref),
            name=one_line(id_of(peer)),
            peer=peer.name,
        ),
        str(ref),
        short=msg("remote secret empty"),
        evidence=(msg("keys of {secret} in {cluster}: {keys}", secret=str(ref), cluster=here.name,
                      keys=_names((here.get(ref) or {}).get("data") or {})),),
        commands=anew(here, peer, ref),
        step=step_of(here, peer),
        breaks=lost(here, peer),
    )  # fmt: skip


def _unusable(here: Here, peer: Here, entry: Entry) -> Fault:
    return Fault(
        msg(
            "{cluster}: what {secret} says of {peer} {problem}: istiod does not read {peer}, and its proxies know of no "
            "Pod there",
            cluster=here.name,
            secret=str(entry.secret),
            peer=peer.name,
            problem=entry.said.refused,
        ),
        str(entry.secret),
        short=msg("remote secret unusable"),
        evidence=(
            msg("key {key} of {secret} in {cluster}", key=one_line(entry.key), secret=str(entry.secret), cluster=here.name),
        ),
        remedy=msg("Let istioctl make it anew, with the token of the reader's account:"),
        commands=anew(here, peer, entry.secret),
        step=step_of(here, peer) if entry.secret == secret_of(peer.name) else None,
        breaks=lost(here, peer),
    )  # fmt: skip


def by_another_name(here: Here, peer: Here) -> Entry | None:
    """What registers this peer under a name that is not its own, nor that of another cluster: the Secret that is called after it,
    or one that leads to its API server.
    """
    others = {id_of(there) for there in answering(here.view.all) if there is not peer}
    places = {place_of(peer.server, 443), *([place_of(peer.member.api_server)] if peer.member.api_server else [])}
    found = [entry for entry in registered(here) if entry.key not in others]
    for entry in found:
        if entry.secret == secret_of(peer.name):
            return entry
    for entry in found:
        credential = entry.said.credential
        if credential is not None and place_of(credential.server) in places:
            return entry
    return None


def _elsewhere(here: Here, peer: Here) -> Ref | None:
    """The Secret in a namespace where no istiod looks for it."""
    try:
        found = here.objects(SECRET, "", MARKED)
    except NotAllowed:  # one who may look into this namespace alone
        return None
    names = {secret_of(peer.name).name}
    for secret in found:
        metadata = secret["metadata"]
        if metadata["namespace"] != SYSTEM_NAMESPACE and (
            metadata["name"] in names or id_of(peer) in (secret.get("data") or {})
        ):
            return Ref(SECRET, str(metadata["name"]), str(metadata["namespace"]))
    return None


def _names(names: Iterable[str]) -> str:
    return listing(one_line(name, 80) for name in sorted(names)) or msg("none")


CHECK = Check(
    "remote-secret",
    "discovery",
    "error",
    find,
    short=msg("remote secret missing"),
    title="Each istiod has a remote secret for each cluster that it reads",
    reads="In each cluster with an istiod, the Secrets in `istio-system` with label `istio/multiCluster=true`, their keys and "
    "kubeconfigs; in each other cluster the name that it is called by: `CLUSTER_ID` of its istiod, in a remote the path of its "
    "injection webhook.",
    means="By these Secrets istiod reads the other clusters. Without one that has the label, lies in its namespace, has the "
    "cluster's name as key and a kubeconfig that istiod takes, it knows nothing of that cluster, and says nothing of it: only "
    "the local version answers. A remote's proxies get no certificate from it either.",
    arises="The Secret was never made, or deleted; it was applied to another namespace or without its label; `--name` was "
    "another than `values.global.multiCluster.clusterName`; or somebody's own kubeconfig was put there, which runs a command "
    "for its credentials or names files.",
    mend="Make it by `istioctl create-remote-secret` in the other cluster and apply the output; `meshwizard resume` does. One "
    "that is there with other content must be deleted first: istiod does not take up what changes in place.",
)
