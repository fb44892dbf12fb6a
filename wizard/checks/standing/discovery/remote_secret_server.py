"""Do the remote secrets lead to the API servers of the clusters that they name?"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from wizard.checks.finding import Severity
from wizard.checks.standing.check import Check, Fault
from wizard.checks.standing.clusterz import is_read
from wizard.checks.standing.secrets import Entry, anew, id_of, lost, peers_of, secret_of, server_told, step_of, usable
from wizard.checks.standing.view import Here
from wizard.errors import NotAllowed
from wizard.mesh.addresses import address_of, place_of
from wizard.messages import msg
from wizard.probes.credential import AUTHORITY, Credential
from wizard.text import one_line

_BLOCK = re.compile(r"-----BEGIN CERTIFICATE-----(.*?)-----END CERTIFICATE-----", re.S)


def find(here: Here) -> Iterable[Fault]:
    for peer in peers_of(here):
        yield from faults(here, peer)


def faults(here: Here, peer: Here) -> Iterator[Fault]:
    """Why istiod does not find the peer's API server where its Secret says."""
    held = usable(here, peer)
    if held is None:
        return
    entry, credential = held
    server = credential.server
    if not server.lower().startswith("https://"):
        yield _fault(here, peer, entry, msg("speaks no TLS, so that no token is sent there"))
    elif _is_local(server):
        yield _fault(here, peer, entry, msg("is istiod's own Pod, as seen from there"))
    elif place_of(server) != place_of(_wanted(peer)):
        yield from _another(here, peer, entry, credential)
    elif _of_another_authority(peer, credential) and not is_read(here, id_of(peer)):
        yield _distrusting(here, peer, entry)


def _another(here: Here, peer: Here, entry: Entry, credential: Credential) -> Iterator[Fault]:
    """An address that is none of those that are known of the peer: another cluster's, or one more of its own."""
    place = place_of(credential.server)
    owners = [each.name for each in here.view.all if place in _places(each)]
    if owners and peer.name not in owners:
        yield _fault(here, peer, entry, msg("is that of {owner}", owner=owners[0]))
    elif is_read(here, id_of(peer)):
        return
    elif peer.member.api_server and not here.view.inferred:
        wanted = one_line(peer.member.api_server)
        yield _fault(here, peer, entry, msg("is not the one that the mesh has for it, {server}", server=wanted))
    elif _of_another_authority(peer, credential):
        yield _distrusting(here, peer, entry)


def _fault(here: Here, peer: Here, entry: Entry, problem: str) -> Fault:
    credential = entry.said.credential
    server = server_told(credential) if credential else ""
    return Fault(
        msg(
            "{cluster}: {secret} says that the API server of {peer} is {server}, which {problem}: istiod does not read "
            "{peer}, and its proxies know of no Pod there",
            cluster=here.name,
            secret=str(entry.secret),
            peer=peer.name,
            server=server,
            problem=problem,
        ),
        str(entry.secret),
        evidence=(
            msg(
                "server in {secret} of {cluster}: {server}", secret=str(entry.secret), cluster=here.name, server=server
            ),
            msg("API server of {peer}, as its kubeconfig says: {server}", peer=peer.name, server=one_line(peer.server)),
        ),
        remedy=msg("Make it anew with an address that Pods of {cluster} reach:", cluster=here.name),
        commands=anew(here, peer, entry.secret, _wanted(peer)),
        step=step_of(here, peer) if entry.secret == secret_of(peer.name) else None,
        breaks=lost(here, peer),
    )


def _distrusting(here: Here, peer: Here, entry: Entry) -> Fault:
    """In a mesh of ours it has the cluster's own authority; others may have put that of a proxy there, which is right then."""
    severity: Severity = "unsure" if here.view.inferred else "error"
    return Fault(
        msg(
            "{cluster}: {secret} has istiod trust another authority than that of {peer}'s API server: unless a proxy with that "
            "authority answers there, istiod does not read {peer}",
            cluster=here.name,
            secret=str(entry.secret),
            peer=peer.name,
        ),
        str(entry.secret),
        short=msg("remote secret's authority"),
        evidence=(
            msg("certificate-authority-data in {secret} of {cluster}", secret=str(entry.secret), cluster=here.name),
            msg("{object} in {peer}", object=str(AUTHORITY), peer=peer.name),
        ),
        remedy=msg("Make it anew, by istioctl, which puts the cluster's own authority there:"),
        commands=anew(here, peer, entry.secret),
        step=step_of(here, peer) if entry.secret == secret_of(peer.name) else None,
        breaks=lost(here, peer),
        severity=severity,
    )


def _places(here: Here) -> set[tuple[str, int]]:
    """Where this cluster's API server is known to be."""
    return {place_of(here.server), place_of(_wanted(here))}


def _wanted(here: Here) -> str:
    """Where others are to find its API server. What an inferred mesh says of that is what the Secrets say."""
    given = None if here.view.inferred else here.member.api_server
    return given or here.server


def _is_local(server: str) -> bool:
    host = place_of(server)[0]
    address = address_of(host)
    if address is None:
        return host == "localhost" or host.endswith(".localhost")
    return address.is_loopback or address.is_unspecified


def _of_another_authority(peer: Here, credential: Credential) -> bool:
    """Whether the Secret's authority is none of the cluster's own; False where either does not tell."""
    try:
        own = _certificates(((peer.get(AUTHORITY) or {}).get("data") or {}).get("ca.crt", ""))
    except NotAllowed:
        return False
    said = _certificates(credential.authority or "")
    return bool(own and said and not own & said)


def _certificates(text: str) -> set[str]:
    return {"".join(block.split()) for block in _BLOCK.findall(text)}


CHECK = Check(
    "remote-secret-server",
    "discovery",
    "error",
    find,
    short=msg("remote secret's server"),
    title="Each remote secret leads to the API server of its cluster",
    reads="The server and the authority (`certificate-authority-data`) in each remote secret; the API server's address in the "
    "kubeconfig of that cluster and in the mesh file, and its authority: ConfigMap `kube-root-ca.crt` in `kube-system`. Where "
    "either is another, what istiod says of the cluster (`/debug/clusterz`).",
    means="istiod asks the address in the Secret, from inside its own cluster. `127.0.0.1` is its own Pod there, `http://` "
    "carries no token, and another cluster's API server does not take this one's. An authority that is not the cluster's "
    "own is right only where a proxy with that authority stands before the API server.",
    arises="`istioctl create-remote-secret` takes the server from the kubeconfig unless `--server` is given: of kind, "
    "minikube and tunnels that is `127.0.0.1`. Or the API server moved, or its authority was changed.",
    mend="Make the Secret anew with `--server` and an address that Pods of the other clusters reach; in a mesh file that is "
    "`apiServer` of the cluster.",
)
