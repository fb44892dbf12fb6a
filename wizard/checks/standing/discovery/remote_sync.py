"""Does each istiod say that it reads the clusters whose Secrets it has?"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from functools import partial

from wizard.checks.standing.check import Check, Fault
from wizard.checks.standing.clusterz import CLOSED, PAGE, SYNCED, SYNCING, clusterz
from wizard.checks.standing.discovery import reader_rights, remote_secret, remote_secret_server, remote_secret_token
from wizard.checks.standing.secrets import Entry, anew, id_of, lost, peers_of, secret_of, server_told, step_of, usable
from wizard.checks.standing.view import Here
from wizard.clusters.kinds import POD, Ref
from wizard.mesh.model import SYSTEM_NAMESPACE
from wizard.messages import msg
from wizard.text import one_line, quoted

NEW = timedelta(
    seconds=90
)  # in which istiod finds a Secret that was just written, or says that it could not read a cluster


def find(here: Here) -> Iterable[Fault]:
    if here.member.role == "remote":
        return
    told = clusterz(here)
    for peer in peers_of(here) if told else ():
        entry = _sound(here, peer) if _unread(peer, told) else None
        if entry is not None:
            yield from _faults(here, peer, entry, told)


def _unread(peer: Here, told: Mapping[str, Mapping[str, str]]) -> bool:
    """Whether any istiod has not read it."""
    return any(clusters.get(id_of(peer)) != SYNCED for clusters in told.values())


def _sound(here: Here, peer: Here) -> Entry | None:
    """What registers the peer, where nothing is wrong with it that explains what istiod says."""
    held = usable(here, peer)
    if held is None:
        return None
    looks = (remote_secret.faults, remote_secret_server.faults, remote_secret_token.faults)
    wrong = any(fault.severity in (None, "error") for look in looks for fault in look(here, peer))
    rights = any(fault.severity in (None, "error") for fault in reader_rights.find(peer))
    return None if wrong or rights else held[0]


def _faults(here: Here, peer: Here, entry: Entry, told: Mapping[str, Mapping[str, str]]) -> Iterator[Fault]:
    """The first replica that has not read it stands for all of them that say the same."""
    said: dict[str, list[str]] = {}
    for pod, clusters in told.items():
        said.setdefault(clusters.get(id_of(peer), ""), []).append(pod)
    for status, pods in said.items():
        if status != SYNCED:
            yield _fault(here, peer, entry, status, Ref(POD, pods[0], SYSTEM_NAMESPACE))


def _fault(here: Here, peer: Here, entry: Entry, status: str, pod: Ref) -> Fault:
    credential = entry.said.credential
    words = {
        "cluster": here.name, "pod": str(pod), "peer": peer.name, "secret": str(entry.secret),
        "server": server_told(credential) if credential else "",
    }  # fmt: skip
    said = one_line(status) or msg("not listed")
    evidence = msg("{page} of {pod} in {cluster}: {status}", page=PAGE, status=said, **words)
    made = partial(Fault, object=str(entry.secret), evidence=(evidence,), breaks=lost(here, peer))
    logs = f"{here.kubectl} -n {SYSTEM_NAMESPACE} logs {quoted(pod.name)} -c discovery --tail=500"
    step = step_of(here, peer) if entry.secret == secret_of(peer.name) else None
    if status == CLOSED:
        return made(
            msg(
                "{cluster}: {pod} has closed {peer}: {secret} was changed in place, which istiod does not take up. It reads "
                "nothing of {peer} any more",
                **words,
            ),
            short=msg("istiod closed a cluster"),
            remedy=msg("Delete the Secret, and make it anew; or start istiod anew."),
            commands=anew(here, peer, entry.secret),
            step=step,
        )
    if status == SYNCING or (not status and _is_new(here, entry)):
        text = msg("{cluster}: {pod} has not read {peer} at {server} yet", **words)
        return made(text, commands=(logs,), severity="unsure")
    if not status:
        return made(
            msg(
                "{cluster}: {pod} does not list {peer}, although {secret} registers it, and reads nothing of it",
                **words,
            ),
            short=msg("istiod ignores a cluster"),
            remedy=msg("istiod's log says why. Making the Secret anew, or starting istiod anew, has it look again:"),
            commands=(logs, *anew(here, peer, entry.secret)),
            step=step,
        )
    return made(
        msg(
            "{cluster}: {pod} could not read {peer} at {server} in the time it has for that: its Pods do not reach that "
            "address, or what answers there is not the API server",
            **words,
        ),
        short=msg("istiod cannot read a cluster"),
        remedy=msg(
            "See that Pods of {cluster} reach {server}, or give an address that they reach. The log says more:", **words
        ),
        commands=(f"{logs} | grep -F {quoted(id_of(peer))}",),
    )


def _is_new(here: Here, entry: Entry) -> bool:
    try:
        written = datetime.fromisoformat(entry.written)
    except ValueError:
        return False
    now = here.version().date or datetime.now(UTC)
    return written.tzinfo is not None and now - written < NEW


CHECK = Check(
    "remote-sync",
    "discovery",
    "error",
    find,
    short=msg("istiod does not read it"),
    title="Each istiod says that it reads the clusters whose Secrets it has",
    reads="The page `/debug/clusterz` of every istiod that is ready (Istio 1.11 and later), for the clusters with whose remote "
    "secrets nothing is wrong.",
    means="`timeout`: istiod did not reach the API server, or not in time, and goes on without the cluster. `closed`: it has let "
    "go of it, since its Secret was changed in place. Not listed: it takes no notice of the Secret. In each case its proxies "
    "learn of no Pod of that cluster. `syncing`: it is about to read it.",
    arises="A firewall or a missing route between the Pods of one cluster and the API server of the other; a Secret that was "
    "changed in place (Istio issue 60612).",
    mend="Have the Pods reach the API server, or give another address; delete a Secret that was changed, and make it anew.",
)
