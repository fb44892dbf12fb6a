"""Is anything registered twice, or that is none of this mesh?"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from wizard.checks.standing.check import Check, Fault
from wizard.checks.standing.clusterz import is_read
from wizard.checks.standing.discovery.remote_secret import by_another_name
from wizard.checks.standing.secrets import Entry, deleting, entry_of, id_of, lost, peers_of, registered
from wizard.checks.standing.view import Here
from wizard.clusters.kinds import SECRET, Ref
from wizard.mesh.model import SYSTEM_NAMESPACE
from wizard.messages import joined, msg
from wizard.registered import Registered, strangers
from wizard.text import one_line


def find(here: Here) -> Iterable[Fault]:
    if here.member.role == "remote":
        return
    peers = peers_of(here)
    for peer in peers:
        yield from _twice(here, peer)
    for entry in registered(here, id_of(here)):
        yield _itself(here, entry)
    names = {*(each.name for each in here.view.all), *(id_of(each) for each in (here, *peers))}
    lacking = [peer for peer in peers if entry_of(here, peer) is None]
    misnamed = {found.secret.name for peer in lacking if (found := by_another_name(here, peer))}
    for stranger in strangers(here.mesh, here.member, here):
        if stranger.name not in names and stranger.secret not in misnamed:
            yield _stranger(here, Ref(SECRET, stranger.secret, SYSTEM_NAMESPACE), stranger)


def _twice(here: Here, peer: Here) -> Iterator[Fault]:
    used = entry_of(here, peer)
    others = [entry for entry in registered(here, id_of(peer)) if entry != used]
    if used is None or not others:
        return
    alike = all(entry.content == used.content for entry in others)
    harmless = alike or is_read(here, id_of(peer))
    words = {
        "cluster": here.name,
        "peer": peer.name,
        "secrets": joined((str(each.secret) for each in (used, *others)), ", "),
    }
    yield Fault(
        msg(
            "{cluster}: {peer} is registered by {secrets}: istiod takes the first that it meets, and ignores what the others say "
            "once they differ",
            **words,
        )
        if alike
        else msg(
            "{cluster}: {peer} is registered by {secrets}, which differ: istiod takes the first that it meets, and that may be "
            "another whenever it restarts",
            **words,
        ),
        str(others[0].secret),
        evidence=(msg("Secrets of {cluster} with key {key}", cluster=here.name, key=one_line(used.key)),),
        remedy=msg("Keep one of them. What nobody needs:"),
        commands=tuple(deleting(here, each.secret) for each in others),
        breaks=() if harmless else lost(here, peer),
        severity="warning" if harmless else "error",
    )


def _itself(here: Here, entry: Entry) -> Fault:
    return Fault(
        msg(
            "{cluster}: {secret} registers {cluster} itself, which istiod reads anyway: it ignores the key, or reads the cluster "
            "twice",
            cluster=here.name,
            secret=str(entry.secret),
        ),
        str(entry.secret),
        short=msg("registers itself"),
        evidence=(
            msg(
                "key {key} of {secret} in {cluster}",
                key=one_line(entry.key),
                secret=str(entry.secret),
                cluster=here.name,
            ),
        ),
        remedy=msg("Delete it, unless another key of it is needed:"),
        commands=(deleting(here, entry.secret),),
        severity="warning",
    )


def _stranger(here: Here, secret: Ref, each: Registered) -> Fault:
    return Fault(
        msg(
            "{cluster}: {secret} (written by {author}) has istiod read cluster {name} at {server}, which is none of this "
            "mesh. If it is gone, istiod waits for it at each start",
            cluster=here.name,
            secret=str(secret),
            author=each.by,
            name=one_line(each.name),
            server=each.server,
        ),
        str(secret),
        short=msg("an unknown cluster"),
        evidence=(
            msg("key {key} of {secret} in {cluster}", key=one_line(each.name), secret=str(secret), cluster=here.name),
        ),
        remedy=msg("If nobody needs it:"),
        commands=(deleting(here, secret),),
        severity="warning",
    )


CHECK = Check(
    "remote-secret-doubles",
    "discovery",
    "error",
    find,
    short=msg("registered twice"),
    title="Each cluster is registered once, and no other",
    reads="The keys of all Secrets in `istio-system` with label `istio/multiCluster=true`, beside the clusters of the "
    "mesh; where two of them differ, what istiod says of the cluster (`/debug/clusterz`).",
    means="istiod takes each key for a cluster, and of two equal ones the first that it meets. What the other says counts after "
    "a restart, or never. A cluster that is gone keeps each start of istiod waiting; the cluster itself needs no Secret.",
    arises="The Secret was applied under two names, by two tools, or with another release's naming; a cluster left the "
    "mesh and its Secret stayed.",
    mend="Delete what nobody needs: of two the older one, and those of clusters that are gone.",
)
